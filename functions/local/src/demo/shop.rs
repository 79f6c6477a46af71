//! The whole shop: a few thousand visits with their logs and metrics, cut into requests as the batch processors of ten
//! services would cut them. The same seed and start give the same bytes.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use spanlake_model::{Signal, SpanId, TraceId};

use super::export::{Exporter, Request};
use super::flows::{FLOWS, Flow, Op, SERVICES};
use super::layout::{Fault, Trace, draw_flow, draw_trace};
use super::logs;
use super::metrics::Export;
use super::rng::Rng;
use super::spans::Writer;
use super::truth::{PAYMENT, TraceTruth, Truth};

const NANOS_PER_MS: u64 = 1_000_000;
/// A batch processor's limits: items, and time since the first item.
const BATCH_ITEMS_MAX: usize = 512;
const BATCH_NANOS_MAX: u64 = 1_000 * NANOS_PER_MS;

/// The seed of the shop that `spanlake demo` shows.
///
/// A sample of a few hundred traces may lie far from the truth by chance: other seeds give estimates between two standard
/// errors below and above, and one in a few hundred fails the report's bound of three.
pub(crate) const SEED: u64 = 1;

/// How much shop there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) traces: u64,
    /// Records that belong to no trace.
    pub(crate) lone_logs: u64,
    /// Over how long the visits are spread; the slow ones end up to three seconds later at most.
    pub(crate) spread_ms: u64,
    pub(crate) metric_exports: u64,
}

impl Size {
    /// About 30,000 spans, 6,000 log records and 3,000 data points within ten seconds.
    pub(crate) const USUAL: Self = Self { traces: 3_000, lone_logs: 900, spread_ms: 8_000, metric_exports: 5 };
}

/// What will be sent, and what it comes to.
#[derive(Debug)]
pub(crate) struct Shop {
    /// In the order of their times.
    pub(crate) requests: Vec<Request>,
    pub(crate) truth: Truth,
}

/// Something that a service will export once `ready_nanos` has come.
#[derive(Debug)]
struct Waiting<T> {
    ready_nanos: u64,
    item: T,
}

type Outbox<T> = BTreeMap<&'static str, Vec<Waiting<T>>>;

/// Builds the shop's requests for a run that begins at `start_nanos` (Unix time).
///
/// # Errors
/// Only when a message cannot be encoded or compressed.
pub(crate) fn build(seed: u64, start_nanos: u64, size: Size) -> anyhow::Result<Shop> {
    let mut builder = Builder {
        rng: Rng::new(seed),
        truth: Truth::default(),
        start_nanos,
        spans: Outbox::new(),
        logs: Outbox::new(),
        recent: Vec::new(),
    };
    builder.visits(size);
    builder.lone_logs(size);
    let mut exporter = Exporter::new(seed, start_nanos, &mut builder.truth.planter);
    let mut requests = Vec::new();
    for (service, due_nanos, batch) in cut(std::mem::take(&mut builder.spans)) {
        requests.push(exporter.traces(service, due_nanos, batch)?);
    }
    for (service, due_nanos, batch) in cut(std::mem::take(&mut builder.logs)) {
        requests.push(exporter.logs(service, due_nanos, batch)?);
    }
    for (service, due_nanos, batch) in builder.metrics(size) {
        requests.push(exporter.metrics(service, due_nanos, batch)?);
    }
    requests.sort_by_key(|request| request.due_ms);
    repeat_some(&mut requests);
    builder.truth.refused_spans = requests.iter().map(|request| request.refused).sum();
    Ok(Shop { requests, truth: builder.truth })
}

struct Builder {
    rng: Rng,
    truth: Truth,
    start_nanos: u64,
    spans: Outbox<Span>,
    logs: Outbox<LogRecord>,
    /// The last visits' roots.
    recent: Vec<(TraceId, SpanId)>,
}

impl Builder {
    fn visits(&mut self, size: Size) {
        let spread_nanos = size.spread_ms * NANOS_PER_MS;
        for turn in 0..size.traces {
            let offset = spread_nanos / size.traces * turn + self.rng.below(spread_nanos / size.traces);
            // One visit is certain to be a payment that fails, for there must be something to show.
            let is_shown = turn == size.traces / 3;
            let drawn = if is_shown { checkout() } else { draw_flow(&mut self.rng) };
            let Some(flow) = drawn else { continue };
            // Slow visits come early, so that the sending ends in time; 50 of the first 600 make 30 of all 1,000.
            let slow = !flow.is_health && offset < spread_nanos / 5 * 3 && self.rng.chance(50);
            let fails = !flow.is_health && self.rng.chance(20);
            let fault = match (is_shown, fails) {
                (true, _) => Fault::At(PAYMENT),
                (false, true) => Fault::Something,
                (false, false) => Fault::Nothing,
            };
            let trace = draw_trace(&mut self.rng, flow, self.start_nanos + offset, slow, fault);
            self.visit(&trace);
        }
    }

