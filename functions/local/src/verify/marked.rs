//! What is sent: one trace with an error, a log record and a data point, all marked with the run.

use std::hash::{BuildHasher, Hasher, RandomState};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use spanlake_model::{Signal, SpanId, TraceId};

use crate::demo::{Request, int, string, text};

/// The service of every marked item.
pub(super) const SERVICE: &str = "spanlake-verify";

/// The attribute that holds the run.
const RUN: &str = "verify.run";

const NANOS_PER_MS: u64 = 1_000_000;

/// A statement, and the rows that it must answer.
pub(super) struct Expected {
    pub(super) what: &'static str,
    pub(super) sql: String,
    pub(super) rows: Vec<Vec<String>>,
}

/// The items of one run.
pub(super) struct Marked {
    pub(super) trace: TraceId,
    spans: Vec<Span>,
    run: String,
    now_nanos: u64,
    /// What a span, a record and a point hold that only this run sent.
    number: u64,
}

/// 64 bits that no other run has: the keys of a hash table are drawn by the system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl Marked {
    pub(super) fn new(now_nanos: u64) -> Self {
        let mut id = [0; 16];
        id.iter_mut().zip(random().to_be_bytes().into_iter().chain(random().to_be_bytes())).for_each(|(to, from)| *to = from);
        let number = random() % 1_000_000;
        let mut marked = Self { trace: TraceId(id), spans: Vec::new(), run: format!("run-{number}"), now_nanos, number };
        let (root, call, failure) =
            (SpanId(random().to_be_bytes()), SpanId(random().to_be_bytes()), SpanId(random().to_be_bytes()));
        marked.spans = vec![
            marked.span(root, SpanId::default(), ("verify the path", 2, 0), 0..90),
            marked.span(call, root, ("verify a call", 3, 0), 10..80),
            marked.span(failure, call, ("verify an error", 1, 2), 20..70),
        ];
        marked
    }

    fn span(&self, id: SpanId, parent: SpanId, (name, kind, status): (&str, i32, i32), ms: std::ops::Range<u64>) -> Span {
        let message = if status == 2 { "this error is meant: spanlake verify sent it" } else { "" };
        Span {
            trace_id: self.trace.0.to_vec(),
            span_id: id.0.to_vec(),
            parent_span_id: if parent.is_zero() { Vec::new() } else { parent.0.to_vec() },
            name: name.to_owned(),
            kind,
            start_time_unix_nano: self.now_nanos + ms.start * NANOS_PER_MS,
            end_time_unix_nano: self.now_nanos + ms.end * NANOS_PER_MS,
            attributes: self.attributes(),
            status: Some(Status { code: status, message: message.to_owned() }),
            ..Span::default()
        }
    }

    fn attributes(&self) -> Vec<KeyValue> {
        vec![string(RUN, self.run.as_str()), int("verify.number", self.number)]
    }

    /// How many spans the trace has.
    pub(super) fn span_ids(&self) -> Vec<SpanId> {
        self.spans.iter().filter_map(|span| SpanId::from_slice(&span.span_id)).collect()
    }

    /// One request for each signal.
    pub(super) fn requests(&self) -> Vec<Request> {
        let resource = Some(Resource { attributes: vec![string("service.name", SERVICE)], ..Resource::default() });
        let scope_spans = vec![ScopeSpans { spans: self.spans.clone(), ..ScopeSpans::default() }];
        let spans = ResourceSpans { resource: resource.clone(), scope_spans, ..ResourceSpans::default() };
        let scope_logs = vec![ScopeLogs { log_records: vec![self.record()], ..ScopeLogs::default() }];
        let logs = ResourceLogs { resource: resource.clone(), scope_logs, ..ResourceLogs::default() };
        let scope_metrics = vec![ScopeMetrics { metrics: vec![self.metric()], ..ScopeMetrics::default() }];
        let metrics = ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() };
        let spans = ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec();
        let logs = ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec();
        let metrics = ExportMetricsServiceRequest { resource_metrics: vec![metrics] }.encode_to_vec();
        let items = self.spans.len() as u64;
        vec![request(Signal::Traces, items, spans), request(Signal::Logs, 1, logs), request(Signal::Metrics, 1, metrics)]
    }

    fn record(&self) -> LogRecord {
        let failure = self.spans.last().cloned().unwrap_or_default();
        LogRecord {
            time_unix_nano: self.now_nanos,
            observed_time_unix_nano: self.now_nanos,
            severity_number: 9,
            severity_text: "INFO".to_owned(),
            body: Some(text(self.body())),
            attributes: self.attributes(),
            trace_id: self.trace.0.to_vec(),
            span_id: failure.span_id,
            ..LogRecord::default()
        }
    }

    fn body(&self) -> String {
        format!("spanlake verify, number {}", self.number)
    }

    fn metric(&self) -> Metric {
        let point = NumberDataPoint {
            time_unix_nano: self.now_nanos,
            attributes: self.attributes(),
            value: Some(Value::AsInt(self.number.cast_signed())),
            ..NumberDataPoint::default()
        };
        let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
        Metric { name: "spanlake.verify".to_owned(), data, ..Metric::default() }
    }

    /// What the lake must answer. `since` is a day, `2026-11-21`, from which on files are read.
    pub(super) fn expected(&self, since: &str) -> [Expected; 3] {
        let Self { trace, run, number, now_nanos, .. } = self;
        let own = format!("dt >= '{since}' AND service_name = '{SERVICE}' AND element_at(attributes, '{RUN}') = '{run}'");
        let marks = format!("element_at(attributes, '{RUN}'), element_at(attributes, 'verify.number')");
        let marked = [run.clone(), number.to_string()];
        let row = |cells: &[String]| [cells, &marked].concat();
        let mut spans: Vec<Vec<String>> = self.spans.iter().map(|span| row(&cells(span))).collect();
        spans.sort();
        let in_span = self.spans.last().map(|span| hex(&span.span_id)).unwrap_or_default();
        let record = [now_nanos.to_string(), "INFO".to_owned(), self.body(), in_span];
        let point = ["spanlake.verify".to_owned(), now_nanos.to_string(), number.to_string()];
        [
            Expected {
                what: "spans",
                sql: format!(
                    "SELECT span_id, parent_span_id, name, kind, status_code, status_message, start_unix_nano, duration_nano, {marks} \
                     FROM spans WHERE dt >= '{since}' AND trace_id = '{trace}' ORDER BY span_id"
                ),
                rows: spans,
            },
            Expected {
                what: "log records",
                sql: format!(
                    "SELECT time_unix_nano, severity_text, body, span_id, {marks} FROM logs WHERE {own} AND trace_id = '{trace}'"
                ),
                rows: vec![row(&record)],
            },
            Expected {
                what: "data points",
                sql: format!("SELECT name, time_unix_nano, int_value, {marks} FROM metrics_number WHERE {own}"),
                rows: vec![row(&point)],
            },
        ]
    }
}

fn request(signal: Signal, items: u64, body: Vec<u8>) -> Request {
    Request {
        due_ms: 0,
        signal,
        items,
        refused: 0,
        content_type: "application/x-protobuf",
        content_encoding: None,
        raw_bytes: body.len() as u64,
        body,
        is_repeated: false,
    }
}

/// A span as the lake shows it.
fn cells(span: &Span) -> Vec<String> {
    let kind = spanlake_table::kind_name(u8::try_from(span.kind).unwrap_or_default());
    let status = span.status.clone().unwrap_or_default();
    let code = spanlake_table::status_name(u8::try_from(status.code).unwrap_or_default());
    let duration = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
    let (id, parent, start) = (hex(&span.span_id), hex(&span.parent_span_id), span.start_time_unix_nano.to_string());
    vec![id, parent, span.name.clone(), kind.to_owned(), code.to_owned(), status.message, start, duration.to_string()]
}

fn hex(id: &[u8]) -> String {
    SpanId::from_slice(id).map(|id| id.to_string()).unwrap_or_default()
}
