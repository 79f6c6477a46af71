use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::prelude::*;
use prost::Message;
use serde_json::json;
use spanlake_model::Signal;

use super::{ARRIVAL, SAMPLING, read, write};
use crate::{
    CREATED_BY, Context, DecisionRow, EdgeRow, FileMeta, Item, RED_BOUNDS_NANO, RedRow, TraceFacts, service_name, trace_summary,
    write_decisions, write_edges, write_items, write_red, write_traces,
};

#[test]
fn what_is_no_message_is_left_out_and_counted() {
    let good = Span { trace_id: vec![1; 16], span_id: vec![2; 8], name: "x".to_owned(), ..Span::default() }.encode_to_vec();
    let written = write(Signal::Traces, Context::default(), &[vec![0x0a, 0xff], good.clone(), vec![0x4a, 1, 0x0f]]);
    assert_eq!((written.bad_items, written.files[0].rows), (2, 1));
    let item = Item { context: 9, bytes: &good, arrival_nanos: ARRIVAL, sampling: SAMPLING };
    let written = write_items(Signal::Traces, &[], &[item], &FileMeta::default()).unwrap();
    assert_eq!((written.bad_items, written.files.len()), (1, 0));
}

#[test]
fn deep_values_are_written_without_recursing_for_ever() {
    let mut value = AnyValue { value: Some(Value::StringValue("end".to_owned())) };
    for _ in 0..45 {
        value = AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: vec![value] })) };
    }
    let attributes = vec![KeyValue { key: "deep".to_owned(), value: Some(value), ..KeyValue::default() }];
    let span = Span { attributes, ..Span::default() };
    let rows = read::rows(&write(Signal::Traces, Context::default(), &[span.encode_to_vec()]).files[0].bytes);
    assert_eq!(rows[0]["attributes"]["deep"], json!(format!("{}\"end\"{}", "[".repeat(45), "]".repeat(45))));
}

#[test]
fn a_fat_context_on_many_rows_is_written_in_small_batches() {
    let attribute = |n: u8| KeyValue {
        key: format!("k{n}"),
        value: Some(AnyValue { value: Some(Value::StringValue("x".repeat(40_000))) }),
        ..KeyValue::default()
    };
    let resource =
        opentelemetry_proto::tonic::resource::v1::Resource { attributes: (0..10).map(attribute).collect(), ..Default::default() };
    let resource = resource.encode_to_vec();
    let span = Span { trace_id: vec![1; 16], ..Span::default() }.encode_to_vec();
    let context = Context { resource: &resource, ..Context::default() };
    let written = write(Signal::Traces, context, &vec![span; 500]);
    assert_eq!(written.files[0].rows, 500);
    let file = SerializedFileReader::new(Bytes::from(written.files[0].bytes.clone())).unwrap();
    assert!(file.num_row_groups() <= 4, "{}", file.num_row_groups());
}

#[test]
fn the_file_says_what_it_is() {
    let span = Span { trace_id: vec![1; 16], ..Span::default() }.encode_to_vec();
    let item = Item { context: 0, bytes: &span, arrival_nanos: ARRIVAL, sampling: SAMPLING };
    let meta = FileMeta { pairs: &[("spanlake.plan", "7")] };
    let written = write_items(Signal::Traces, &[Context::default()], &[item], &meta).unwrap();
    let file = SerializedFileReader::new(Bytes::from(written.files[0].bytes.clone())).unwrap();
    let data = file.metadata().file_metadata();
    assert_eq!(data.created_by(), Some(CREATED_BY));
    let pairs: Vec<_> = data.key_value_metadata().unwrap().iter().map(|pair| (&*pair.key, pair.value.as_deref())).collect();
    assert!(
        pairs.contains(&("spanlake.schema_version", Some("2"))) && pairs.contains(&("spanlake.plan", Some("7"))),
        "{pairs:?}"
    );
    let group = file.metadata().row_group(0);
    for column in group.columns() {
        let path = column.column_path().string();
        let is_id = path == "trace_id";
        assert_eq!(column.bloom_filter_offset().is_some(), is_id, "{path}");
    }
    assert!(group.columns().iter().any(|column| column.column_path().string() == "attributes.key_value.key"));
    assert!(group.columns().iter().any(|column| column.column_path().string() == "events.list.element.name"));
}

