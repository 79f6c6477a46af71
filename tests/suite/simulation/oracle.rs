//! What must be true, computed from what the clients sent and when it arrived, without the implementation's help: no
//! grouping, no windows, no manifests. The rules are those of `rules.yaml` in words.

use std::collections::{BTreeMap, BTreeSet};

use spanlake_model::{SpanId, TraceId};

/// A span that a client sent.
#[derive(Clone, Debug)]
pub(super) struct SentSpan {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) is_error: bool,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) service: &'static str,
}

/// What an acknowledged request held, and when the stream stamped its first stored copy.
#[derive(Clone, Debug)]
pub(super) struct Acknowledged {
    pub(super) spans: Vec<SentSpan>,
    pub(super) logs: Vec<String>,
}

/// What a reader of the sealed outputs sees.
#[derive(Default)]
pub(super) struct Visible {
    /// How often each span is there.
    pub(super) spans: BTreeMap<(TraceId, SpanId), u32>,
    /// How often each log body is there.
    pub(super) logs: BTreeMap<String, u32>,
}

/// The four policies over a whole trace: an error, slower than a second, the payment service; the fourth, chance, may
/// keep any trace, so it is judged only by wholeness.
fn must_be_kept(spans: &[&SentSpan]) -> bool {
    let start = spans.iter().map(|span| span.start).min().unwrap_or_default();
    let end = spans.iter().map(|span| span.end).max().unwrap_or_default();
    let slow = end.saturating_sub(start) > 1_000_000_000;
    slow || spans.iter().any(|span| span.is_error || span.service == "payment-service")
}

/// Nothing is visible that nobody sent, and nothing twice: at every moment.
pub(super) fn check_any_time(sent: &[Acknowledged], visible: &Visible) -> Result<(), String> {
    let spans: BTreeSet<_> = sent.iter().flat_map(|request| &request.spans).map(|span| (span.trace, span.id)).collect();
    let logs: BTreeSet<_> = sent.iter().flat_map(|request| &request.logs).collect();
    for (span, times) in &visible.spans {
        if !spans.contains(span) {
            return Err(format!("I10: span {span:?} is visible and was never sent"));
        }
        if *times > 1 {
            return Err(format!("I3: span {span:?} is visible {times} times"));
        }
    }
    for (log, times) in &visible.logs {
        if !logs.contains(log) || *times > 1 {
            return Err(format!("I3, I10: log {log} is visible {times} times"));
        }
    }
    Ok(())
}

/// At rest: every acknowledged log is visible; every trace that a deterministic policy keeps is whole, every other is
/// whole or absent. `together` says which traces arrived in one piece, well within the wait.
pub(super) fn check_at_rest(
    acknowledged: &[Acknowledged],
    visible: &Visible,
    together: &BTreeSet<TraceId>,
) -> Result<(), String> {
    for log in acknowledged.iter().flat_map(|request| &request.logs) {
        if !visible.logs.contains_key(log) {
            return Err(format!("I2: the acknowledged log {log} is not visible"));
        }
    }
    let mut traces: BTreeMap<TraceId, Vec<&SentSpan>> = BTreeMap::new();
    for span in acknowledged.iter().flat_map(|request| &request.spans) {
        traces.entry(span.trace).or_default().push(span);
    }
    for (trace, spans) in &traces {
        let seen = spans.iter().filter(|span| visible.spans.contains_key(&(span.trace, span.id))).count();
        if !together.contains(trace) {
            // A straggler may be late: then only what a policy keeps by itself must be there.
            if let Some(lost) =
                spans.iter().find(|span| must_be_kept(&[span]) && !visible.spans.contains_key(&(span.trace, span.id)))
            {
                return Err(format!("I4: span {:?} of {trace} is kept by itself and not visible", lost.id));
            }
            continue;
        }
        if must_be_kept(spans) && seen < spans.len() {
            return Err(format!("I4: trace {trace} must be whole, {seen} of {} spans are visible", spans.len()));
        }
        if seen != 0 && seen != spans.len() {
            return Err(format!("I4: trace {trace} is torn, {seen} of {} spans are visible", spans.len()));
        }
    }
    Ok(())
}
