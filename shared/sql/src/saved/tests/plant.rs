//! A small lake whose rows are known.

use std::fs;
use std::path::Path;

use spanlake_model::Signal;
use spanlake_otlp::wire::{put_fixed64, put_len, put_varint_field};
use spanlake_table::{
    Context, DecisionRow, EdgeRow, FileMeta, Item, RED_BUCKETS, RedRow, Sampling, TableFile, TraceFacts, service_name,
    trace_summary, write_decisions, write_edges, write_items, write_red, write_traces,
};

/// 2026-01-01T12:00:00Z.
pub(super) const NOW: i64 = 1_767_268_800;
/// The trace that failed.
pub(super) const TRACE: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
/// Half an hour before.
const THEN: i64 = (NOW - 1_800) * 1_000_000_000;
const META: FileMeta<'static> = FileMeta { pairs: &[] };

fn text_value(text: &str) -> Vec<u8> {
    let mut value = Vec::new();
    put_len(&mut value, 1, text.as_bytes());
    value
}

fn attribute(message: &mut Vec<u8>, field: u32, key: &str, value: &[u8]) {
    let mut pair = Vec::new();
    put_len(&mut pair, 1, key.as_bytes());
    put_len(&mut pair, 2, value);
    put_len(message, field, &pair);
}

fn resource(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    attribute(&mut message, 1, "service.name", &text_value(service));
    message
}

struct Planted<'a> {
    trace: u8,
    span: u8,
    parent: u8,
    name: &'a str,
    kind: u64,
    ms: u64,
    attributes: &'a [(&'a str, &'a str)],
    status: u64,
    is_error: bool,
}

impl Planted<'_> {
    fn encode(&self, offset: u64) -> Vec<u8> {
        let mut span = Vec::new();
        put_len(&mut span, 1, &[self.trace; 16]);
        put_len(&mut span, 2, &[0, 0, 0, 0, 0, 0, 0, self.span]);
        if self.parent > 0 {
            put_len(&mut span, 4, &[0, 0, 0, 0, 0, 0, 0, self.parent]);
        }
        put_len(&mut span, 5, self.name.as_bytes());
        put_varint_field(&mut span, 6, self.kind);
        let start = THEN.cast_unsigned() + offset;
        put_fixed64(&mut span, 7, start);
        put_fixed64(&mut span, 8, start + self.ms * 1_000_000);
        for (key, value) in self.attributes {
            attribute(&mut span, 9, key, &text_value(value));
        }
        if self.status > 0 {
            let mut number = Vec::new();
            put_varint_field(&mut number, 3, self.status);
            attribute(&mut span, 9, "http.response.status_code", &number);
        }
        if self.is_error {
            let mut status = Vec::new();
            put_varint_field(&mut status, 3, 2);
            put_len(&mut span, 15, &status);
        }
        span
    }
}

fn store(data: &Path, partition: &str, file: &TableFile) {
    let folder = data.join("lake/v1").join(file.table).join(partition);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("0.parquet"), &file.bytes).unwrap();
}

const TODAY: &str = "dt=2026-01-01/hour=11";

fn item(context: u32, bytes: &[u8], weight: f64, is_late: bool) -> Item<'_> {
    Item { context, bytes, arrival_nanos: THEN, sampling: Sampling { policy: "errors", weight, is_late } }
}

/// Writes the lake: ten requests of 100 ms, a failed trace of three spans, and what belongs to them.
pub(super) fn plant(data: &Path) {
    let (shop, cart) = (resource("shop"), resource("cart"));
    let contexts = [Context { resource: &shop, ..Context::default() }, Context { resource: &cart, ..Context::default() }];
    spans(data, &contexts);
    logs(data, &contexts);
    metrics(data, &contexts);
    derived(data);
}