#[test]
fn derived_rows_are_read_back_in_order() {
    let meta = FileMeta::default();
    let counts = [1_u64; crate::RED_BUCKETS];
    let red = |service| RedRow {
        minute_nanos: 60_000_000_000,
        service_name: service,
        deployment_environment: "",
        operation: "GET",
        kind: "SERVER",
        status_code: "OK",
        requests: u64::MAX,
        errors: 1,
        duration_sum_nano: 2,
        duration_min_nano: 3,
        duration_max_nano: 4,
        bucket_counts: &counts,
        ingest_nanos: 0,
    };
    let rows = read::rows(&write_red(&[red("b"), red("a")], &meta).unwrap().bytes);
    assert_eq!((&rows[0]["service_name"], &rows[1]["service_name"]), (&json!("a"), &json!("b")));
    assert_eq!((&rows[0]["requests"], &rows[0]["bucket_bounds_nano"]), (&json!(i64::MAX), &json!(RED_BOUNDS_NANO)));
    assert_eq!((&rows[0]["duration_max_nano"], &rows[0]["minute"]), (&json!(4), &json!(60_000_000)));
    let edge = EdgeRow {
        minute_nanos: 0,
        caller_service: "a",
        callee_service: "b",
        kind: "CLIENT",
        requests: 5,
        errors: 2,
        duration_sum_nano: 9,
        bucket_counts: &counts,
        ingest_nanos: 0,
    };
    let rows = read::rows(&write_edges(&[edge], &meta).unwrap().bytes);
    assert_eq!((&rows[0]["callee_service"], &rows[0]["errors"]), (&json!("b"), &json!(2)));
    let decision = DecisionRow {
        trace_id: &[7; 16],
        decided_nanos: 1_000_000,
        window_start_nanos: 0,
        verdict: "kept",
        policy: "errors",
        weight: 1.0,
        votes: &[("z", "sampled"), ("a", "not_sampled")],
        span_count: 3,
        error_count: 1,
        wait_ms: 10_000,
        is_complete: true,
        rules_version: "r1",
    };
    let later = DecisionRow { trace_id: &[8; 16], ..decision };
    let explain = |number| if number == 1 { vec![("z", "1,432 ms".to_owned()), ("a", "last".to_owned())] } else { Vec::new() };
    let rows = read::rows(&write_decisions(&[later, decision], &meta, explain).unwrap().bytes);
    assert_eq!(rows[0]["votes"], json!({"a": "not_sampled", "z": "sampled"}));
    assert_eq!(
        (&rows[0]["trace_id"], &rows[0]["vote_reasons"]),
        (&json!("07".repeat(16)), &json!({"a": "last", "z": "1,432 ms"}))
    );
    assert_eq!(rows[1]["vote_reasons"], json!({}));
    assert_eq!((&rows[0]["wait_ms"], &rows[0]["decided_time"]), (&json!(10_000), &json!(1_000)));
}

#[test]
fn a_trace_is_summed_up_from_its_spans() {
    let resource = |name: &str| {
        let value = Some(AnyValue { value: Some(Value::StringValue(name.to_owned())) });
        let attributes = vec![KeyValue { key: "service.name".to_owned(), value, ..KeyValue::default() }];
        opentelemetry_proto::tonic::resource::v1::Resource { attributes, ..Default::default() }.encode_to_vec()
    };
    let (shop, cart) = (resource("shop"), resource("cart"));
    let services = [service_name(&shop), service_name(&cart)];
    let span = |name: &str, parent: Vec<u8>, start, end| Span {
        name: name.to_owned(),
        parent_span_id: parent,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        ..Span::default()
    };
    let (child, root) = (span("child", vec![1; 8], 5, 90).encode_to_vec(), span("root", Vec::new(), 10, 50).encode_to_vec());
    let facts = TraceFacts { trace_id: &[9; 16], policy: "all", weight: 1.0, is_complete: true, ingest_nanos: 0 };
    let row = trace_summary(&services, &[(1, &child), (0, &root)], facts).unwrap();
    assert_eq!((row.root_service.as_deref(), &*row.root_name), (Some("shop"), "root"));
    assert_eq!((row.start_unix_nano, row.end_unix_nano, row.span_count), (5, 90, 2));
    assert_eq!(row.services, ["cart", "shop"]);
    let rows = read::rows(&write_traces(&[row], &FileMeta::default()).unwrap().bytes);
    assert_eq!((&rows[0]["duration_nano"], &rows[0]["services"]), (&json!(85), &json!(["cart", "shop"])));
    assert!(trace_summary(&services, &[], facts).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_bytes_make_a_writer_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), signal in 0_usize..3) {
        let signal = [Signal::Traces, Signal::Logs, Signal::Metrics][signal];
        let context = Context { resource: &bytes, scope: &bytes, ..Context::default() };
        let item = |context| Item { context, bytes: &bytes, arrival_nanos: i64::MIN, sampling: SAMPLING };
        let contexts = [context, Context::default()];
        let written = write_items(signal, &contexts, &[item(0), item(1)], &FileMeta::default()).unwrap();
        prop_assert!(written.bad_items <= 2);
    }
}
