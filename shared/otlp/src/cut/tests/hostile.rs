//! Limits: what is refused whole, what costs just an item, and what memory it takes.

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};

use super::*;
use crate::wire::put_len;

fn good() -> Span {
    Span { trace_id: vec![1; 16], span_id: vec![1; 8], name: "good".to_owned(), ..Default::default() }
}

fn body_of(spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] }.encode_to_vec()
}

/// Cuts a bad span between two good ones; the good ones must come through.
fn refused(bad: Span) -> Rejected {
    let cut = cut_one(Signal::Traces, &body_of(vec![good(), bad, good()]));
    assert_eq!(cut.accepted, 2);
    assert_eq!(read_rows(&cut.records[0]).len(), 2);
    cut.rejected
}

fn nested(depth: usize) -> KeyValue {
    let leaf = AnyValue { value: Some(Value::BoolValue(true)) };
    let value = (1..depth).fold(leaf, |inner, _| AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: vec![inner] })) });
    KeyValue { key: "k".to_owned(), value: Some(value), ..Default::default() }
}

#[test]
fn a_span_with_a_bad_id_costs_its_neighbours_nothing() {
    for id in [vec![], vec![0; 16], vec![1; 15], vec![1; 17]] {
        assert_eq!(refused(Span { trace_id: id, ..good() }).of(Reason::TraceId), 1);
    }
    for id in [vec![], vec![0; 8], vec![1; 7]] {
        assert_eq!(refused(Span { span_id: id, ..good() }).of(Reason::SpanId), 1);
    }
    assert_eq!(refused(Span { parent_span_id: vec![1; 9], ..good() }).of(Reason::ParentSpanId), 1);
    let odd = Link { trace_id: vec![1], span_id: vec![2; 30], ..Default::default() };
    let cut = cut_one(Signal::Traces, &body_of(vec![Span { links: vec![odd], ..good() }]));
    assert_eq!((cut.accepted, cut.rejected.items()), (1, 0));
}

#[test]
fn a_span_beyond_an_item_limit_costs_its_neighbours_nothing() {
    let limits = Limits::default();
    let attributes = vec![KeyValue::default(); limits.attributes as usize + 1];
    let events = vec![Event::default(); limits.elements as usize + 1];
    let name = "x".repeat(limits.item_bytes as usize);
    assert_eq!(refused(Span { attributes, ..good() }).of(Reason::Attributes), 1);
    assert_eq!(refused(Span { events, ..good() }).of(Reason::Elements), 1);
    assert_eq!(refused(Span { name, ..good() }).of(Reason::Bytes), 1);
    assert_eq!(refused(Span { attributes: vec![nested(33)], ..good() }).of(Reason::Depth), 1);
    let cut = cut_one(Signal::Traces, &body_of(vec![Span { attributes: vec![nested(32)], ..good() }]));
    assert_eq!((cut.accepted, cut.rejected.items()), (1, 0));
}

#[test]
fn text_that_is_not_utf8_costs_just_its_item_or_what_is_under_it() {
    let mut body = body_of(vec![good(), Span { name: "evil".to_owned(), ..good() }, good()]);
    let at = body.windows(4).position(|window| window == b"evil").unwrap();
    body[at] = 0xff;
    let cut = cut_one(Signal::Traces, &body);
    assert_eq!((cut.accepted, cut.rejected.of(Reason::Text)), (2, 1));
    assert_eq!(cut.rejected.reasons(Signal::Traces), "1 span with text that is not UTF-8");

    let attribute = KeyValue { key: "evil".to_owned(), value: None, ..Default::default() };
    let mut body = body_of(vec![Span { attributes: vec![attribute], ..good() }, good()]);
    let at = body.windows(4).position(|window| window == b"evil").unwrap();
    body[at] = 0xff;
    assert_eq!(cut_one(Signal::Traces, &body).rejected.of(Reason::Text), 1);

    let mut body = spans_body(&[(1, 1), (2, 1)], 4);
    let at = body.windows(4).position(|window| window == b"rrrr").unwrap();
    body[at] = 0xff;
    body.extend(spans_body(&[(3, 1)], 4));
    let cut = cut_one(Signal::Traces, &body);
    assert_eq!((cut.accepted, cut.rejected.of(Reason::Context)), (1, 2));
}