fn spans(data: &Path, contexts: &[Context<'_>]) {
    let good = Planted {
        trace: 1,
        span: 1,
        parent: 0,
        name: "GET /pay",
        kind: 2,
        ms: 100,
        attributes: &[("http.route", "/pay")],
        status: 200,
        is_error: false,
    };
    let bad = Planted {
        trace: 0xbb,
        span: 0xbb,
        ms: 900,
        attributes: &[("http.route", "/pay"), ("error.type", "declined")],
        status: 500,
        is_error: true,
        ..good
    };
    let call = Planted {
        span: 0xcc,
        parent: 0xbb,
        name: "charge",
        kind: 3,
        ms: 50,
        attributes: &[("peer.service", "bank"), ("error.type", "timeout")],
        status: 0,
        ..bad
    };
    let select = Planted {
        span: 0xdd,
        name: "SELECT orders",
        ms: 5,
        attributes: &[("db.system.name", "postgresql"), ("db.operation.name", "SELECT")],
        is_error: false,
        ..call
    };
    let mut bytes: Vec<_> = (0..10).map(|offset| good.encode(offset)).collect();
    bytes.extend([bad.encode(10), call.encode(11), select.encode(12)]);
    let mut items: Vec<_> = bytes[..10].iter().map(|bytes| item(0, bytes, 2.0, false)).collect();
    items.extend([item(0, &bytes[10], 1.0, true), item(1, &bytes[11], 1.0, false), item(1, &bytes[12], 4.0, false)]);
    store(data, TODAY, &write_items(Signal::Traces, contexts, &items, &META).unwrap().files[0]);
    let members: Vec<_> = items[10..].iter().map(|item| (item.context, item.bytes)).collect();
    let facts = TraceFacts { trace_id: &[0xbb; 16], policy: "errors", weight: 1.0, is_complete: true, ingest_nanos: THEN };
    let services: Vec<_> = contexts.iter().map(|context| service_name(context.resource)).collect();
    let trace = trace_summary(&services, &members, facts).unwrap();
    store(data, TODAY, &write_traces(&[trace], &META).unwrap());
}

fn logs(data: &Path, contexts: &[Context<'_>]) {
    let log = |severity: u64, text: &str, body: &str, trace: &[u8]| {
        let mut log = Vec::new();
        put_fixed64(&mut log, 1, THEN.cast_unsigned());
        put_varint_field(&mut log, 2, severity);
        put_len(&mut log, 3, text.as_bytes());
        put_len(&mut log, 5, &text_value(body));
        put_len(&mut log, 9, trace);
        log
    };
    let (bad, good) = (log(17, "ERROR", "card declined", &[0xbb; 16]), log(9, "INFO", "paid", &[1; 16]));
    let items = [item(0, &bad, 1.0, false), item(0, &bad, 1.0, false), item(0, &good, 1.0, false)];
    store(data, TODAY, &write_items(Signal::Logs, contexts, &items, &META).unwrap().files[0]);
}

fn metrics(data: &Path, contexts: &[Context<'_>]) {
    let (mut point, mut gauge, mut metric) = (Vec::new(), Vec::new(), Vec::new());
    put_fixed64(&mut point, 3, THEN.cast_unsigned());
    put_fixed64(&mut point, 6, 7);
    for _ in 0..3 {
        put_len(&mut gauge, 1, &point);
    }
    put_len(&mut metric, 1, b"queue.depth");
    put_len(&mut metric, 5, &gauge);
    store(data, TODAY, &write_items(Signal::Metrics, contexts, &[item(0, &metric, 1.0, false)], &META).unwrap().files[0]);
}

fn derived(data: &Path) {
    let mut counts = [0; RED_BUCKETS];
    (counts[6], counts[10]) = (90, 10);
    let red = |minute_nanos, requests, errors, counts| RedRow {
        minute_nanos,
        service_name: "shop",
        deployment_environment: "",
        operation: "GET /pay",
        kind: "SERVER",
        status_code: "UNSET",
        requests,
        errors,
        duration_sum_nano: 1,
        duration_min_nano: 1,
        duration_max_nano: 1,
        bucket_counts: counts,
        ingest_nanos: minute_nanos,
    };
    store(data, TODAY, &write_red(&[red(THEN, 100, 10, &counts)], &META).unwrap());
    let before = THEN - 30 * 3_600 * 1_000_000_000;
    store(data, "dt=2025-12-31/hour=05", &write_red(&[red(before, 50, 1, &counts)], &META).unwrap());
    let edge = EdgeRow {
        minute_nanos: THEN,
        caller_service: "shop",
        callee_service: "cart",
        kind: "CLIENT",
        requests: 40,
        errors: 4,
        duration_sum_nano: 80_000_000,
        bucket_counts: &counts,
        ingest_nanos: THEN,
    };
    store(data, TODAY, &write_edges(&[edge], &META).unwrap());
    let kept = DecisionRow {
        trace_id: &[0xbb; 16],
        decided_nanos: THEN,
        window_start_nanos: THEN - 10_000_000_000,
        verdict: "kept",
        policy: "errors",
        weight: 1.0,
        votes: &[("errors", "sampled")],
        span_count: 13,
        error_count: 2,
        wait_ms: 10_000,
        is_complete: true,
        rules_version: "r1",
    };
    let dropped = DecisionRow {
        trace_id: &[0xcc; 16],
        verdict: "sampled_out",
        policy: "sample",
        weight: 0.0,
        votes: &[],
        span_count: 5,
        error_count: 0,
        ..kept
    };
    store(
        data,
        TODAY,
        &write_decisions(&[kept, dropped], &META, |row| match row {
            0 => vec![("errors", "2 of 13 spans have status ERROR".to_owned())],
            _ => Vec::new(),
        })
        .unwrap(),
    );
}
