//! The walker against prost: it accepts what prost accepts, and what it accepts is what prost reads. The exceptions are
//! those of [`spanlake_otlp::cut::cut`]: text that is not UTF-8 and values nested too deep cost their item, not the
//! request; ids are checked; there are limits.

use std::cell::RefCell;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::{DecodeError, Message};
use spanlake_model::{Bucket, BucketRange, Signal, TraceId};
use spanlake_otlp::cut::{Cut, CutError, Request, Scratch, cut};
use spanlake_otlp::limits::{Limits, Reason};
use spanlake_otlp::payload::{Items, item_count, item_trace_id};

use super::draw::Draw;
use super::generate;

/// An item as prost reads it, with its context encoded anew.
pub struct Row {
    context: [Vec<u8>; 2],
    item: Vec<u8>,
    /// Whether its ids are what its signal asks for.
    ids_fit: bool,
    trace: Option<TraceId>,
    count: u64,
}

/// What an item of each signal says of itself, independently of the walker.
trait Item: Message + Default {
    fn row(&self, context: [Vec<u8>; 2]) -> Row;
}

fn set(id: &[u8], length: usize) -> bool {
    id.len() == length && id.iter().any(|byte| *byte != 0)
}

impl Item for Span {
    fn row(&self, context: [Vec<u8>; 2]) -> Row {
        let parent_fits = self.parent_span_id.is_empty() || self.parent_span_id.len() == 8;
        let ids_fit = set(&self.trace_id, 16) && set(&self.span_id, 8) && parent_fits;
        Row { context, item: self.encode_to_vec(), ids_fit, trace: TraceId::from_slice(&self.trace_id), count: 1 }
    }
}

impl Item for LogRecord {
    fn row(&self, context: [Vec<u8>; 2]) -> Row {
        let fits = |id: &[u8], length| id.is_empty() || id.len() == length;
        let ids_fit = fits(&self.trace_id, 16) && fits(&self.span_id, 8);
        let trace = TraceId::from_slice(&self.trace_id).filter(|id| !id.is_zero());
        Row { context, item: self.encode_to_vec(), ids_fit, trace, count: 1 }
    }
}

impl Item for Metric {
    fn row(&self, context: [Vec<u8>; 2]) -> Row {
        let points = match &self.data {
            None => 0,
            Some(Data::Gauge(data)) => data.data_points.len(),
            Some(Data::Sum(data)) => data.data_points.len(),
            Some(Data::Histogram(data)) => data.data_points.len(),
            Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
            Some(Data::Summary(data)) => data.data_points.len(),
        };
        Row { context, item: self.encode_to_vec(), ids_fit: true, trace: None, count: points as u64 }
    }
}

/// What prost reads of a request, in its order. Items without anything to count are nothing to either side.
pub fn prost_rows(signal: Signal, body: &[u8]) -> Result<Vec<Row>, DecodeError> {
    let mut rows = Vec::new();
    macro_rules! rows {
        ($request:ty, $resources:ident, $scopes:ident, $items:ident) => {
            for resource in <$request>::decode(body)?.$resources {
                for scope in &resource.$scopes {
                    for item in &scope.$items {
                        let mut contexts = [Vec::new(), Vec::new()];
                        contexts[0].extend(resource.resource.as_ref().map_or_else(Vec::new, Message::encode_to_vec));
                        contexts[0].extend(resource.schema_url.as_bytes());
                        contexts[1].extend(scope.scope.as_ref().map_or_else(Vec::new, Message::encode_to_vec));
                        contexts[1].extend(scope.schema_url.as_bytes());
                        rows.push(item.row(contexts));
                    }
                }
            }
        };
    }
    match signal {
        Signal::Traces => rows!(ExportTraceServiceRequest, resource_spans, scope_spans, spans),
        Signal::Logs => rows!(ExportLogsServiceRequest, resource_logs, scope_logs, log_records),
        Signal::Metrics => rows!(ExportMetricsServiceRequest, resource_metrics, scope_metrics, metrics),
    }
    rows.retain(|row| row.count > 0);
    Ok(rows)
}

/// Whether what prost refuses costs us just an item: text, or a value nested too deep, whatever else is wrong in there.
fn costs_an_item(error: &DecodeError, limits: &Limits) -> bool {
    let text = error.to_string();
    let depth = text.matches("AnyValue.value: ").count();
    text.contains("not UTF-8") || text.contains(TOO_DEEP) || depth >= limits.depth as usize
}

const TOO_DEEP: &str = "recursion limit";

/// Limits that a short request reaches.
fn tight() -> Limits {
    Limits { items: 6, contexts: 6, item_bytes: 90, context_bytes: 60, attributes: 3, elements: 12, depth: 3 }
}

