//! One processor's block by itself, for the tests against the reference's vectors.

use spanlake_model::Signal;

use super::expand::{self, Environment};
use super::reader::Findings;
use super::yaml::{self, Tree};
use super::{attributes, filter, redaction, transform};
use crate::finding::Finding;
use crate::lints::Lint;
use crate::processors::Process;
use crate::processors::redaction::Coverage;

/// Reads the YAML text below a processor's id, for a pipeline of this signal.
pub(crate) fn read_processor(
    kind: &str,
    text: &str,
    coverage: Coverage,
    signal: Signal,
    env: Environment<'_>,
) -> (Option<Box<dyn Process>>, Vec<Finding>) {
    let mut findings = Findings::default();
    let processor = parse(text, env, &mut findings).and_then(|tree| read(kind, &tree, coverage, signal, &mut findings));
    let processor = processor.filter(|_| !findings.has_errors());
    (processor, findings.list)
}

fn parse(text: &str, env: Environment<'_>, findings: &mut Findings) -> Option<Tree> {
    let mut tree = yaml::parse(text).map_err(|error| findings.refuse(error.kind, error.line, "", error.message)).ok()?;
    let mut errors = Vec::new();
    expand::expand(&mut tree, env, &mut yaml::TEXT_BYTES_MAX.clone(), &mut errors);
    for (line, message) in errors {
        findings.refuse(Lint::InvalidVariable, line, "", message);
    }
    Some(tree)
}

fn read(kind: &str, tree: &Tree, coverage: Coverage, signal: Signal, findings: &mut Findings) -> Option<Box<dyn Process>> {
    let path = format!("processors.{kind}");
    Some(match kind {
        "redaction" => {
            let mut processor = redaction::read(tree, &path, 0, findings);
            processor.coverage = coverage;
            Box::new(processor)
        }
        "attributes" | "resource" => {
            let reader = if kind == "resource" { attributes::read_resource } else { attributes::read_attributes };
            let read = reader(tree, &path, findings);
            read.check(signal, findings);
            Box::new(read.processor)
        }
        "transform" => Box::new(transform::read(tree, &path, 0, coverage == Coverage::Wide, findings)),
        "filter" => Box::new(filter::read(tree, &path, findings)),
        _ => {
            findings.refuse(Lint::UnknownComponent, tree.line, &path, "unknown processor type");
            return None;
        }
    })
}

/// The oldest form of a `filter` processor: its `include` and `exclude` blocks for a signal.
#[cfg(test)]
pub(crate) fn read_oldest(signal: Signal, text: &str) -> Result<crate::processors::matching::Selection, Vec<Finding>> {
    use super::matching::{read_logs, read_metrics, read_spans};
    use super::reader::Fields;

    let mut findings = Findings::default();
    let tree = parse(text, &|_| None, &mut findings).unwrap();
    let mut root = Fields::new(&tree, "filter", &mut findings);
    let selection = match signal {
        Signal::Traces => root.get("spans").map(|spans| read_spans(spans, "filter.spans", &mut findings)),
        Signal::Logs | Signal::Metrics => root.map(signal.name(), &mut findings).map(|mut section| {
            let reader = if signal == Signal::Logs { read_logs } else { read_metrics };
            let selection = reader(&mut section, &mut findings);
            section.finish(&mut findings);
            selection
        }),
    };
    if findings.has_errors() { Err(findings.list) } else { Ok(selection.unwrap_or_default()) }
}
