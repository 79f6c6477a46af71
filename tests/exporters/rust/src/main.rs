//! Sends known telemetry with the published Rust exporters (OTLP/HTTP, protobuf, gzip) and prints what was sent.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{
    Event, Link, Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_otlp::{Compression, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::{Value as Json, json};

const SERVICE: &str = "exporter-rust";
const SCOPE: &str = "shop.rust";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let url = std::env::args().nth(1).ok_or("the URL to send to is missing")?.trim_end_matches('/').to_owned();
    let resource = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", SERVICE),
            KeyValue::new("service.version", "1.2.3"),
            KeyValue::new("deployment.environment.name", "test"),
        ])
        .build();
    let (root, spans) = traces(&url, resource.clone())?;
    let logs = logs(&url, resource.clone(), &root)?;
    let metrics = metrics(&url, resource)?;
    println!("{}", json!({"service": SERVICE, "spans": spans, "logs": logs, "metrics": metrics}));
    Ok(())
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE).with_version("0.1").build()
}

fn nanos(at: SystemTime) -> u128 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

/// What every sent span has.
fn note(own: &SpanContext, parent: &str, name: &str, kind: &str, start: SystemTime, length: u64, rest: Json) -> Json {
    let mut noted = json!({
        "trace_id": own.trace_id().to_string(), "span_id": own.span_id().to_string(), "parent_span_id": parent, "name": name,
        "kind": kind, "status_code": "UNSET", "status_message": "", "start_unix_nano": nanos(start).to_string(),
        "duration_nano": length, "scope_name": SCOPE, "scope_version": "0.1", "attributes": {}, "event": null, "links": 0,
    });
    if let (Some(noted), Json::Object(rest)) = (noted.as_object_mut(), rest) {
        noted.extend(rest);
    }
    noted
}

fn traces(url: &str, resource: Resource) -> Outcome<(SpanContext, Vec<Json>)> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{url}/v1/traces"))
        .with_compression(Compression::Gzip)
        .build()?;
    let provider = SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
    let tracer = provider.tracer_with_scope(scope());
    let start = SystemTime::now();
    let at = |nanos: u64| start + Duration::from_nanos(nanos);
    let tags = Value::Array(Array::String(vec![StringValue::from("a"), StringValue::from("b")]));
    let text = "gr\u{fc}\u{df}e \u{2713}";
    let root = tracer
        .span_builder("GET /items/{id}")
        .with_kind(SpanKind::Server)
        .with_start_time(start)
        .with_attributes([
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("http.route", "/items/{id}"),
            KeyValue::new("http.response.status_code", 200),
            KeyValue::new("app.text", text),
            KeyValue::new("app.flag", true),
            KeyValue::new("app.count", 9_007_199_254_740_993_i64),
            KeyValue::new("app.ratio", 0.125),
            KeyValue::new("app.tags", tags),
        ])
        .start_with_context(&tracer, &Context::new());
    let of_root = root.span_context().clone();
    let below = Context::new().with_span(root);
    let parent = of_root.span_id().to_string();
    let mut spans = vec![note(&of_root, "", "GET /items/{id}", "SERVER", start, 123_456_789, json!({
        "columns": {"http_request_method": "GET", "http_route": "/items/{id}", "http_response_status_code": "200"},
        "attributes": {"app.text": text, "app.flag": "true", "app.count": "9007199254740993", "app.ratio": "0.125",
                       "app.tags": "[\"a\",\"b\"]"},
    }))];
    let mut query = tracer
        .span_builder("SELECT items")
        .with_kind(SpanKind::Client)
        .with_start_time(at(1_000_003))
        .with_links(vec![Link::new(of_root.clone(), vec![KeyValue::new("app.why", "test")], 0)])
        .with_events(vec![Event::new("cache.miss", at(2_000_000), vec![KeyValue::new("cache.key", "item:7")], 0)])
        .with_attributes([KeyValue::new("db.system.name", "postgresql"), KeyValue::new("db.query.text", "SELECT 1")])
        .start_with_context(&tracer, &below);
    query.end_with_timestamp(at(50_000_007));
    spans.push(note(query.span_context(), &parent, "SELECT items", "CLIENT", at(1_000_003), 49_000_004, json!({
        "columns": {"db_system": "postgresql", "db_query_text": "SELECT 1"}, "links": 1,
        "event": {"name": "cache.miss", "time_unix_nano": nanos(at(2_000_000)).to_string(), "attributes": {"cache.key": "item:7"}},
    })));
    let mut broken = tracer.span_builder("work").with_start_time(at(60_000_000)).start_with_context(&tracer, &below);
    broken.set_status(Status::error("it broke"));
    let exception = vec![KeyValue::new("exception.type", "Broken"), KeyValue::new("exception.message", "it broke")];
    broken.add_event_with_timestamp("exception", at(61_000_000), exception);
    broken.end_with_timestamp(at(70_000_000));
    spans.push(note(broken.span_context(), &parent, "work", "INTERNAL", at(60_000_000), 10_000_000, json!({
        "status_code": "ERROR", "status_message": "it broke",
        "columns": {"exception_type": "Broken", "exception_message": "it broke"},
        "event": {"name": "exception", "time_unix_nano": nanos(at(61_000_000)).to_string(), "attributes": {}},
    })));
    below.span().end_with_timestamp(at(123_456_789));
    provider.shutdown()?;
    Ok((of_root, spans))
}

