//! Rows become items, and these become the same rows again: what is read of the lake is what the columns hold.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use spanlake_model::Signal;
use spanlake_sql::SqlError;
use spanlake_table::{Context, FileMeta, Item, Sampling, write_items};

use super::super::rebuild::{Columns, READINGS, Reading, SpansOf, span_columns};
use crate::demo::{int, string};
use crate::folder::runtime;

fn any(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Spans with everything that a column is made of in more than one way.
fn odd_spans() -> Vec<Span> {
    let list = Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(Value::StringValue("a\"b".to_owned())) }] });
    let attributes = [
        vec![string("http.target", "/a?q=1"), string("http.method", "GET"), int("http.status_code", 200)],
        vec![string("http.target", "/a?q=1"), string("url.query", "q=2"), string("rpc.method", "pkg.S/M")],
        vec![string("url.path", "/b"), string("rpc.service", "S"), string("rpc.method", "M"), int("rpc.grpc.status_code", 5)],
        vec![any("on", Value::BoolValue(true)), any("share", Value::DoubleValue(0.5)), any("list", list), string("number", "17")],
        vec![any("none", Value::BytesValue(vec![1, 2])), KeyValue { key: "empty".to_owned(), ..KeyValue::default() }],
        vec![
            string("http.response.status_code", "200"),
            int("server.port", i64::MAX.unsigned_abs()),
            string("net.peer.name", "db"),
        ],
        vec![string("http.request.method", "PUT"), string("http.method", "POST"), string("exception.type", "Own")],
    ];
    let thrown = Event {
        time_unix_nano: 7,
        name: "exception".to_owned(),
        attributes: vec![string("exception.type", "Thrown"), string("exception.message", "m")],
        ..Event::default()
    };
    let link = Link { trace_id: vec![9; 16], span_id: vec![8; 8], trace_state: "a=b".to_owned(), ..Link::default() };
    let span = |(number, attributes): (usize, Vec<KeyValue>)| {
        let number = u8::try_from(number).unwrap();
        Span {
            trace_id: vec![1; 16],
            span_id: vec![number + 1; 8],
            parent_span_id: if number == 0 { Vec::new() } else { vec![1; 8] },
            trace_state: "ot=th:8".to_owned(),
            flags: 257,
            name: format!("odd {number}"),
            kind: i32::from(number),
            start_time_unix_nano: 1_000 + u64::from(number),
            // The last ones end before they begin, and never.
            end_time_unix_nano: [5_000, 5_000, 5_000, 5_000, 5_000, 10, 0][usize::from(number)],
            attributes,
            events: if number % 2 == 0 { vec![thrown.clone()] } else { Vec::new() },
            links: vec![link.clone()],
            dropped_attributes_count: 3,
            dropped_events_count: 2,
            dropped_links_count: 1,
            status: Some(Status { message: "why".to_owned(), code: i32::from(number) % 3 }),
        }
    };
    attributes.into_iter().enumerate().map(span).collect()
}

fn request(spans: Vec<Span>) -> Vec<u8> {
    let attributes = vec![string("service.name", "odd"), string("deployment.environment", "test"), int("process.pid", 7)];
    let scope = InstrumentationScope {
        name: "lib".to_owned(),
        version: "1".to_owned(),
        attributes: vec![int("n", 1)],
        ..Default::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans, schema_url: String::new() }] }
        .encode_to_vec()
}