    fn visit(&mut self, trace: &Trace) {
        self.truth.note_trace(trace);
        let is_kept = self.truth.traces.get(&trace.id).is_some_and(TraceTruth::must_be_kept);
        for draft in &trace.drafts {
            let mut writer = Writer { rng: &mut self.rng, planter: &mut self.truth.planter, recent: &self.recent, is_kept };
            let span = writer.span(trace, draft);
            let waiting = Waiting { ready_nanos: draft.end_nanos, item: span };
            self.spans.entry(draft.service.name).or_default().push(waiting);
            if let Some(record) = logs::of_span(&mut self.rng, &mut self.truth.planter, trace, draft) {
                self.push_log(draft.service.name, record);
            }
        }
        self.recent.extend(trace.drafts.first().map(|root| (trace.id, root.id)));
        if self.recent.len() > 3 {
            self.recent.remove(0);
        }
    }

    fn lone_logs(&mut self, size: Size) {
        for turn in 0..size.lone_logs {
            let at_nanos = self.start_nanos + size.spread_ms * NANOS_PER_MS / size.lone_logs * turn;
            let record = logs::of_nothing(&mut self.rng, &mut self.truth.planter, at_nanos);
            let names: Vec<_> = SERVICES.iter().map(|service| service.name).collect();
            let service = self.rng.pick(&names);
            self.push_log(service, record);
        }
    }

    fn push_log(&mut self, service: &'static str, record: LogRecord) {
        self.truth.note_log(&record);
        let waiting = Waiting { ready_nanos: record.observed_time_unix_nano, item: record };
        self.logs.entry(service).or_default().push(waiting);
    }

    fn metrics(&mut self, size: Size) -> Vec<(&'static str, u64, Vec<Metric>)> {
        let mut exports = Vec::new();
        let span = self.recent.first().copied();
        for round in 1..=size.metric_exports {
            let at_nanos = self.start_nanos + size.spread_ms * NANOS_PER_MS / size.metric_exports * round;
            for service in SERVICES {
                let mut export = Export {
                    rng: &mut self.rng,
                    planter: &mut self.truth.planter,
                    points: &mut self.truth.points,
                    service,
                    start_nanos: self.start_nanos,
                    at_nanos,
                    span,
                };
                exports.push((service.name, at_nanos, export.metrics()));
            }
        }
        exports
    }
}

/// The visit that pays.
fn checkout() -> Option<&'static Flow> {
    FLOWS.iter().find(|flow| matches!(flow.root.op, Op::Http(_, _, "/checkout")))
}

/// Cuts each service's items into batches, as its batch processor would: service, time of export, items.
fn cut<T>(outbox: Outbox<T>) -> Vec<(&'static str, u64, Vec<T>)> {
    let mut batches = Vec::new();
    for (service, mut waiting) in outbox {
        waiting.sort_by_key(|waiting| waiting.ready_nanos);
        let mut batch = Vec::new();
        let mut first_nanos = 0;
        let mut last_nanos = 0;
        for Waiting { ready_nanos, item } in waiting {
            if !batch.is_empty() && ready_nanos > first_nanos + BATCH_NANOS_MAX {
                batches.push((service, first_nanos + BATCH_NANOS_MAX, std::mem::take(&mut batch)));
            } else if batch.len() >= BATCH_ITEMS_MAX {
                batches.push((service, last_nanos, std::mem::take(&mut batch)));
            }
            if batch.is_empty() {
                first_nanos = ready_nanos;
            }
            last_nanos = ready_nanos;
            batch.push(item);
        }
        // What is left goes out at the end, when the service stops.
        batches.push((service, last_nanos, batch));
    }
    batches
}

/// Marks one request of each signal to be sent again after its acknowledgement, as a client does whose answer got lost.
fn repeat_some(requests: &mut [Request]) {
    for signal in Signal::ALL {
        if let Some(request) = requests.iter_mut().filter(|request| request.signal == signal).nth(4) {
            request.is_repeated = true;
        }
    }
}

#[cfg(test)]
mod tests;
