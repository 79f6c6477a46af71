use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::*;

pub(super) fn span() -> Span {
    Span { trace_id: vec![1; 16], span_id: vec![2; 8], name: "op".to_owned(), ..Default::default() }
}

pub(super) fn encoded(span: &Span) -> Vec<u8> {
    span.encode_to_vec()
}

fn event() -> Event {
    let attributes = vec![text("exception.type", "Oops"), text("exception.message", "it broke")];
    Event { time_unix_nano: TIME + 1, name: "exception".to_owned(), attributes, ..Default::default() }
}

fn full() -> Span {
    Span {
        trace_state: "a=b".to_owned(),
        parent_span_id: vec![0xab; 8],
        flags: 0x101,
        kind: 2,
        start_time_unix_nano: TIME,
        end_time_unix_nano: TIME + 77,
        attributes: vec![
            text("z", "last"),
            text("http.route", "/cart/{id}"),
            int("n", 7),
            attribute("d", Any::DoubleValue(0.1)),
            attribute("big", Any::DoubleValue(1e300)),
            attribute("nan", Any::DoubleValue(f64::NAN)),
            attribute("b", Any::BoolValue(true)),
            attribute("raw", Any::BytesValue(vec![0, 255])),
            attribute(
                "list",
                array(vec![Any::IntValue(1), Any::StringValue("x\"y".to_owned()), Any::DoubleValue(f64::INFINITY)]),
            ),
            attribute("map", map(vec![int("q", 2), text("p", "1"), int("q", 3), attribute("e", array(Vec::new()))])),
            text("n", "later"),
            KeyValue { key: "empty".to_owned(), value: Some(AnyValue::default()), ..Default::default() },
        ],
        dropped_attributes_count: 1,
        events: vec![Event { name: "start".to_owned(), ..Default::default() }, event(), event()],
        dropped_events_count: 2,
        links: vec![Link {
            trace_id: vec![3; 16],
            span_id: vec![4; 8],
            trace_state: "l=1".to_owned(),
            attributes: vec![int("k", 5)],
            ..Default::default()
        }],
        dropped_links_count: u32::MAX,
        status: Some(Status { code: 2, message: "failed".to_owned() }),
        ..span()
    }
}

#[test]
fn every_field_of_a_span_is_read_back() {
    let exception = json!({"exception.type": "Oops", "exception.message": "it broke"});
    let event = json!({"time_unix_nano": TIME + 1, "name": "exception", "attributes": exception});
    let expected = json!({
        "start_time": TIME_MICROS, "start_unix_nano": TIME, "duration_nano": 77,
        "trace_id": "01".repeat(16), "span_id": "02".repeat(8), "parent_span_id": "ab".repeat(8),
        "trace_state": "a=b", "flags": 0x101, "name": "op", "kind": "SERVER",
        "status_code": "ERROR", "status_message": "failed", "is_root": false, "is_error": true,
        "service_name": "shop", "deployment_environment": "test",
        "http_route": "/cart/{id}", "exception_type": "Oops", "exception_message": "it broke",
        "attributes": {
            "z": "last", "n": "later", "d": "0.1", "big": "1e300", "nan": "NaN", "b": "true", "raw": "AP8=",
            "list": r#"[1,"x\"y","Infinity"]"#, "map": r#"{"e":[],"p":"1","q":3}"#, "empty": null,
        },
        "resource_attributes": {"os.type": "linux"}, "scope_attributes": {"team": "shop"},
        "scope_name": "lib", "scope_version": "1.2",
        "events": [{"time_unix_nano": 0, "name": "start", "attributes": {}}, event, event],
        "links": [{"trace_id": "03".repeat(16), "span_id": "04".repeat(8), "trace_state": "l=1", "attributes": {"k": "5"}}],
        "dropped_attributes_count": 1, "dropped_events_count": 2, "dropped_links_count": i32::MAX,
        "sampling_policy": "errors", "sampling_weight": 2.5, "is_late": true,
        "ingest_time": TIME_MICROS, "schema_version": 1,
    });
    assert_eq!(only_row(&write(Signal::Traces, &[encoded(&full())])), expected);
}

#[test]
fn times_that_do_not_fit_are_saturated() {
    let hostile = Span { start_time_unix_nano: u64::MAX, end_time_unix_nano: 1, ..span() };
    let row = only_row(&write(Signal::Traces, &[encoded(&hostile)]));
    assert_eq!((&row["start_unix_nano"], &row["duration_nano"]), (&json!(i64::MAX), &json!(0)));
    let endless = Span { end_time_unix_nano: u64::MAX, ..span() };
    assert_eq!(only_row(&write(Signal::Traces, &[encoded(&endless)]))["duration_nano"], json!(i64::MAX));
}

#[test]
fn a_malformed_span_does_not_cost_its_neighbours() {
    let mut truncated = encoded(&full());
    truncated.pop();
    let mut bad_inside = encoded(&span());
    bad_inside.extend([0x4a, 0x02, 0x0a, 0x05]);
    let no_id = encoded(&Span { trace_id: Vec::new(), ..span() });
    let mut bad_text = encoded(&span());
    bad_text.extend([0x2a, 0x02, b'o', 0xff]);
    let files = write(Signal::Traces, &[truncated, encoded(&full()), bad_inside, no_id, bad_text]);
    let names: Vec<_> = rows(&files[0]).iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names, ["op", "o\u{fffd}"]);
    assert_eq!(files[0].bad_items, 3);
}

#[test]
fn only_malformed_items_are_told_without_a_file() {
    let files = write(Signal::Traces, &[vec![0xff]]);
    assert_eq!((files[0].rows, files[0].bytes.len(), files[0].bad_items), (0, 0, 1));
    assert!(write(Signal::Traces, &[]).is_empty());
}

#[test]
fn rows_are_ordered_by_service_name_and_start() {
    let resources = [resource("web"), resource("auth")];
    let contexts =
        resources.each_ref().map(|resource| Context { resource, resource_schema_url: "", scope: &[], scope_schema_url: "" });
    let spans = [(0, "b", 1), (0, "a", 9), (1, "z", 1), (0, "a", 3), (7, "lost", 1)]
        .map(|(context, name, start)| (context, encoded(&Span { name: name.to_owned(), start_time_unix_nano: start, ..span() })));
    let sampling = Sampling { policy: "", weight: 1.0, is_late: false };
    let items = spans.each_ref().map(|(context, bytes)| Item { context: *context, bytes, arrival_nanos: -1, sampling });
    let files = write_items(Signal::Traces, &contexts, &items, &FileMeta::default()).unwrap();
    let order: Vec<_> = rows(&files[0]).iter().map(|row| (row["name"].clone(), row["start_unix_nano"].clone())).collect();
    assert_eq!(order, [("z", 1), ("a", 3), ("a", 9), ("b", 1)].map(|(name, start)| (json!(name), json!(start))));
    assert_eq!((files[0].bad_items, rows(&files[0])[0]["ingest_time"].clone()), (1, json!(-1000)));
}
