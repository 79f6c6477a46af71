//! The `filter` processor's configuration: the flat lists, and the lists by context.

use spanlake_model::{PerSignal, Signal};
use spanlake_ottl::functions::FILTER;
use spanlake_ottl::{Condition, Context, infer};

use super::matching::{read_logs, read_metrics, read_spans};
use super::reader::{Fields, Findings, string};
use super::transform::{context, contexts, error_mode};
use super::yaml::{Node, Tree};
use crate::lints::Lint;
use crate::processors::filter::{Drops, Filter};
use crate::processors::matching::Selection;
use crate::processors::{ErrorMode, Gate};

/// The keys of a signal: the flat list, the section, and the section's lists by context.
struct Keys {
    signal: Signal,
    flat: &'static str,
    section: &'static str,
    lists: &'static [(&'static str, Context)],
}

const KEYS: [Keys; 3] = [
    Keys {
        signal: Signal::Traces,
        flat: "trace_conditions",
        section: "traces",
        lists: &[("resource", Context::Resource), ("span", Context::Span), ("spanevent", Context::SpanEvent)],
    },
    Keys {
        signal: Signal::Logs,
        flat: "log_conditions",
        section: "logs",
        lists: &[("resource", Context::Resource), ("log_record", Context::Log)],
    },
    Keys {
        signal: Signal::Metrics,
        flat: "metric_conditions",
        section: "metrics",
        lists: &[("resource", Context::Resource), ("metric", Context::Metric), ("datapoint", Context::DataPoint)],
    },
];

/// Reads a `filter` block.
pub(super) fn read(tree: &Tree, path: &str, findings: &mut Findings) -> Filter {
    let mut fields = Fields::new(tree, path, findings);
    let mode = error_mode(&mut fields, findings).unwrap_or_default();
    let mut rules = PerSignal::default();
    let mut oldest: PerSignal<Option<Selection>> = PerSignal::default();
    let spans = fields.path_of("spans");
    oldest[Signal::Traces] = fields.get("spans").map(|tree| read_spans(tree, &spans, findings));
    for keys in &KEYS {
        let mut drops = flat(&mut fields, keys, mode, findings);
        let line = fields.line_of(keys.section);
        let by_context = section(&mut fields, keys, mode, &mut oldest[keys.signal], findings);
        let is_old = oldest[keys.signal].as_ref().is_some_and(|old| old.include.is_some() || old.exclude.is_some());
        if is_old && !(drops.is_empty() && by_context.is_empty()) {
            let at = fields.path_of(keys.section);
            findings.error(line, &at, "conditions, and include or exclude, exclude each other");
        }
        if !drops.is_empty() && !by_context.is_empty() {
            let at = fields.path_of(keys.section);
            findings.error(line, &at, format!("{} and lists by context exclude each other", keys.flat));
        }
        drops.extend(by_context);
        drops.sort_by_key(|drops| contexts(keys.signal).iter().position(|context| *context == drops.context));
        rules[keys.signal] = drops;
    }
    fields.finish(findings);
    Filter { rules, oldest }
}

/// A flat list: texts, each with a context of its own, or groups.
fn flat(fields: &mut Fields<'_>, keys: &Keys, mode: ErrorMode, findings: &mut Findings) -> Vec<Drops> {
    let items = fields.list(keys.flat, findings);
    let path = fields.path_of(keys.flat);
    let is_text = |item: &&Tree| matches!(item.node, Node::Scalar(_));
    let texts = items.iter().filter(is_text).count();
    if texts > 0 && texts < items.len() {
        findings.error(fields.line_of(keys.flat), &path, "texts and groups in one list: write either");
    }
    let mut all = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let path = format!("{path}[{place}]");
        let (context, mode, conditions) = if is_text(&item) {
            let Some(text) = string(item, &path, findings) else { continue };
            (None, mode, vec![(item.line, text)])
        } else {
            let mut group = Fields::new(item, &path, findings);
            let is_named = group.get("context").is_some();
            let context = context(&mut group, keys.signal, findings);
            let mode = error_mode(&mut group, findings).unwrap_or(mode);
            let conditions = group.strings("conditions", findings);
            group.finish(findings);
            if is_named && context.is_none() {
                continue;
            }
            (context, mode, conditions)
        };
        for condition in conditions {
            let inferred = context.or_else(|| infer(&[], &[condition.1], contexts(keys.signal)));
            let lowest = contexts(keys.signal).last().copied().unwrap_or(Context::Resource);
            if inferred.is_none() && Condition::new(condition.1, lowest, FILTER, &findings.patterns).is_ok() {
                let names = contexts(keys.signal).iter().map(|context| context.name()).collect::<Vec<_>>().join(", ");
                let message = format!("no context can be inferred from `{}`: begin its paths with one of {names}", condition.1);
                findings.refuse(Lint::InvalidStatement, condition.0, &path, message);
            }
            all.extend(drops(inferred.unwrap_or(lowest), mode, &[condition], &path, findings));
        }
    }
    all
}

/// The lists by context.
fn section(
    fields: &mut Fields<'_>,
    keys: &Keys,
    mode: ErrorMode,
    oldest: &mut Option<Selection>,
    findings: &mut Findings,
) -> Vec<Drops> {
    let Some(mut section) = fields.map(keys.section, findings) else { return Vec::new() };
    match keys.signal {
        Signal::Traces => {}
        Signal::Logs => *oldest = Some(read_logs(&mut section, findings)),
        Signal::Metrics => *oldest = Some(read_metrics(&mut section, findings)),
    }
    let mut all = Vec::new();
    for (name, context) in keys.lists {
        let conditions = section.strings(name, findings);
        let path = section.path_of(name);
        all.extend(drops(*context, mode, &conditions, &path, findings));
    }
    section.finish(findings);
    all
}

fn drops(context: Context, error_mode: ErrorMode, texts: &[(u32, &str)], path: &str, findings: &mut Findings) -> Option<Drops> {
    let mut conditions = Vec::with_capacity(texts.len());
    for (line, text) in texts {
        match Condition::new(text, context, FILTER, &findings.patterns) {
            Ok(condition) => conditions.push(Gate { line: *line, condition }),
            Err(error) => findings.refuse(Lint::InvalidStatement, *line, path, format!("{error} in `{text}`")),
        }
    }
    (!conditions.is_empty()).then_some(Drops { context, error_mode, conditions })
}
