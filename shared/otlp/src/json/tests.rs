use std::fmt::Write as _;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::arbitrary;

fn convert(signal: Signal, json: &str) -> Result<FromJson, JsonError> {
    to_protobuf(signal, json.as_bytes(), &Limits::default())
}

/// What the published serde types make of a body, re-encoded.
fn published(signal: Signal, json: &[u8]) -> Vec<u8> {
    match signal {
        Signal::Traces => serde_json::from_slice::<ExportTraceServiceRequest>(json).unwrap().encode_to_vec(),
        Signal::Logs => serde_json::from_slice::<ExportLogsServiceRequest>(json).unwrap().encode_to_vec(),
        Signal::Metrics => serde_json::from_slice::<ExportMetricsServiceRequest>(json).unwrap().encode_to_vec(),
    }
}

/// Brings explicit defaults and field order into prost's form.
fn normal(signal: Signal, protobuf: &[u8]) -> Vec<u8> {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(protobuf).unwrap().encode_to_vec(),
        Signal::Logs => ExportLogsServiceRequest::decode(protobuf).unwrap().encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(protobuf).unwrap().encode_to_vec(),
    }
}

fn spans_json(spans: &[&str]) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","))
}

fn spans_of(protobuf: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(protobuf).unwrap();
    request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
}

/// The span of these members, which must be taken.
fn span(members: &str) -> Span {
    let json = spans_json(&[&format!("{{{members}}}")]);
    let FromJson { protobuf, rejected } = convert(Signal::Traces, &json).unwrap();
    assert_eq!(rejected.items(), 0, "{members}");
    spans_of(&protobuf).remove(0)
}

/// A span of these members is refused and its neighbours are not.
fn refused(members: &str) -> Rejected {
    let good = r#"{"name":"good"}"#;
    let json = spans_json(&[good, &format!("{{{members}}}"), good]);
    let FromJson { protobuf, rejected } = convert(Signal::Traces, &json).unwrap();
    let names: Vec<_> = spans_of(&protobuf).into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["good", "good"], "{members}");
    assert_eq!(rejected.items(), 1, "{members}");
    rejected
}