#[test]
fn a_context_beyond_its_limit_refuses_what_is_under_it() {
    let mut body = spans_body(&[(1, 1), (2, 1)], 256 * 1024);
    body.extend(spans_body(&[(3, 1)], 4));
    let cut = cut_one(Signal::Traces, &body);
    assert_eq!((cut.accepted, cut.rejected.of(Reason::Context)), (1, 2));
}

#[test]
fn floods_of_empty_messages_are_refused_with_the_limit_named_and_little_memory() {
    let empty_items = [0x12, 0].repeat(1 << 20);
    let mut scope = Vec::new();
    put_len(&mut scope, 2, &empty_items);
    let mut items = Vec::new();
    put_len(&mut items, 1, &scope);
    let mut scopes = Vec::new();
    put_len(&mut scopes, 1, &empty_items);
    let resources = [0x0a, 0].repeat(1 << 20);
    let limits = Limits::default();
    for (body, text) in [
        (items, "more than 65536 items in a request"),
        (scopes, "more than 4096 resources and scopes in a request"),
        (resources, "more than 4096 resources and scopes in a request"),
    ] {
        for signal in Signal::ALL {
            let mut scratch = Scratch::new();
            let error =
                cut(&Request { signal, tenant: "", body: &body }, &limits, &[BucketRange::ALL], &mut scratch).unwrap_err();
            assert_eq!(error.to_string(), text);
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            assert!(scratch.capacity_bytes() < 4 << 20, "{}", scratch.capacity_bytes());
        }
    }
}

#[test]
fn a_flood_of_small_valid_items_takes_memory_in_proportion_to_the_item_limit() {
    let spans: Vec<_> = (0..65_536_u32)
        .map(|n| Span { trace_id: [n.to_be_bytes(); 4].concat(), span_id: vec![1; 8], ..Default::default() })
        .map(|span| if span.trace_id == [0; 16] { good() } else { span })
        .collect();
    let body = body_of(spans);
    let mut scratch = Scratch::new();
    let request = Request { signal: Signal::Traces, tenant: "", body: &body };
    let cut = cut(&request, &Limits::default(), &BucketRange::even(4), &mut scratch).unwrap();
    assert_eq!(cut.accepted, 65_536);
    assert!(scratch.capacity_bytes() < 8 << 20, "{}", scratch.capacity_bytes());
}

#[test]
fn a_metric_without_points_is_dropped_silently() {
    // A name, then a gauge with one point, then a sum with none: the sum counts.
    let metric = [0x0a, 1, b'm', 0x2a, 2, 0x0a, 0, 0x3a, 0];
    let mut scope = Vec::new();
    put_len(&mut scope, 2, &metric);
    put_len(&mut scope, 2, &metric[..7]);
    let mut resource = Vec::new();
    put_len(&mut resource, 2, &scope);
    let mut body = Vec::new();
    put_len(&mut body, 1, &resource);
    let cut = cut_one(Signal::Metrics, &body);
    assert_eq!((cut.accepted, cut.rejected.items(), cut.records[0].items), (1, 0, 1));
}

#[test]
fn a_log_record_needs_no_ids_but_odd_ones_are_refused() {
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    let log = |trace: usize, span: usize| LogRecord { trace_id: vec![0; trace], span_id: vec![0; span], ..Default::default() };
    let log_records = vec![log(0, 0), log(16, 8), log(15, 0), log(16, 7)];
    let scope_logs = vec![ScopeLogs { log_records, ..Default::default() }];
    let body = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] };
    let cut = cut_one(Signal::Logs, &body.encode_to_vec());
    assert_eq!(cut.accepted, 2);
    assert_eq!((cut.rejected.of(Reason::TraceId), cut.rejected.of(Reason::SpanId)), (1, 1));
    assert_eq!(cut.records[0].entries[0].bucket, Bucket::of_batch(&cut.batch_id));
}
