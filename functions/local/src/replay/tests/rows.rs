//! Rows become items, and these become the same rows again: what is read of the lake is what the columns hold.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use spanlake_model::Signal;
use spanlake_sql::SqlError;
use spanlake_table::{Context, FileMeta, Item, Sampling, write_items};

use super::super::rebuild::{Columns, READINGS, Reading};
use super::super::request::{Export, Request, Table};
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

/// The files that a request makes, by table.
fn files(signal: Signal, request: &[u8]) -> BTreeMap<&'static str, Vec<u8>> {
    let (mut heads, mut all) = (Vec::new(), Vec::new());
    for group in Export::decode(request).unwrap().groups {
        let resource = group.resource.unwrap_or_default().encode_to_vec();
        for of_scope in group.scopes {
            heads.push((resource.clone(), of_scope.scope.unwrap_or_default().encode_to_vec()));
            all.extend(of_scope.items.into_iter().map(|item| (u32::try_from(heads.len() - 1).unwrap(), item)));
        }
    }
    let contexts: Vec<Context<'_>> =
        heads.iter().map(|(resource, scope)| Context { resource, scope, ..Context::default() }).collect();
    let sampling = Sampling { policy: "some", weight: 2.0, is_late: false };
    let items = all.iter().map(|(context, bytes)| Item { context: *context, bytes, arrival_nanos: 1_000_000_000, sampling });
    let items: Vec<Item<'_>> = items.collect();
    let written = write_items(signal, &contexts, &items, &FileMeta { pairs: &[] }).unwrap();
    assert_eq!((written.bad_items, written.saturated), (0, 0));
    written.files.into_iter().map(|file| (file.table, file.bytes)).collect()
}

/// The file of `spans` that a request makes.
fn file(request: &[u8]) -> Vec<u8> {
    files(Signal::Traces, request).remove("spans").unwrap()
}

fn rebuilt_of(table: Table, order: &str, file: Vec<u8>, reading: Reading) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let hour = folder.path().join("lake/v1").join(table.name()).join("dt=2026-11-22/hour=16");
    std::fs::create_dir_all(&hour).unwrap();
    std::fs::write(hour.join("1.parquet"), file).unwrap();
    let lake = crate::lake::open(folder.path()).unwrap();
    let names = table.columns();
    let sql = format!("SELECT {} FROM {} ORDER BY {order}", names.join(", "), table.name());
    let columns = Columns::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let mut items = Request::default();
    let each = |cells: &[spanlake_sql::Cell]| {
        items.push(table, columns.row(cells), reading);
        Ok::<(), SqlError>(())
    };
    runtime().unwrap().block_on(lake.for_each(&sql, each)).unwrap();
    items.finish().0
}

fn rebuilt(file: Vec<u8>, reading: Reading) -> Vec<u8> {
    rebuilt_of(Table::Spans, "span_id", file, reading)
}

fn odd_exemplar() -> Exemplar {
    Exemplar {
        filtered_attributes: vec![string("user", "a")],
        time_unix_nano: 5,
        span_id: vec![2; 8],
        trace_id: vec![3; 16],
        value: Some(exemplar::Value::AsDouble(0.5)),
    }
}

/// A metric of each shape, with everything that a column is made of.
fn odd_metrics() -> Vec<Metric> {
    let number = |name: &str, value: Option<number_data_point::Value>| NumberDataPoint {
        attributes: vec![string("route", name), int("code", 200)],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        exemplars: vec![odd_exemplar()],
        flags: 1,
        value,
    };
    let numbers = || {
        let values = [Some(number_data_point::Value::AsInt(-7)), Some(number_data_point::Value::AsDouble(1.5)), None];
        values.into_iter().zip(["/a", "/b", "/c"]).map(|(value, name)| number(name, value)).collect::<Vec<_>>()
    };
    let histogram = HistogramDataPoint {
        attributes: vec![string("route", "/a")],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: Some(4.5),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![0.1],
        exemplars: vec![odd_exemplar()],
        flags: 0,
        min: Some(0.05),
        max: None,
    };
    let exponential = ExponentialHistogramDataPoint {
        attributes: vec![string("route", "/a")],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: None,
        scale: -2,
        zero_count: 1,
        positive: Some(Buckets { offset: -3, bucket_counts: vec![1, 0, 1] }),
        negative: None,
        flags: 0,
        exemplars: Vec::new(),
        min: Some(0.0),
        max: Some(9.0),
        zero_threshold: 0.25,
    };
    let summary = SummaryDataPoint {
        attributes: vec![string("route", "/a")],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: 4.5,
        quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 1.0 }],
        flags: 0,
    };
    let data = [
        Data::Gauge(Gauge { data_points: numbers() }),
        Data::Sum(Sum { data_points: numbers(), aggregation_temporality: 1, is_monotonic: true }),
        Data::Sum(Sum { data_points: numbers(), aggregation_temporality: 0, is_monotonic: false }),
        Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 2 }),
        Data::ExponentialHistogram(ExponentialHistogram { data_points: vec![exponential], aggregation_temporality: 1 }),
        Data::Summary(Summary { data_points: vec![summary] }),
    ];
    let metric = |(place, data): (usize, Data)| Metric {
        name: format!("odd.{place}"),
        description: "how odd".to_owned(),
        unit: if place == 0 { String::new() } else { "s".to_owned() },
        metadata: Vec::new(),
        data: Some(data),
    };
    data.into_iter().enumerate().map(metric).collect()
}

#[test]
fn a_row_of_a_data_point_becomes_one_that_makes_the_same_row_and_points_of_one_metric_stay_together() {
    let attributes = vec![string("service.name", "odd"), int("process.pid", 7)];
    let scope = Some(InstrumentationScope { name: "lib".to_owned(), ..Default::default() });
    let scope_metrics = vec![ScopeMetrics { scope, metrics: odd_metrics(), schema_url: String::new() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let group = ResourceMetrics { resource, scope_metrics, schema_url: String::new() };
    let request = ExportMetricsServiceRequest { resource_metrics: vec![group] }.encode_to_vec();
    let all = files(Signal::Metrics, &request);
    // A number that is read as text is another series.
    for reading in READINGS.into_iter().filter(|reading| reading.is_typed) {
        for table in Table::POINTS {
            let first = all[table.name()].clone();
            let again = rebuilt_of(table, "name", first.clone(), reading);
            assert!(files(Signal::Metrics, &again)[table.name()] == first, "{table:?} {reading:?}");
            let request = ExportMetricsServiceRequest::decode(&again[..]).unwrap();
            let metrics = request.resource_metrics[0].scope_metrics[0].metrics.len();
            assert_eq!(metrics, if table == Table::Numbers { 3 } else { 1 }, "{table:?}");
        }
    }
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