fn value(json: &str) -> Option<Value> {
    let span = span(&format!(r#""attributes":[{{"key":"k","value":{json}}}]"#));
    span.attributes[0].value.clone().and_then(|value| value.value)
}

#[test]
fn captured_bodies_are_what_the_published_types_read() {
    for (name, signal, _, body) in arbitrary::captures().into_iter().filter(|(_, _, json, _)| *json) {
        let FromJson { protobuf, rejected } = to_protobuf(signal, &body, &Limits::default()).unwrap();
        assert_eq!(rejected, Rejected::default(), "{name}");
        assert_eq!(normal(signal, &protobuf), published(signal, &body), "{name}");
    }
}

#[test]
fn null_stands_for_the_absence_of_any_field() {
    let span = span(r#""traceId":null,"name":null,"kind":null,"attributes":null,"status":null,"events":null,"flags":null"#);
    assert_eq!(span, Span::default());
    assert!(convert(Signal::Traces, r#"{"resourceSpans":null}"#).unwrap().protobuf.is_empty());
    for json in [r#"{"resourceSpans":[{"resource":null,"scopeSpans":null,"schemaUrl":null}]}"#, r#"{"resourceSpans":[null]}"#] {
        let request = ExportTraceServiceRequest::decode(&convert(Signal::Traces, json).unwrap().protobuf[..]).unwrap();
        assert_eq!(request.resource_spans.len(), 1);
    }
    assert_eq!(value(r#"{"stringValue":null}"#), None);
    assert_eq!(value("null"), None);
}

#[test]
fn values_are_taken_in_every_form_that_encoders_write() {
    for (json, expected) in [
        (r#"{"intValue":5}"#, Value::IntValue(5)),
        (r#"{"intValue":"5"}"#, Value::IntValue(5)),
        (r#"{"intValue":5.0}"#, Value::IntValue(5)),
        (r#"{"intValue":"-9223372036854775808"}"#, Value::IntValue(i64::MIN)),
        (r#"{"doubleValue":1}"#, Value::DoubleValue(1.0)),
        (r#"{"doubleValue":"1.5"}"#, Value::DoubleValue(1.5)),
        (r#"{"doubleValue":"-Infinity"}"#, Value::DoubleValue(f64::NEG_INFINITY)),
        (r#"{"doubleValue":"Infinity"}"#, Value::DoubleValue(f64::INFINITY)),
        (r#"{"boolValue":true}"#, Value::BoolValue(true)),
        (r#"{"bytesValue":"+/8="}"#, Value::BytesValue(vec![0xfb, 0xff])),
        (r#"{"bytesValue":"-_8"}"#, Value::BytesValue(vec![0xfb, 0xff])),
        (r#"{"arrayValue":{}}"#, Value::ArrayValue(opentelemetry_proto::tonic::common::v1::ArrayValue::default())),
        (
            r#"{"kvlistValue":{"values":null}}"#,
            Value::KvlistValue(opentelemetry_proto::tonic::common::v1::KeyValueList::default()),
        ),
        (r#"{"stringValue":"\u00e9\ud83d\ude00"}"#, Value::StringValue("\u{e9}\u{1f600}".to_owned())),
        (r#"{"string_value":"x","stringValue":"y","new":{"deep":[1,{}]}}"#, Value::StringValue("y".to_owned())),
    ] {
        assert_eq!(value(json), Some(expected), "{json}");
    }
    assert!(matches!(value(r#"{"doubleValue":"NaN"}"#), Some(Value::DoubleValue(number)) if number.is_nan()));
    let span = span(
        r#""traceId":"0Af7651916cd43dd8448eb211c80319C","kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR"},
        "startTimeUnixNano":1795216740984000000,"endTimeUnixNano":"1795216740984000001","flags":257"#,
    );
    assert_eq!(span.trace_id[..2], [0x0a, 0xf7]);
    assert_eq!((span.kind, span.status.unwrap().code, span.flags), (2, 2, 257));
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (1_795_216_740_984_000_000, 1_795_216_740_984_000_001));
}

#[test]
fn of_a_key_that_comes_twice_the_last_counts() {
    let span = span(
        r#""name":"a","attributes":[{"key":"x"}],"kind":3,"name":"b","status":{"code":2},"events":[{}],
        "attributes":[{"key":"y"}],"status":{"message":"m"},"events":null,"kind":0,"name":"c""#,
    );
    assert_eq!((&*span.name, span.kind, span.events.len(), span.attributes.len()), ("c", 0, 0, 1));
    assert_eq!(span.attributes[0].key, "y");
    let status = span.status.unwrap();
    assert_eq!((status.code, &*status.message), (0, "m"));
}

#[test]
fn a_value_that_does_not_fit_costs_just_its_item() {
    for members in [
        r#""name":"\ud800""#,
        r#""\ud800":1"#,
        r#""name":1"#,
        r#""traceId":"0af7651916cd43dd8448eb211c80319""#,
        r#""traceId":"zz""#,
        r#""traceId":[1]"#,
        r#""startTimeUnixNano":-1"#,
        r#""startTimeUnixNano":"18446744073709551616""#,
        r#""startTimeUnixNano":1e400"#,
        r#""startTimeUnixNano":1.5"#,
        r#""startTimeUnixNano":"""#,
        r#""kind":"SPAN_KIND_BOSS""#,
        r#""kind":2147483648"#,
        r#""droppedEventsCount":4294967296"#,
        r#""status":[]"#,
        r#""attributes":{}"#,
        r#""attributes":[7]"#,
        r#""attributes":[{"key":"k","value":{"boolValue":1}}]"#,
        r#""attributes":[{"key":"k","value":{"intValue":9223372036854775808}}]"#,
        r#""attributes":[{"key":"k","value":{"bytesValue":"!"}}]"#,
        r#""links":[{"traceId":"x"}]"#,
    ] {
        assert_eq!(refused(members).of(Reason::Json), 1, "{members}");
    }
}

#[test]
fn odd_ids_of_links_are_kept() {
    let span = span(r#""links":[{"traceId":"0a","spanId":""}]"#);
    assert_eq!(span.links[0].trace_id, [0x0a]);
}

#[test]
fn an_item_beyond_a_limit_costs_its_neighbours_nothing() {
    let list = |element: &str, count: usize| vec![element; count].join(",");
    let nested = |depth: usize| {
        let (open, close) = (r#"{"kvlistValue":{"values":[{"value":"#.repeat(depth - 1), "}]}}".repeat(depth - 1));
        format!(r#""attributes":[{{"key":"k","value":{open}{{}}{close}}}]"#)
    };
    assert_eq!(refused(&format!(r#""attributes":[{}]"#, list("{}", 16_385))).of(Reason::Attributes), 1);
    assert_eq!(refused(&format!(r#""events":[{}]"#, list("null", 65_537))).of(Reason::Elements), 1);
    assert_eq!(refused(&nested(33)).of(Reason::Depth), 1);
    assert_eq!(refused(&nested(10_000)).of(Reason::Depth), 1);
    assert_eq!(span(&nested(32)).attributes.len(), 1);
    assert_eq!(span(&format!(r#""unknown":{}{}"#, "[".repeat(50_000), "]".repeat(50_000))), Span::default());
}

#[test]
fn a_metric_that_is_refused_counts_its_points() {
    let json = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"a","sum":{"dataPoints":[{},{"asInt":"x"},{}]}},
        {"name":7,"gauge":null},
        {"name":"h","histogram":{"dataPoints":[{"bucketCounts":["1",2,3.0],"explicitBounds":[0.5,"1"],"count":"6"}]}},
        {"name":"e","exponentialHistogram":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA",
            "dataPoints":[{"scale":-3,"positive":{"offset":-1,"bucketCounts":["4"]}}]}}]}]}]}"#;
    let FromJson { protobuf, rejected } = convert(Signal::Metrics, json).unwrap();
    assert_eq!(rejected.of(Reason::Json), 4);
    let request = ExportMetricsServiceRequest::decode(&protobuf[..]).unwrap();
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let (Some(Data::Histogram(histogram)), Some(Data::ExponentialHistogram(exponential))) = (&metrics[0].data, &metrics[1].data)
    else {
        panic!("{metrics:?}");
    };
    assert_eq!((&histogram.data_points[0].bucket_counts[..], histogram.data_points[0].count), (&[1, 2, 3][..], 6));
    assert_eq!((exponential.aggregation_temporality, exponential.data_points[0].scale), (1, -3));
    assert_eq!(exponential.data_points[0].positive.as_ref().unwrap().offset, -1);
}

#[test]
fn broken_json_and_wrong_types_above_the_items_are_refused_with_the_place() {
    for (json, text) in [
        ("", "an early end at line 1 column 0"),
        ("{\"resourceSpans\":[", "an early end at line 1 column 18"),
        ("{}x", "malformed text at line 1 column 3"),
        ("[]", "a value that does not fit its field at line 1 column 2"),
        ("{\n \"resourceSpans\":7}", "a value that does not fit its field at line 2 column 18"),
        (r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":tru}]}]}]}"#, "malformed text at line 1 column 55"),
        (r#"{"resourceSpans":[{"scopeSpans":[{"spans":{}}]}]}"#, "a value that does not fit its field at line 1 column 44"),
    ] {
        let error = convert(Signal::Traces, json).unwrap_err();
        assert_eq!(error.to_string(), format!("invalid JSON: {text}"), "{json}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    let error = to_protobuf(Signal::Traces, b"{\n\"a\":\"\xff\"}", &Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "invalid JSON: text that is not UTF-8 at line 2 column 6");
    assert!(convert(Signal::Traces, "\u{feff}{}").is_ok());
}

#[test]
fn an_error_holds_no_text_of_the_request() {
    for json in
        [r#"{"resourceSpans":"secret"}"#, r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":"secret"}]}}]}"#]
    {
        let error = convert(Signal::Traces, json).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}

#[test]
fn floods_are_refused_with_the_limit_named_and_little_memory() {
    for (json, text) in [
        (spans_json(&vec!["{}"; 65_537]), "more than 65536 items in a request"),
        (format!(r#"{{"resourceSpans":[{}]}}"#, vec!["{}"; 4097].join(",")), "more than 4096 resources and scopes in a request"),
        (
            format!(r#"{{"resourceSpans":[{{"scopeSpans":[{}]}}]}}"#, vec!["null"; 4096].join(",")),
            "more than 4096 resources and scopes in a request",
        ),
        (
            format!(r#"{{"resourceSpans":[{{"resource":{{"attributes":[{}]}}}}]}}"#, vec!["{}"; 16_385].join(",")),
            "more than 16384 attributes of a resource or scope in a request",
        ),
    ] {
        let error = convert(Signal::Traces, &json).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::TooLarge, text.to_owned()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_the_published_types_write_is_read_equal(request in arbitrary::traces()) {
        let json = serde_json::to_string(&request).unwrap();
        let FromJson { protobuf, rejected } = convert(Signal::Traces, &json).unwrap();
        prop_assert_eq!(rejected.items(), 0);
        prop_assert_eq!(normal(Signal::Traces, &protobuf), request.encode_to_vec());
    }

    #[test]
    fn logs_and_metrics_too(logs in arbitrary::logs(), metrics in arbitrary::metrics()) {
        let json = [serde_json::to_string(&logs).unwrap(), serde_json::to_string(&metrics).unwrap()];
        let requests = [logs.encode_to_vec(), metrics.encode_to_vec()];
        for ((signal, json), request) in [Signal::Logs, Signal::Metrics].into_iter().zip(json).zip(requests) {
            let FromJson { protobuf, rejected } = convert(signal, &json).unwrap();
            prop_assert_eq!(rejected.items(), 0);
            prop_assert_eq!(normal(signal, &protobuf), request);
        }
    }

    #[test]
    fn damaged_json_is_refused_or_its_output_is_well_formed(
        request in arbitrary::traces(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), prop::sample::select(&b"{}[]\":,0e\\ux-.n"[..])), 1..4),
    ) {
        let mut json = serde_json::to_string(&request).unwrap().into_bytes();
        for (at, byte) in damage {
            let at = at.index(json.len());
            json[at] = byte;
        }
        if let Ok(FromJson { protobuf, .. }) = to_protobuf(Signal::Traces, &json, &Limits::default()) {
            prop_assert!(ExportTraceServiceRequest::decode(&protobuf[..]).is_ok());
        }
    }
}

#[test]
fn a_flood_of_repeated_keys_is_read_in_linear_time() {
    let mut members = format!(r#""attributes":[{}]"#, vec!["{}"; 16_000].join(","));
    for n in 0..100_000 {
        write!(members, r#","name":"{n}""#).unwrap();
    }
    assert_eq!(span(&members).name, "99999");
}
