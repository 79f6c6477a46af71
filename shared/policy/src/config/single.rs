//! One processor's block by itself, for the tests against the reference's vectors.

use spanlake_model::Signal;

use super::expand::{self, Environment};
use super::reader::Findings;
use super::yaml::{self, Tree};
use super::{attributes, redaction};
use crate::finding::Finding;
use crate::processors::Process;
use crate::processors::redaction::Coverage;

/// Why there is no processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// A finding says why.
    Refused,
    /// Nothing here reads this kind by itself yet.
    NotHereYet,
}

/// Reads the YAML text below a processor's id, for a pipeline of this signal.
pub(crate) fn read_processor(
    kind: &str,
    text: &str,
    coverage: Coverage,
    signal: Signal,
    env: Environment<'_>,
) -> (Result<Box<dyn Process>, Unread>, Vec<Finding>) {
    let mut findings = Findings::default();
    let processor =
        parse(text, env, &mut findings).map_or(Err(Unread::Refused), |tree| read(kind, &tree, coverage, signal, &mut findings));
    let failed = findings.has_errors();
    let processor = match processor {
        Ok(_) if failed => Err(Unread::Refused),
        other => other,
    };
    (processor, findings.list)
}

fn parse(text: &str, env: Environment<'_>, findings: &mut Findings) -> Option<Tree> {
    let mut tree = yaml::parse(text).map_err(|error| findings.error(error.line, "", error.message)).ok()?;
    let mut errors = Vec::new();
    expand::expand(&mut tree, env, &mut errors);
    for error in errors {
        findings.error(error.line, "", error.message);
    }
    Some(tree)
}

fn read(
    kind: &str,
    tree: &Tree,
    coverage: Coverage,
    signal: Signal,
    findings: &mut Findings,
) -> Result<Box<dyn Process>, Unread> {
    let path = format!("processors.{kind}");
    Ok(match kind {
        "redaction" => {
            let mut processor = redaction::read_processor(tree, &path, 0, findings);
            processor.coverage = coverage;
            Box::new(processor)
        }
        "attributes" | "resource" => {
            let reader = if kind == "resource" { attributes::read_resource } else { attributes::read_attributes };
            let read = reader(tree, &path, findings);
            read.check(signal, findings);
            Box::new(read.processor)
        }
        _ => return Err(Unread::NotHereYet),
    })
}
