use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use spanlake_model::TraceId;

use super::spans::{encoded, span};
use super::*;
use crate::{
    DecisionRow, EdgeRow, RED_BOUNDS_NANO, RED_BUCKETS, RedRow, trace_row, write_decisions, write_edges, write_red, write_traces,
};

const SAMPLING: Sampling<'_> = Sampling { policy: "slow", weight: 4.0, is_late: false };

fn arrival() -> i64 {
    i64::try_from(TIME).unwrap()
}

#[test]
fn a_trace_is_summed_up_from_its_spans() {
    let times = |start, end| Span { start_time_unix_nano: start, end_time_unix_nano: end, ..span() };
    let status = Some(Status { code: 2, ..Default::default() });
    let child = Span { parent_span_id: vec![2; 8], name: "child".to_owned(), status, ..times(TIME - 50, TIME + 900) };
    let root = Span { name: "root".to_owned(), ..times(TIME, TIME + 100) };
    let spans = [(1, encoded(&child)), (0, encoded(&root)), (9, vec![0xff])];
    let messages = spans.iter().map(|(context, bytes)| (*context, bytes.as_slice()));
    let row = trace_row(TraceId([1; 16]), &["web", "db"], messages, &SAMPLING, true, arrival());
    let file = write_traces(&[row], &FileMeta::default()).unwrap().unwrap();
    let expected = json!({
        "trace_id": "01".repeat(16), "start_time": TIME_MICROS, "start_unix_nano": TIME - 50, "end_time": TIME_MICROS,
        "duration_nano": 950, "root_service": "web", "root_name": "root", "span_count": 2, "error_count": 1,
        "services": ["db", "web"], "sampling_policy": "slow", "sampling_weight": 4.0, "is_complete": true,
        "ingest_time": TIME_MICROS, "schema_version": 1,
    });
    assert_eq!(only_row(&[file]), expected);
}

#[test]
fn a_trace_without_a_root_is_named_by_its_earliest_span() {
    let child = |name: &str, start| {
        encoded(&Span { parent_span_id: vec![9; 8], name: name.to_owned(), start_time_unix_nano: start, ..span() })
    };
    let spans = [child("later", 7), child("earlier", 5)];
    let messages = spans.iter().map(|bytes| (0, bytes.as_slice()));
    let row = trace_row(TraceId([1; 16]), &["web"], messages, &SAMPLING, false, 0);
    assert_eq!((row.root_name, row.start_nanos, row.end_nanos), ("earlier", 5, 7));
    let none = trace_row(TraceId([1; 16]), &[], std::iter::empty(), &SAMPLING, false, 0);
    assert_eq!((none.span_count, none.start_nanos, none.end_nanos), (0, 0, 0));
}

#[test]
fn request_rates_and_edges_are_read_back() {
    let mut counts = [0; RED_BUCKETS];
    counts[3] = 2;
    let red = RedRow {
        minute_nanos: arrival(),
        service_name: "web",
        deployment_environment: "",
        operation: "GET /",
        kind: 2,
        status_code: 2,
        requests: 2,
        errors: 2,
        duration_sum_nano: u64::MAX,
        duration_min_nano: 5,
        duration_max_nano: 9,
        bucket_counts: &counts,
        ingest_nanos: arrival(),
    };
    let other = RedRow { service_name: "auth", ..red.clone() };
    let file = write_red(&[red, other], &FileMeta::default()).unwrap().unwrap();
    let rows = rows(&file);
    let expected = json!({
        "minute": TIME_MICROS, "service_name": "web", "operation": "GET /", "kind": "SERVER", "status_code": "ERROR",
        "requests": 2, "errors": 2, "duration_sum_nano": i64::MAX, "duration_min_nano": 5, "duration_max_nano": 9,
        "bucket_bounds_nano": RED_BOUNDS_NANO, "bucket_counts": counts, "ingest_time": TIME_MICROS, "schema_version": 1,
    });
    assert_eq!((&rows[0]["service_name"], &rows[1]), (&json!("auth"), &expected));
    let edge = EdgeRow {
        minute_nanos: arrival(),
        caller_service: "web",
        callee_service: "auth",
        kind: 3,
        requests: 4,
        errors: 1,
        duration_sum_nano: 10,
        bucket_counts: &counts,
        ingest_nanos: arrival(),
    };
    let expected = json!({
        "minute": TIME_MICROS, "caller_service": "web", "callee_service": "auth", "kind": "CLIENT", "requests": 4,
        "errors": 1, "duration_sum_nano": 10, "bucket_bounds_nano": RED_BOUNDS_NANO, "bucket_counts": counts,
        "ingest_time": TIME_MICROS, "schema_version": 1,
    });
    assert_eq!(only_row(&[write_edges(&[edge], &FileMeta::default()).unwrap().unwrap()]), expected);
    assert_eq!(write_red(&[], &FileMeta::default()).unwrap(), None);
}

#[test]
fn a_decision_is_read_back() {
    let votes = [("b".to_owned(), "drop".to_owned()), ("a".to_owned(), "keep".to_owned())];
    let row = DecisionRow {
        trace_id: TraceId([7; 16]),
        decided_nanos: arrival(),
        window_start_nanos: 0,
        verdict: "kept",
        policy: "a",
        weight: 1.0,
        votes: &votes,
        span_count: 3,
        error_count: 0,
        wait_ms: u32::MAX,
        is_complete: false,
        rules_version: "r1",
    };
    let expected = json!({
        "trace_id": "07".repeat(16), "decided_time": TIME_MICROS, "window_start": 0, "verdict": "kept", "policy": "a",
        "weight": 1.0, "votes": {"a": "keep", "b": "drop"}, "span_count": 3, "error_count": 0, "wait_ms": i32::MAX,
        "is_complete": false, "rules_version": "r1", "schema_version": 1,
    });
    assert_eq!(only_row(&[write_decisions(&[row], &FileMeta::default()).unwrap().unwrap()]), expected);
}