/// The target.
pub fn walker(data: &[u8]) {
    let mut draw = Draw::new(data);
    let mode = draw.byte();
    let signal = Signal::ALL[usize::from(mode & 15) % 3];
    let shards = BucketRange::even([1, 1, 3, 64][usize::from(mode >> 4 & 3)]);
    let limits = if mode & 64 == 0 { Limits::default() } else { tight() };
    let generated;
    let body = if mode & 128 == 0 {
        draw.rest()
    } else {
        generated = generate::request(&mut draw, signal);
        &generated
    };
    agree_with_prost(signal, body, &limits, &shards);
}

thread_local! {
    static USED: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// Cuts a body and compares everything that comes of it with what prost reads.
pub fn agree_with_prost(signal: Signal, body: &[u8], limits: &Limits, shards: &[BucketRange]) {
    let request = Request { signal, tenant: "t", body };
    let ours = USED.with_borrow_mut(|scratch| cut(&request, limits, shards, scratch));
    if body.len().is_multiple_of(16) {
        assert_eq!(ours, cut(&request, limits, shards, &mut Scratch::new()), "what was cut before shows");
    }
    let theirs = prost_rows(signal, body);
    match (ours, theirs) {
        (Err(CutError::Invalid(error)), Err(_)) => assert!(error.offset <= body.len(), "{error}"),
        (Err(CutError::TooLarge(_)), _) => {}
        (Err(error), Ok(_)) => panic!("prost takes it: {error}"),
        (Err(error), Err(_)) => panic!("{error}"),
        (Ok(_), Err(error)) if !costs_an_item(&error, limits) => panic!("prost refuses it: {error}"),
        (Ok(cut), theirs) => {
            let rows = theirs.as_ref().ok().filter(|_| {
                // What was refused for its depth, or with its context, cannot be told from what prost kept of it.
                [Reason::Depth, Reason::Context, Reason::Bytes, Reason::Attributes, Reason::Elements]
                    .into_iter()
                    .all(|reason| cut.rejected.of(reason) == 0)
            });
            if let Some(rows) = rows {
                let (fit, unfit): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.ids_fit);
                assert_eq!(cut.accepted, fit.iter().map(|row| row.count).sum::<u64>());
                assert_eq!(cut.rejected.items(), unfit.iter().map(|row| row.count).sum::<u64>());
                same_rows(signal, &cut, &fit, shards);
            } else {
                readable(signal, &cut, limits);
            }
        }
    }
}

/// Every record holds the items of its shard, in the request's order.
fn same_rows(signal: Signal, cut: &Cut, rows: &[&Row], shards: &[BucketRange]) {
    let bucket = |row: &Row| row.trace.map_or_else(|| Bucket::of_batch(&cut.batch_id), |trace| Bucket::of_trace(&trace));
    for record in &cut.records {
        let found = prost_rows(signal, &record.payload).unwrap_or_else(|error| panic!("a payload: {error}"));
        assert_eq!(found.len(), record.items as usize);
        assert_eq!(found.iter().map(|row| row.count).sum::<u64>(), record.count);
        let expected = rows.iter().filter(|row| shards[record.shard].contains(bucket(row)));
        assert_eq!(expected.clone().count(), found.len());
        let mut items = Items::new(&record.payload);
        for ((found, expected), entry) in found.iter().zip(expected).zip(&record.entry_of_item) {
            assert_eq!(found.item, expected.item);
            assert_eq!(found.context, expected.context);
            assert_eq!(record.entries[usize::from(*entry)].bucket, bucket(expected));
            let item = items.next().unwrap().unwrap();
            assert_eq!(item_count(signal, item.bytes), expected.count);
            assert_eq!(item_trace_id(signal, item.bytes), expected.trace);
        }
        assert_eq!(items.next(), Ok(None));
    }
}

/// Whatever was refused, what is left can be read by anybody, and is within the limits.
fn readable(signal: Signal, cut: &Cut, limits: &Limits) {
    let mut total = 0;
    for record in &cut.records {
        let mut items = Items::new(&record.payload);
        let mut count = 0;
        while let Some(item) = items.next().unwrap() {
            assert!(item.bytes.len() <= limits.item_bytes as usize);
            let context = items.context();
            let bytes = [context.resource, context.scope, context.resource_schema_url, context.scope_schema_url];
            assert!(bytes.iter().map(|bytes| bytes.len()).sum::<usize>() <= limits.context_bytes as usize);
            count += item_count(signal, item.bytes);
            total += 1;
        }
        assert_eq!(count, record.count);
        if let Err(error) = prost_rows(signal, &record.payload) {
            assert!(error.to_string().contains(TOO_DEEP), "a payload: {error}");
        }
    }
    assert!(total <= limits.items);
}
