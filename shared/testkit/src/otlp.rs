//! Builders of OTLP requests, straight to the wire.

use spanlake_model::{SpanId, TraceId};
use spanlake_otlp::wire::{put_fixed64, put_len, put_varint_field};

/// A span to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanSpec {
    /// Its trace.
    pub trace: TraceId,
    /// Its id.
    pub id: SpanId,
    /// Its parent; zeros for a root.
    pub parent: SpanId,
    /// Its name.
    pub name: String,
    /// OTLP `SpanKind`.
    pub kind: u8,
    /// Start, Unix nanoseconds.
    pub start_nanos: u64,
    /// End, Unix nanoseconds.
    pub end_nanos: u64,
    /// OTLP `StatusCode`.
    pub status: u8,
    /// String attributes.
    pub attributes: Vec<(String, String)>,
}

fn attribute(key: &str, value: &str) -> Vec<u8> {
    let mut any = Vec::new();
    put_len(&mut any, 1, value.as_bytes());
    let mut out = Vec::new();
    put_len(&mut out, 1, key.as_bytes());
    put_len(&mut out, 2, &any);
    out
}

fn resource(service: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_len(&mut out, 1, &attribute("service.name", service));
    out
}

fn span(spec: &SpanSpec) -> Vec<u8> {
    let mut out = Vec::new();
    put_len(&mut out, 1, &spec.trace.0);
    put_len(&mut out, 2, &spec.id.0);
    if !spec.parent.is_zero() {
        put_len(&mut out, 4, &spec.parent.0);
    }
    put_len(&mut out, 5, spec.name.as_bytes());
    put_varint_field(&mut out, 6, u64::from(spec.kind));
    put_fixed64(&mut out, 7, spec.start_nanos);
    put_fixed64(&mut out, 8, spec.end_nanos);
    for (key, value) in &spec.attributes {
        put_len(&mut out, 9, &attribute(key, value));
    }
    if spec.status != 0 {
        let mut status = Vec::new();
        put_varint_field(&mut status, 3, u64::from(spec.status));
        put_len(&mut out, 15, &status);
    }
    out
}

/// An `ExportTraceServiceRequest` of one service's spans.
#[must_use]
pub fn trace_request(service: &str, spans: &[SpanSpec]) -> Vec<u8> {
    request(service, spans.iter().map(span))
}

/// An `ExportLogsServiceRequest` of one service's records: trace id (zeros for none) and body.
#[must_use]
pub fn logs_request(service: &str, records: &[(TraceId, String)]) -> Vec<u8> {
    request(
        service,
        records.iter().map(|(trace, body)| {
            let mut any = Vec::new();
            put_len(&mut any, 1, body.as_bytes());
            let mut out = Vec::new();
            put_fixed64(&mut out, 1, 1_700_000_000_000_000_000);
            put_len(&mut out, 5, &any);
            if !trace.is_zero() {
                put_len(&mut out, 9, &trace.0);
            }
            out
        }),
    )
}

fn request(service: &str, items: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut scope_items = Vec::new();
    items.for_each(|item| put_len(&mut scope_items, 2, &item));
    let mut group = Vec::new();
    put_len(&mut group, 1, &resource(service));
    put_len(&mut group, 2, &scope_items);
    let mut out = Vec::new();
    put_len(&mut out, 1, &group);
    out
}
