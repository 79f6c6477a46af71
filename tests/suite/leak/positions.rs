//! Every position of an OTLP request that can hold text or bytes, from the descriptors that OpenTelemetry publishes, and
//! requests that hold a text in one of them.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use spanlake_model::Signal;
use spanlake_otlp::wire::{put_fixed64, put_len, put_varint_field};

/// What holds for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Text: what a rule matches is masked.
    Text,
    /// Bytes of any kind: what a rule matches in them as text masks the value.
    Bytes,
    /// An id of 8 or 16 bytes, which is stored as it is. Bytes of another length are refused or removed.
    Id,
}

use Decision::{Bytes, Id, Text};

/// Every field of the protocol that is a string or bytes. A new one has to be decided on here.
const DECIDED: &[(&str, Decision)] = &[
    ("AnyValue.bytes_value", Bytes),
    ("AnyValue.string_value", Text),
    ("EntityRef.description_keys", Text),
    ("EntityRef.id_keys", Text),
    ("EntityRef.schema_url", Text),
    ("EntityRef.type", Text),
    ("Event.name", Text),
    ("Exemplar.span_id", Id),
    ("Exemplar.trace_id", Id),
    ("InstrumentationScope.name", Text),
    ("InstrumentationScope.version", Text),
    ("KeyValue.key", Text),
    ("Link.span_id", Id),
    ("Link.trace_id", Id),
    ("Link.trace_state", Text),
    ("LogRecord.event_name", Text),
    ("LogRecord.severity_text", Text),
    ("LogRecord.span_id", Id),
    ("LogRecord.trace_id", Id),
    ("Metric.description", Text),
    ("Metric.name", Text),
    ("Metric.unit", Text),
    ("ResourceLogs.schema_url", Text),
    ("ResourceMetrics.schema_url", Text),
    ("ResourceSpans.schema_url", Text),
    ("ScopeLogs.schema_url", Text),
    ("ScopeMetrics.schema_url", Text),
    ("ScopeSpans.schema_url", Text),
    ("Span.name", Text),
    ("Span.parent_span_id", Id),
    ("Span.span_id", Id),
    ("Span.trace_id", Id),
    ("Span.trace_state", Text),
    ("Status.message", Text),
];

/// How often a message may stand within itself: a value in a map in a list.
const NESTED_MAX: usize = 3;

// What is needed of `google/protobuf/descriptor.proto`.

#[derive(Clone, PartialEq, Message)]
struct FileSet {
    #[prost(message, repeated, tag = "1")]
    files: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "4")]
    messages: Vec<Description>,
}

#[derive(Clone, PartialEq, Message)]
struct Description {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<Field>,
    #[prost(message, repeated, tag = "3")]
    nested: Vec<Self>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "3")]
    number: u32,
    #[prost(uint32, tag = "5")]
    kind: u32,
    #[prost(string, tag = "6")]
    type_name: String,
}

const STRING: u32 = 9;
const MESSAGE: u32 = 11;
const BYTES: u32 = 12;

/// A field on the way to a position: its message's short name, its own name and number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    message: String,
    name: String,
    number: u32,
}

/// A place in a request that can hold text or bytes.
#[derive(Clone, Debug)]
pub(super) struct Position {
    pub(super) signal: Signal,
    pub(super) decision: Decision,
    steps: Vec<Step>,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.steps.iter().map(|step| step.name.as_str()).collect();
        write!(f, "{}", names.join("."))
    }
}

/// Messages by their full name, and their fields that a request can hold.
fn published() -> BTreeMap<String, Vec<Field>> {
    fn note(scope: &str, message: &Description, into: &mut BTreeMap<String, Vec<Field>>) {
        let name = format!("{scope}.{}", message.name);
        message.nested.iter().for_each(|nested| note(&name, nested, into));
        into.insert(name, message.fields.clone());
    }
    let mut messages = BTreeMap::new();
    for file in FileSet::decode(opentelemetry_proto::DESCRIPTORS).unwrap().files {
        file.messages.iter().for_each(|message| note(&format!(".{}", file.package), message, &mut messages));
    }
    messages
}

/// Every position of every signal, and the fields that nobody has decided on.
pub(super) fn all() -> (Vec<Position>, BTreeSet<String>) {
    let messages = published();
    let mut found = Found { messages: &messages, positions: Vec::new(), undecided: BTreeSet::new() };
    for (signal, package, name) in [
        (Signal::Traces, "trace", "ExportTraceServiceRequest"),
        (Signal::Logs, "logs", "ExportLogsServiceRequest"),
        (Signal::Metrics, "metrics", "ExportMetricsServiceRequest"),
    ] {
        found.visit(signal, &format!(".opentelemetry.proto.collector.{package}.v1.{name}"), &mut Vec::new());
    }
    (found.positions, found.undecided)
}

/// Decided fields that no request has any more.
pub(super) fn outdated(positions: &[Position]) -> Vec<&'static str> {
    let last = |position: &Position| position.steps.last().map(|step| format!("{}.{}", step.message, step.name));
    let found: BTreeSet<String> = positions.iter().filter_map(last).collect();
    DECIDED.iter().map(|(name, _)| *name).filter(|name| !found.contains(*name)).collect()
}

struct Found<'a> {
    messages: &'a BTreeMap<String, Vec<Field>>,
    positions: Vec<Position>,
    undecided: BTreeSet<String>,
}

