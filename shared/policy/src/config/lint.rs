//! What is no error and yet looks wrong: read off the tree of a file that may have errors elsewhere.
//!
//! Nothing here decides what rules mean: the readers do. Values of a wrong type are passed over, since they are errors
//! already.

mod asks;
mod attributes;
mod composite;
mod ottl;
mod patterns;
mod pipelines;
mod policies;
mod redaction;
mod settings;
mod variables;

pub(super) use variables::unset;

use super::own::Own;
use super::reader::{Findings, Number, as_bool, as_number, duration_nanos};
use super::yaml::{Entry, Node, Scalar, Tree};
use crate::lints::Lint;

/// A processor of the file.
pub(super) struct Defined<'a> {
    id: &'a str,
    kind: &'a str,
    line: u32,
    path: String,
    tree: &'a Tree,
}

/// Looks through a file whose variables are expanded.
pub(super) fn check(root: &Tree, own: &Own, findings: &mut Findings) {
    own_section(root, findings);
    let defined: Vec<Defined<'_>> = entries(child(root, "processors")).iter().map(define).collect();
    for processor in &defined {
        // What is an error already would be told twice, as if it were meant.
        if findings.has_errors_in(&processor.path) {
            continue;
        }
        let (tree, path) = (processor.tree, processor.path.as_str());
        match processor.kind {
            "tail_sampling" => policies::check(tree, path, own, findings),
            "transform" => ottl::transform(tree, path, findings),
            "filter" => ottl::filter(tree, path, findings),
            "redaction" => redaction::check(tree, path, findings),
            "attributes" => attributes::check(tree, "actions", path, findings),
            "resource" => attributes::check(tree, "attributes", path, findings),
            "probabilistic_sampler" => sampler(processor, findings),
            _ => {}
        }
    }
    pipelines::check(root, &defined, findings);
}

fn define(entry: &Entry) -> Defined<'_> {
    let kind = entry.key.split('/').next().unwrap_or_default();
    Defined { id: &entry.key, kind, line: entry.line, path: format!("processors.{}", entry.key), tree: &entry.value }
}

fn own_section(root: &Tree, findings: &mut Findings) {
    const HORIZON_MS_MIN: u64 = 60_000;
    const HORIZON_MS_MAX: u64 = 3_600_000;
    const WINDOW_MS_MAX: u64 = 60_000;
    let Some(own) = child(root, "spanlake") else { return };
    if duration_ms(own, "late_horizon").is_some_and(|horizon| horizon < HORIZON_MS_MIN) {
        let message = "late_horizon is below a minute: spans that come later begin a new trace, which is decided for itself";
        findings.refuse(Lint::ShortHorizon, line_of(own, "late_horizon"), "spanlake.late_horizon", message);
    }
    if duration_ms(own, "late_horizon").is_some_and(|horizon| horizon > HORIZON_MS_MAX) {
        let message = "late_horizon is above an hour: every close looks into the decisions of that time";
        findings.refuse(Lint::LongHorizon, line_of(own, "late_horizon"), "spanlake.late_horizon", message);
    }
    if duration_ms(own, "window").is_some_and(|window| window > WINDOW_MS_MAX) {
        let message = "window is above a minute: nothing of a trace can be queried before its window ends";
        findings.refuse(Lint::LongWindow, line_of(own, "window"), "spanlake.window", message);
    }
}

fn sampler(processor: &Defined<'_>, findings: &mut Findings) {
    let share = number(processor.tree, "sampling_percentage").unwrap_or(0.0);
    let line = line_of_value(processor.tree, "sampling_percentage", processor.line);
    let path = format!("{}.sampling_percentage", processor.path);
    if share == 0.0 {
        findings.refuse(Lint::SamplerDropsAll, line, &path, "a share of 0 % drops everything");
    } else if share >= 100.0 {
        findings.refuse(Lint::SamplerKeepsAll, line, &path, "a share of 100 % keeps everything");
    }
}

/// The entries of a map; none of anything else.
fn entries(tree: Option<&Tree>) -> &[Entry] {
    match tree.map(|tree| &tree.node) {
        Some(Node::Map(entries)) => entries,
        _ => &[],
    }
}

fn entry<'a>(tree: &'a Tree, key: &str) -> Option<&'a Entry> {
    entries(Some(tree)).iter().find(|entry| entry.key == key)
}

/// The value of a key that is there and not empty.
fn child<'a>(tree: &'a Tree, key: &str) -> Option<&'a Tree> {
    entry(tree, key).map(|entry| &entry.value).filter(|value| !value.is_null())
}

/// The line of a key, or of the map.
fn line_of(tree: &Tree, key: &str) -> u32 {
    line_of_value(tree, key, tree.line)
}

fn line_of_value(tree: &Tree, key: &str, otherwise: u32) -> u32 {
    entry(tree, key).map_or(otherwise, |entry| entry.line)
}

/// The elements of a list.
fn items<'a>(tree: &'a Tree, key: &str) -> &'a [Tree] {
    match child(tree, key).map(|tree| &tree.node) {
        Some(Node::List(items)) => items,
        _ => &[],
    }
}

fn scalar(tree: &Tree) -> Option<&Scalar> {
    match &tree.node {
        Node::Scalar(scalar) => Some(scalar),
        _ => None,
    }
}

fn text<'a>(tree: &'a Tree, key: &str) -> Option<&'a str> {
    child(tree, key).and_then(scalar).map(|scalar| scalar.text.as_str())
}

/// A list of texts with their lines; one text is cut at its commas, as by the readers.
fn texts<'a>(tree: &'a Tree, key: &str) -> Vec<(u32, &'a str)> {
    match child(tree, key) {
        Some(Tree { node: Node::List(items), .. }) => {
            items.iter().filter_map(|item| scalar(item).map(|scalar| (item.line, scalar.text.as_str()))).collect()
        }
        Some(Tree { node: Node::Scalar(scalar), line }) => {
            scalar.text.split(',').filter(|text| !text.is_empty()).map(|text| (*line, text)).collect()
        }
        _ => Vec::new(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "what is looked at is far below 2^53")]
fn number(tree: &Tree, key: &str) -> Option<f64> {
    match child(tree, key).and_then(scalar).filter(|scalar| scalar.plain).and_then(|scalar| as_number(&scalar.text))? {
        Number::Int(value) => Some(value as f64),
        Number::Float(value) => Some(value),
    }
}

/// A whole number, a fraction cut off.
#[expect(clippy::cast_possible_truncation, reason = "a cast from float saturates, which is what the readers do")]
fn integer(tree: &Tree, key: &str) -> Option<i64> {
    number(tree, key).map(|number| number as i64)
}

fn truth(tree: &Tree, key: &str) -> Option<bool> {
    child(tree, key).and_then(scalar).and_then(|scalar| as_bool(&scalar.text))
}

/// A duration with a unit.
fn duration_ms(tree: &Tree, key: &str) -> Option<u64> {
    let nanos = duration_nanos(text(tree, key)?)?;
    u64::try_from(nanos / 1_000_000).ok()
}
