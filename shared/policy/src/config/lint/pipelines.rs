//! Pipelines: what processors do to each other by their order.

use spanlake_model::Signal;

use super::super::reader::Findings;
use super::super::yaml::Tree;
use super::{Defined, attributes, child, entries, items, number, ottl, redaction, settings, texts};
use crate::lints::Lint;
use crate::regex::PatternCache;

/// A processor where a pipeline lists it.
struct Step<'d, 'a> {
    line: u32,
    processor: &'d Defined<'a>,
}

/// Looks through all pipelines.
pub(super) fn check(root: &Tree, defined: &[Defined<'_>], findings: &mut Findings) {
    let pipelines = child(root, "service").and_then(|service| child(service, "pipelines"));
    for entry in entries(pipelines) {
        let name = entry.key.split('/').next().unwrap_or_default();
        let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.name() == name) else { continue };
        let listed = texts(&entry.value, "processors").into_iter();
        let steps: Vec<Step<'_, '_>> =
            listed.filter_map(|(line, id)| Some(Step { line, processor: sound(defined, id, findings)? })).collect();
        let path = format!("service.pipelines.{}.processors", entry.key);
        decoded(signal, &steps, &path, findings);
        let tail = steps.iter().position(|step| step.processor.kind == "tail_sampling").filter(|_| signal == Signal::Traces);
        samplers(signal, tail, &steps, &path, findings);
        if signal == Signal::Traces {
            orphans(&steps, findings);
        }
        if let Some(tail) = tail {
            unseen(tail, &steps, findings);
        }
    }
}

/// A processor without errors.
fn sound<'d, 'a>(defined: &'d [Defined<'a>], id: &str, findings: &Findings) -> Option<&'d Defined<'a>> {
    defined.iter().find(|processor| processor.id == id && !findings.has_errors_in(&processor.path))
}

/// Texts that are decoded where no redaction comes behind.
fn decoded(signal: Signal, steps: &[Step<'_, '_>], path: &str, findings: &mut Findings) {
    let key = match signal {
        Signal::Traces => "trace_statements",
        Signal::Logs => "log_statements",
        Signal::Metrics => "metric_statements",
    };
    let Some(redaction) = steps.iter().rposition(|step| step.processor.kind == "redaction") else { return };
    for step in steps.iter().skip(redaction + 1).filter(|step| step.processor.kind == "transform") {
        let decodes = |text: &str| text.contains("Base64Decode(") || text.contains(" Decode(");
        if let Some((line, _)) = ottl::statements(step.processor.tree, key).into_iter().find(|(_, text)| decodes(text)) {
            let message = format!("a text is decoded behind the last redaction of {path}");
            findings.refuse(Lint::DecodedAfterRedaction, line, &step.processor.path, message);
        }
    }
}

fn samplers(signal: Signal, tail: Option<usize>, steps: &[Step<'_, '_>], path: &str, findings: &mut Findings) {
    let shares = |step: &&Step<'_, '_>| {
        number(step.processor.tree, "sampling_percentage").is_some_and(|share| share > 0.0 && share < 100.0)
    };
    let samplers = steps.iter().enumerate().filter(|(_, step)| step.processor.kind == "probabilistic_sampler");
    for (place, step) in samplers.filter(|(_, step)| shares(step)) {
        let id = step.processor.id;
        match tail {
            Some(tail) if place < tail => {
                let message = format!("{id} drops traces before tail_sampling: no policy sees their errors and durations");
                findings.refuse(Lint::HeadSampling, step.line, path, message);
            }
            Some(_) => {
                findings.refuse(
                    Lint::SamplingBehindTail,
                    step.line,
                    path,
                    format!("no weight knows of what {id} drops behind tail_sampling"),
                );
            }
            None if signal == Signal::Logs => {
                findings.refuse(
                    Lint::SamplingBehindTail,
                    step.line,
                    path,
                    format!("no weight knows of the logs that {id} drops"),
                );
            }
            None => {}
        }
    }
}

fn orphans(steps: &[Step<'_, '_>], findings: &mut Findings) {
    for step in steps.iter().filter(|step| step.processor.kind == "filter") {
        if let Some(line) = ottl::drops_spans(step.processor.tree) {
            let message = "single spans are dropped: their children lose their parent";
            findings.refuse(Lint::OrphanedSpans, line, &step.processor.path, message);
        }
    }
}

/// Attributes that policies ask for and that are not there, or not yet, at the place of `tail_sampling`.
fn unseen(tail: usize, steps: &[Step<'_, '_>], findings: &mut Findings) {
    let Some(sampling) = steps.get(tail) else { return };
    let mut asked = Vec::new();
    for policy in items(sampling.processor.tree, "policies") {
        settings::keys(policy, &mut asked);
    }
    asked.sort_by(|one, other| one.1.cmp(&other.1).then(one.0.cmp(&other.0)));
    asked.dedup_by(|one, other| one.1 == other.1);
    let (before, behind) = (steps.get(..tail).unwrap_or_default(), steps.get(tail + 1..).unwrap_or_default());
    for (line, key) in asked {
        if let Some(step) = before.iter().rfind(|step| {
            touches(step.processor, |action| attributes::removes(action, &key, &findings.patterns))
                || deletes(step.processor, &key, &findings.patterns)
        }) {
            let message = format!("`{key}` is taken away by {} before tail_sampling", step.processor.id);
            findings.refuse(Lint::RemovedBeforeSampling, line, &sampling.processor.path, message);
        }
        let is_set = |step: &&Step<'_, '_>| {
            touches(step.processor, |action| attributes::writes(action, &key)) || sets(step.processor, &key)
        };
        if let Some(step) = behind.iter().find(is_set).filter(|_| !before.iter().any(|step| is_set(&step))) {
            let message = format!("`{key}` is written by {} behind tail_sampling: the policy does not see it", step.processor.id);
            findings.refuse(Lint::SetAfterSampling, line, &sampling.processor.path, message);
        }
    }
}

/// Whether an `attributes` or `resource` processor has such an action for all items.
fn touches(processor: &Defined<'_>, is_such: impl Fn(&Tree) -> bool) -> bool {
    let list = match processor.kind {
        "attributes" => "actions",
        "resource" => "attributes",
        _ => return false,
    };
    attributes::is_unconditional(processor.tree) && items(processor.tree, list).iter().any(is_such)
}

fn deletes(processor: &Defined<'_>, key: &str, patterns: &PatternCache) -> bool {
    processor.kind == "redaction" && redaction::removes(processor.tree, key, patterns)
}

fn sets(processor: &Defined<'_>, key: &str) -> bool {
    let statements = ottl::statements(processor.tree, "trace_statements");
    processor.kind == "transform" && statements.iter().any(|(_, text)| ottl::sets(text, key))
}