/// The file of `spans` that a request makes.
fn file(request: &[u8]) -> Vec<u8> {
    let request = ExportTraceServiceRequest::decode(request).unwrap();
    let (mut heads, mut spans) = (Vec::new(), Vec::new());
    for group in &request.resource_spans {
        for scope in &group.scope_spans {
            heads.push((group.resource.as_ref().unwrap().encode_to_vec(), scope.scope.as_ref().unwrap().encode_to_vec()));
            spans.extend(scope.spans.iter().map(|span| (heads.len() - 1, span.encode_to_vec())));
        }
    }
    let contexts: Vec<Context<'_>> =
        heads.iter().map(|(resource, scope)| Context { resource, scope, ..Context::default() }).collect();
    let sampling = Sampling { policy: "some", weight: 2.0, is_late: false };
    let items: Vec<Item<'_>> = spans
        .iter()
        .map(|(context, bytes)| Item { context: u32::try_from(*context).unwrap(), bytes, arrival_nanos: 1_000_000_000, sampling })
        .collect();
    write_items(Signal::Traces, &contexts, &items, &FileMeta { pairs: &[] }).unwrap().files.remove(0).bytes
}

fn rebuilt(file: Vec<u8>, reading: Reading) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let hour = folder.path().join("lake/v1/spans/dt=2026-11-22/hour=16");
    std::fs::create_dir_all(&hour).unwrap();
    std::fs::write(hour.join("1.parquet"), file).unwrap();
    let lake = crate::lake::open(folder.path()).unwrap();
    let names = span_columns();
    let sql = format!("SELECT {} FROM spans ORDER BY span_id", names.join(", "));
    let columns = Columns::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let mut spans = SpansOf::default();
    let each = |cells: &[spanlake_sql::Cell]| {
        spans.push(columns.row(cells), reading);
        Ok::<(), SqlError>(())
    };
    runtime().unwrap().block_on(lake.for_each(&sql, each)).unwrap();
    spans.finish()
}

#[test]
fn a_row_becomes_an_item_that_makes_the_same_row() {
    for reading in READINGS {
        let mut spans = odd_spans();
        if reading.is_typed {
            // A number that was sent as text stays in the map; read as a number it would have a column.
            for span in &mut spans {
                span.attributes.retain(|known| known.key != "http.response.status_code");
            }
        }
        let first = file(&request(spans));
        assert!(file(&rebuilt(first.clone(), reading)) == first, "{reading:?}");
    }
}

#[test]
fn names_and_types_are_read_both_ways() {
    let spans = |reading| {
        let request = ExportTraceServiceRequest::decode(&rebuilt(file(&request(odd_spans())), reading)[..]).unwrap();
        request.resource_spans[0].scope_spans[0].spans.clone()
    };
    let (newest, text, older) = (spans(READINGS[0]), spans(READINGS[1]), spans(READINGS[2]));
    let value = |span: &Span, key: &str| {
        span.attributes.iter().find(|known| known.key == key).and_then(|known| known.value.clone()?.value)
    };
    let words = |text: &str| Some(Value::StringValue(text.to_owned()));
    assert_eq!((value(&newest[0], "url.path"), value(&newest[0], "url.query")), (words("/a"), words("q=1")));
    assert_eq!((value(&older[0], "http.target"), value(&older[0], "url.query")), (words("/a?q=1"), None));
    assert_eq!((value(&older[0], "http.method"), value(&newest[0], "http.request.method")), (words("GET"), words("GET")));
    assert_eq!(value(&older[0], "http.status_code"), Some(Value::IntValue(200)));
    assert_eq!(value(&newest[1], "rpc.method"), words("pkg.S/M"));
    assert_eq!(
        (value(&older[2], "rpc.service"), value(&older[2], "rpc.grpc.status_code")),
        (words("S"), Some(Value::IntValue(5)))
    );
    assert_eq!((value(&newest[3], "number"), value(&text[3], "number")), (Some(Value::IntValue(17)), words("17")));
    assert_eq!((value(&newest[3], "on"), value(&text[3], "on")), (Some(Value::BoolValue(true)), words("true")));
    // Both names were there: the newer one fed the column.
    assert_eq!((value(&older[6], "http.request.method"), value(&older[6], "http.method")), (words("PUT"), words("POST")));
    assert_eq!((value(&newest[6], "exception.type"), value(&newest[0], "exception.type")), (words("Own"), None));
}
