//! What was sent, counted while it was made: the figures that the lake has to give back.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use spanlake_model::{PerSignal, Signal, SpanId, TraceId};

use super::layout::{Draft, Side, Trace};
use super::metrics::Points;
use super::secrets::Planter;

/// From here a trace counts as slow: the threshold of the default rules.
pub(crate) const SLOW_NANOS: u64 = 1_000_000_000;
/// The service whose traces the default rules always keep.
pub(crate) const PAYMENT: &str = "payment-service";

/// A span as it was sent.
#[derive(Debug)]
pub(crate) struct SpanTruth {
    pub(crate) trace: TraceId,
    pub(crate) parent: Option<SpanId>,
    pub(crate) name: String,
    pub(crate) service: &'static str,
    /// The kind's word in the lake.
    pub(crate) kind: &'static str,
    pub(crate) failed: bool,
    pub(crate) start_nanos: u64,
    pub(crate) duration_nanos: u64,
}

/// A trace as it was sent.
#[expect(clippy::struct_excessive_bools, reason = "a trace can be any of these at once")]
#[derive(Debug)]
pub(crate) struct TraceTruth {
    pub(crate) spans: u64,
    pub(crate) failed: bool,
    pub(crate) slow: bool,
    pub(crate) payment: bool,
    pub(crate) health: bool,
}

impl TraceTruth {
    /// Whether the default rules keep this trace without a draw.
    pub(crate) fn must_be_kept(&self) -> bool {
        !self.health && (self.failed || self.slow || self.payment)
    }
}

/// All spans of one service, name and kind.
#[derive(Debug, Default)]
pub(crate) struct Operation {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) durations_nanos: Vec<u64>,
}

impl Operation {
    /// The duration below which `per_mille` of 1,000 requests stay (nearest rank).
    pub(crate) fn quantile_nanos(&self, per_mille: usize) -> u64 {
        let mut sorted = self.durations_nanos.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * per_mille).div_ceil(1_000).max(1);
        sorted.get(rank - 1).copied().unwrap_or(0)
    }
}

/// Log records by what the report asks for.
#[derive(Debug, Default)]
pub(crate) struct LogTruth {
    pub(crate) total: u64,
    pub(crate) with_trace: u64,
    pub(crate) errors: u64,
}

/// Everything that was sent.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) spans: BTreeMap<SpanId, SpanTruth>,
    pub(crate) traces: BTreeMap<TraceId, TraceTruth>,
    /// By service, span name and kind.
    pub(crate) operations: BTreeMap<(&'static str, String, &'static str), Operation>,
    /// Calls and messages by caller and callee.
    pub(crate) edges: BTreeMap<(&'static str, &'static str), u64>,
    pub(crate) logs: LogTruth,
    pub(crate) points: Points,
    pub(crate) planter: Planter,
    /// Spans without a valid id, which ingest has to refuse one by one.
    pub(crate) refused_spans: u64,
    /// A trace with a failed payment, to draw in full.
    pub(crate) shown: Option<TraceId>,
}

impl Truth {
    /// Notes a visit.
    pub(crate) fn note_trace(&mut self, trace: &Trace) {
        let facts = TraceTruth {
            spans: trace.drafts.len() as u64,
            failed: trace.drafts.iter().any(|draft| draft.failed),
            slow: trace.duration_nanos() > SLOW_NANOS,
            payment: trace.visits(PAYMENT),
            health: trace.flow.is_health,
        };
        let payment_failed = trace.drafts.iter().any(|draft| draft.failed && draft.service.name == PAYMENT);
        if payment_failed && self.shown.is_none() {
            self.shown = Some(trace.id);
        }
        self.traces.insert(trace.id, facts);
        for draft in &trace.drafts {
            self.note_span(trace, draft);
        }
    }

    fn note_span(&mut self, trace: &Trace, draft: &Draft) {
        let parent = draft.parent.and_then(|position| trace.drafts.get(position));
        if let (Side::Server | Side::Consumer, Some(caller)) = (draft.side, parent) {
            *self.edges.entry((caller.service.name, draft.service.name)).or_default() += 1;
        }
        let operation = self.operations.entry((draft.service.name, draft.name(), draft.side.word())).or_default();
        operation.requests += 1;
        operation.errors += u64::from(draft.failed);
        operation.durations_nanos.push(draft.duration_nanos());
        let span = SpanTruth {
            trace: trace.id,
            parent: parent.map(|parent| parent.id),
            name: draft.name(),
            service: draft.service.name,
            kind: draft.side.word(),
            failed: draft.failed,
            start_nanos: draft.start_nanos,
            duration_nanos: draft.duration_nanos(),
        };
        self.spans.insert(draft.id, span);
    }

    /// Notes a log record.
    pub(crate) fn note_log(&mut self, record: &LogRecord) {
        self.logs.total += 1;
        self.logs.with_trace += u64::from(!record.trace_id.is_empty());
        self.logs.errors += u64::from(record.severity_number == i32::from(SeverityNumber::Error));
    }

    /// How many items of each signal ingest has to accept.
    pub(crate) fn accepted(&self) -> PerSignal<u64> {
        let mut items = PerSignal::default();
        items[Signal::Traces] = self.spans.len() as u64;
        items[Signal::Logs] = self.logs.total;
        items[Signal::Metrics] = self.points.number + self.points.histogram + self.points.exp_histogram + self.points.summary;
        items
    }

    /// How many traces have a property.
    pub(crate) fn count(&self, has: impl Fn(&TraceTruth) -> bool) -> u64 {
        self.traces.values().filter(|trace| has(trace)).count() as u64
    }

    /// Requests that each service answered, and how many of them failed.
    pub(crate) fn served(&self) -> BTreeMap<&'static str, (u64, u64)> {
        let mut served: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
        for ((service, _, kind), operation) in &self.operations {
            if *kind == Side::Server.word() {
                let (requests, errors) = served.entry(service).or_default();
                *requests += operation.requests;
                *errors += operation.errors;
            }
        }
        served
    }
}

#[cfg(test)]
mod tests {
    use super::Operation;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let operation = Operation { durations_nanos: (1..=200).rev().collect(), ..Operation::default() };
        assert_eq!(
            (operation.quantile_nanos(500), operation.quantile_nanos(990), operation.quantile_nanos(1_000)),
            (100, 198, 200)
        );
        assert_eq!(Operation::default().quantile_nanos(500), 0);
    }
}