impl Found<'_> {
    fn visit(&mut self, signal: Signal, full_name: &str, steps: &mut Vec<Step>) {
        let message = full_name.rsplit('.').next().unwrap().to_owned();
        if steps.iter().filter(|step| step.message == message).count() >= NESTED_MAX {
            return;
        }
        for field in &self.messages[full_name] {
            steps.push(Step { message: message.clone(), name: field.name.clone(), number: field.number });
            match field.kind {
                MESSAGE => self.visit(signal, &field.type_name, steps),
                STRING | BYTES => {
                    let name = format!("{message}.{}", field.name);
                    match DECIDED.iter().find(|(decided, _)| *decided == name) {
                        Some((_, decision)) => {
                            self.positions.push(Position { signal, decision: *decision, steps: steps.clone() });
                        }
                        None => drop(self.undecided.insert(name)),
                    }
                }
                _ => {}
            }
            steps.pop();
        }
    }
}

/// Ids for what is sent, all different.
#[derive(Default)]
pub(super) struct Ids(u64);

impl Ids {
    pub(super) fn next(&mut self) -> [u8; 16] {
        self.0 += 1;
        Self::from(self.0)
    }

    pub(super) fn from(number: u64) -> [u8; 16] {
        let mut id = [0xb1; 16];
        id[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        id
    }
}

impl Position {
    /// The content of a request with `text` in this position, and around it what makes it a good request.
    pub(super) fn plant(&self, text: &[u8], ids: &mut Ids) -> Vec<u8> {
        write(&self.steps, text, ids)
    }

    /// Its message and field, and those around it.
    pub(super) fn sort(&self) -> String {
        let near = &self.steps[self.steps.len().saturating_sub(3)..];
        let names: Vec<_> = near.iter().map(|step| format!("{}.{}", step.message, step.name)).collect();
        names.join(" ")
    }

    /// Whether an odd text there makes the item one that is refused.
    pub(super) fn refuses_odd_text(&self) -> bool {
        let step = self.steps.last().unwrap();
        self.decision == Id && matches!(step.message.as_str(), "Span" | "LogRecord")
    }

    /// Whether it is the value of an attribute or of a map's entry.
    pub(super) fn is_value(&self) -> bool {
        let [.., pair, any] = &self.steps[..] else { return false };
        pair.message == "KeyValue" && any.name == "string_value"
    }

    /// As [`Self::plant`], with another name of the attribute or entry.
    pub(super) fn plant_named(&self, name: &str, text: &[u8], ids: &mut Ids) -> Vec<u8> {
        let sent = self.plant(text, ids);
        // The names are of one length, so no length on the way changes.
        let place = sent.windows(NAME.len()).rposition(|window| window == NAME).unwrap();
        assert!(name.len() <= NAME.len(), "{name}");
        let mut longer = vec![b'.'; NAME.len() - name.len()];
        longer.extend_from_slice(name.as_bytes());
        [&sent[..place], &longer[..], &sent[place + NAME.len()..]].concat()
    }
}

/// The name of every planted attribute.
const NAME: &[u8] = b"a.note.of.no.account.with.a.long.name";

fn write(steps: &[Step], text: &[u8], ids: &mut Ids) -> Vec<u8> {
    let [step, rest @ ..] = steps else { return text.to_vec() };
    let mut out = scaffold(&step.message, &step.name, ids);
    put_len(&mut out, step.number, &write(rest, text, ids));
    out
}

/// What a message needs besides the field of this name, to be taken and kept.
fn scaffold(message: &str, besides: &str, ids: &mut Ids) -> Vec<u8> {
    let mut out = Vec::new();
    let mut inner = |number: u32, field: &str, message: &str, out: &mut Vec<u8>| {
        if field != besides {
            put_len(out, number, &scaffold(message, "", ids));
        }
    };
    match message {
        "ResourceSpans" => inner(2, "scope_spans", "ScopeSpans", &mut out),
        "ResourceLogs" => inner(2, "scope_logs", "ScopeLogs", &mut out),
        "ResourceMetrics" => inner(2, "scope_metrics", "ScopeMetrics", &mut out),
        "ScopeSpans" => inner(2, "spans", "Span", &mut out),
        "ScopeLogs" => inner(2, "log_records", "LogRecord", &mut out),
        "ScopeMetrics" => inner(2, "metrics", "Metric", &mut out),
        "Metric" if !["gauge", "sum", "histogram", "exponential_histogram", "summary"].contains(&besides) => {
            inner(5, "gauge", "Gauge", &mut out);
        }
        "Gauge" => inner(1, "data_points", "NumberDataPoint", &mut out),
        "NumberDataPoint" => put_fixed64(&mut out, 6, 7),
        "Span" => span(besides, ids, &mut out),
        "KeyValue" if besides != "key" => put_len(&mut out, 1, NAME),
        "KeyValue" => put_len(&mut out, 2, b"\x0a\x01v"),
        _ => {}
    }
    out
}

/// A span of a trace of its own, which the seed's policies keep since it is an error.
fn span(besides: &str, ids: &mut Ids, out: &mut Vec<u8>) {
    let id = ids.next();
    if besides != "trace_id" {
        put_len(out, 1, &id);
    }
    if besides != "span_id" {
        put_len(out, 2, &id[..8]);
    }
    put_fixed64(out, 7, 1_790_000_000_000_000_000);
    put_fixed64(out, 8, 1_790_000_000_500_000_000);
    let mut status = Vec::new();
    put_varint_field(&mut status, 3, 2);
    put_len(out, 15, &status);
}