fn logs(url: &str, resource: Resource, root: &SpanContext) -> Outcome<Vec<Json>> {
    let exporter = LogExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{url}/v1/logs"))
        .with_compression(Compression::Gzip)
        .build()?;
    let provider = SdkLoggerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
    let logger = provider.logger_with_scope(scope());
    let now = SystemTime::now();
    let mut sent = Vec::new();
    let records =
        [("item 7 was sold", Severity::Info, "INFO", Some(root)), ("the shelf is empty", Severity::Warn, "WARN", None)];
    for (body, severity, severity_text, of) in records {
        let mut record = logger.create_log_record();
        record.set_timestamp(now);
        record.set_observed_timestamp(now);
        record.set_body(AnyValue::from(body));
        record.set_severity_number(severity);
        record.set_severity_text(severity_text);
        record.add_attribute("app.shelf", 7);
        if let Some(of) = of {
            record.set_trace_context(of.trace_id(), of.span_id(), Some(of.trace_flags()));
        }
        logger.emit(record);
        sent.push(json!({
            "body": body, "severity_number": (severity as u8).to_string(), "severity_text": severity_text,
            "time_unix_nano": nanos(now).to_string(), "trace_id": of.map_or(String::new(), |of| of.trace_id().to_string()),
            "span_id": of.map_or(String::new(), |of| of.span_id().to_string()), "attributes": {"app.shelf": "7"},
        }));
    }
    provider.shutdown()?;
    Ok(sent)
}

fn metrics(url: &str, resource: Resource) -> Outcome<Json> {
    let exporter = MetricExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{url}/v1/metrics"))
        .with_compression(Compression::Gzip)
        .build()?;
    let reader = PeriodicReader::builder(exporter).with_interval(Duration::from_secs(3_600)).build();
    let provider = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
    let meter = provider.meter_with_scope(scope());
    let shelf = [KeyValue::new("app.shelf", "a")];
    meter.u64_counter("app.sold").with_unit("{item}").build().add(7, &shelf);
    meter.f64_gauge("app.load").with_unit("1").build().record(2.5, &shelf);
    let latency = meter.f64_histogram("app.latency").with_unit("ms").build();
    [1.0, 5.0, 20.0].into_iter().for_each(|value| latency.record(value, &shelf));
    provider.shutdown()?;
    let attributes = json!({"app.shelf": "a"});
    Ok(json!([
        {"table": "metrics_number", "name": "app.sold", "unit": "{item}", "attributes": attributes,
         "columns": {"int_value": "7", "is_monotonic": "true"}},
        {"table": "metrics_number", "name": "app.load", "unit": "1", "attributes": attributes, "columns": {"double_value": "2.5"}},
        {"table": "metrics_histogram", "name": "app.latency", "unit": "ms", "attributes": attributes,
         "columns": {"\"count\"": "3", "\"sum\"": "26.0", "\"min\"": "1.0", "\"max\"": "20.0"}},
    ]))
}
