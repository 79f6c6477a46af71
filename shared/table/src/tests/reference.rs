//! Rows made from decoded messages, the obvious way.
#![expect(clippy::cast_precision_loss, reason = "the exemplars' column is a double")]
#![expect(clippy::format_collect, reason = "obvious beats fast in a reference")]
#![expect(clippy::match_same_arms, reason = "guards read best one by one")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric, NumberDataPoint, exemplar, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use super::ARRIVAL;
use super::generate::Source;
use super::read::double;
use crate::promote::{LOG_RULES, RESOURCE_RULES, Rule, SPAN_RULES};

type Row = Map<String, Value>;

fn saturate(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn millis(nanos: u64) -> i64 {
    saturate(nanos) / 1_000_000 * 1_000
}

fn hex(bytes: &[u8]) -> Value {
    if bytes.is_empty() { Value::Null } else { json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()) }
}

fn or_null(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}

fn word(words: &[&str], number: i32) -> String {
    usize::try_from(number).ok().and_then(|place| words.get(place)).map_or_else(|| number.to_string(), |word| (*word).to_owned())
}

fn real(number: f64) -> String {
    match number {
        n if n.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        n => format!("{n:?}"),
    }
}

fn json_text(value: &AnyValue) -> String {
    match &value.value {
        None => "null".to_owned(),
        Some(Any::StringValue(text)) => json!(text).to_string(),
        Some(Any::BytesValue(bytes)) => json!(STANDARD.encode(bytes)).to_string(),
        Some(Any::DoubleValue(number)) if !number.is_finite() => json!(real(*number)).to_string(),
        Some(Any::ArrayValue(array)) => format!("[{}]", array.values.iter().map(json_text).collect::<Vec<_>>().join(",")),
        Some(Any::KvlistValue(list)) => {
            let fields: Vec<_> = list
                .values
                .iter()
                .map(|kv| format!("{}:{}", json!(kv.key), kv.value.as_ref().map_or_else(|| "null".to_owned(), json_text)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Some(_) => text(Some(value)).unwrap(),
    }
}

fn text(value: Option<&AnyValue>) -> Option<String> {
    let value = value?;
    Some(match value.value.as_ref()? {
        Any::StringValue(text) => text.clone(),
        Any::BoolValue(bit) => bit.to_string(),
        Any::IntValue(number) => number.to_string(),
        Any::DoubleValue(number) => real(*number),
        Any::BytesValue(bytes) => STANDARD.encode(bytes),
        _ => json_text(value),
    })
}

/// Attributes by key, the last of equal keys.
fn by_key(attributes: &[KeyValue]) -> BTreeMap<String, Option<AnyValue>> {
    attributes.iter().map(|kv| (kv.key.clone(), kv.value.clone())).collect()
}

fn map(attributes: &BTreeMap<String, Option<AnyValue>>) -> Value {
    Value::Object(attributes.iter().map(|(key, value)| (key.clone(), json!(text(value.as_ref())))).collect())
}

/// Columns by the published rules; what feeds one is taken away. The keys used here need no splitting.
fn promote(rules: &[Rule], attributes: &mut BTreeMap<String, Option<AnyValue>>, row: &mut Row) {
    for rule in rules {
        row.insert(rule.column.to_owned(), Value::Null);
        for key in rule.keys {
            let value = attributes.get(*key).cloned().flatten().and_then(|value| value.value);
            let cell = match (rule.kind, value) {
                (_, None) => continue,
                (crate::promote::Kind::Text, Some(value)) => json!(text(Some(&AnyValue { value: Some(value) }))),
                (crate::promote::Kind::Int, Some(Any::IntValue(n))) if i32::try_from(n).is_ok() => json!(n),
                (crate::promote::Kind::Bigint, Some(Any::IntValue(n))) => json!(n),
                _ => continue,
            };
            row.insert(rule.column.to_owned(), cell);
            attributes.remove(*key);
            break;
        }
    }
}

fn common(source: &Source, row: &mut Row) {
    let mut resource = by_key(&source.resource.attributes);
    promote(RESOURCE_RULES, &mut resource, row);
    row.insert("resource_attributes".to_owned(), map(&resource));
    row.insert("scope_attributes".to_owned(), map(&by_key(&source.scope.attributes)));
    row.insert("scope_name".to_owned(), or_null(&source.scope.name));
    row.insert("scope_version".to_owned(), or_null(&source.scope.version));
    row.insert("ingest_time".to_owned(), json!(ARRIVAL / 1_000_000 * 1_000));
    row.insert("schema_version".to_owned(), json!(2));
}

fn object(value: Value) -> Row {
    let Value::Object(row) = value else { panic!("{value} is no row") };
    row
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(in crate::tests) fn span(source: &Source, span: &Span) -> Value {
    let status = span.status.clone().unwrap_or_default();
    let mut row = object(json!({
        "start_time": millis(span.start_time_unix_nano),
        "start_unix_nano": saturate(span.start_time_unix_nano),
        "duration_nano": span.end_time_unix_nano.checked_sub(span.start_time_unix_nano).map(saturate),
        "trace_id": hex(&span.trace_id), "span_id": hex(&span.span_id), "parent_span_id": hex(&span.parent_span_id),
        "trace_state": or_null(&span.trace_state), "flags": count(span.flags), "name": span.name,
        "kind": word(&["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"], span.kind),
        "status_code": word(&["UNSET", "OK", "ERROR"], status.code), "status_message": or_null(&status.message),
        "is_root": span.parent_span_id.is_empty(), "is_error": status.code == 2,
        "dropped_attributes_count": count(span.dropped_attributes_count),
        "dropped_events_count": 3, "dropped_links_count": 4,
        "sampling_policy": "all", "sampling_weight": double(2.5), "is_late": false,
    }));
    common(source, &mut row);
    let mut attributes = by_key(&span.attributes);
    promote(SPAN_RULES, &mut attributes, &mut row);
    row.insert("attributes".to_owned(), map(&attributes));
    let events = span.events.iter().map(|event| {
        json!({"time_unix_nano": saturate(event.time_unix_nano), "name": event.name, "attributes": map(&by_key(&event.attributes))})
    });
    row.insert("events".to_owned(), events.collect());
    let links = span.links.iter().map(|link| {
        json!({"trace_id": hex(&link.trace_id), "span_id": hex(&link.span_id), "trace_state": or_null(&link.trace_state),
               "attributes": map(&by_key(&link.attributes))})
    });
    row.insert("links".to_owned(), links.collect());
    Value::Object(row)
}

pub(in crate::tests) fn log(source: &Source, log: &LogRecord) -> Value {
    let time = if log.time_unix_nano == 0 { log.observed_time_unix_nano } else { log.time_unix_nano };
    let body_type = log.body.as_ref().and_then(|body| body.value.as_ref()).map(|body| match body {
        Any::StringValue(_) => "string",
        Any::BoolValue(_) => "bool",
        Any::IntValue(_) => "int",
        Any::DoubleValue(_) => "double",
        Any::ArrayValue(_) => "array",
        Any::KvlistValue(_) => "map",
        _ => "bytes",
    });
    let mut row = object(json!({
        "time": millis(time), "time_unix_nano": saturate(log.time_unix_nano),
        "observed_unix_nano": saturate(log.observed_time_unix_nano),
        "trace_id": hex(&log.trace_id), "span_id": hex(&log.span_id), "flags": 1,
        "severity_number": log.severity_number, "severity_text": or_null(&log.severity_text),
        "event_name": or_null(&log.event_name), "body": text(log.body.as_ref()), "body_type": body_type,
        "sampling_policy": "all", "sampling_weight": double(2.5),
    }));
    common(source, &mut row);
    let mut attributes = by_key(&log.attributes);
    promote(LOG_RULES, &mut attributes, &mut row);
    row.insert("attributes".to_owned(), map(&attributes));
    Value::Object(row)
}

fn exemplars(exemplars: &[Exemplar]) -> Value {
    exemplars
        .iter()
        .map(|exemplar| {
            let value = exemplar.value.map(|value| match value {
                exemplar::Value::AsDouble(number) => double(number),
                exemplar::Value::AsInt(number) => double(number as f64),
            });
            json!({"time_unix_nano": saturate(exemplar.time_unix_nano), "value": value, "trace_id": hex(&exemplar.trace_id),
                   "span_id": hex(&exemplar.span_id), "attributes": map(&by_key(&exemplar.filtered_attributes))})
        })
        .collect()
}

fn temporality(number: i32) -> String {
    word(&["UNSPECIFIED", "DELTA", "CUMULATIVE"], number)
}

fn number(point: &NumberDataPoint, own: Value) -> (Value, Vec<KeyValue>, [u64; 2], u32, Value) {
    let mut own = object(own);
    let (mut int, mut real) = (Value::Null, Value::Null);
    match point.value {
        Some(number_data_point::Value::AsInt(number)) => int = json!(number),
        Some(number_data_point::Value::AsDouble(number)) => real = double(number),
        None => {}
    }
    own.insert("int_value".to_owned(), int);
    own.insert("double_value".to_owned(), real);
    let times = [point.time_unix_nano, point.start_time_unix_nano];
    (Value::Object(own), point.attributes.clone(), times, point.flags, exemplars(&point.exemplars))
}

fn numbers(counts: &[u64]) -> Value {
    json!(counts.iter().copied().map(saturate).collect::<Vec<_>>())
}

fn doubles(values: &[f64]) -> Value {
    values.iter().copied().map(double).collect()
}

pub(in crate::tests) fn metric(source: &Source, metric: &Metric) -> Vec<(&'static str, Value)> {
    let points: Vec<(&'static str, _)> = match &metric.data {
        None => Vec::new(),
        Some(Data::Gauge(gauge)) => {
            let own = json!({"metric_type": "gauge", "is_monotonic": null, "temporality": null});
            gauge.data_points.iter().map(|point| ("metrics_number", number(point, own.clone()))).collect()
        }
        Some(Data::Sum(sum)) => {
            let own = json!({"metric_type": "sum", "is_monotonic": sum.is_monotonic,
                             "temporality": temporality(sum.aggregation_temporality)});
            sum.data_points.iter().map(|point| ("metrics_number", number(point, own.clone()))).collect()
        }
        Some(Data::Histogram(histogram)) => histogram
            .data_points
            .iter()
            .map(|p| {
                let own = json!({"temporality": temporality(histogram.aggregation_temporality), "count": saturate(p.count),
                    "sum": p.sum.map(double), "min": p.min.map(double), "max": p.max.map(double),
                    "bucket_counts": numbers(&p.bucket_counts), "explicit_bounds": doubles(&p.explicit_bounds)});
                let times = [p.time_unix_nano, p.start_time_unix_nano];
                ("metrics_histogram", (own, p.attributes.clone(), times, p.flags, exemplars(&p.exemplars)))
            })
            .collect(),
        Some(Data::ExponentialHistogram(histogram)) => histogram
            .data_points
            .iter()
            .map(|p| {
                let side = |buckets: &Option<Buckets>| buckets.clone().unwrap_or_default();
                let (positive, negative) = (side(&p.positive), side(&p.negative));
                let own = json!({"temporality": temporality(histogram.aggregation_temporality), "count": saturate(p.count),
                    "sum": p.sum.map(double), "min": p.min.map(double), "max": p.max.map(double), "scale": p.scale,
                    "zero_count": saturate(p.zero_count), "zero_threshold": double(p.zero_threshold),
                    "positive_offset": positive.offset, "positive_counts": numbers(&positive.bucket_counts),
                    "negative_offset": negative.offset, "negative_counts": numbers(&negative.bucket_counts)});
                let times = [p.time_unix_nano, p.start_time_unix_nano];
                ("metrics_exp_histogram", (own, p.attributes.clone(), times, p.flags, exemplars(&p.exemplars)))
            })
            .collect(),
        Some(Data::Summary(summary)) => summary
            .data_points
            .iter()
            .map(|p| {
                let quantiles: Value =
                    p.quantile_values.iter().map(|q| json!({"quantile": double(q.quantile), "value": double(q.value)})).collect();
                let own = json!({"count": saturate(p.count), "sum": double(p.sum), "quantiles": quantiles});
                let times = [p.time_unix_nano, p.start_time_unix_nano];
                ("metrics_summary", (own, p.attributes.clone(), times, p.flags, json!([])))
            })
            .collect(),
    };
    points
        .into_iter()
        .map(|(table, (own, attributes, [time, start], flags, exemplars))| {
            let mut row = object(own);
            common(source, &mut row);
            row.extend(object(json!({
                "time": millis(time), "time_unix_nano": saturate(time), "start_unix_nano": saturate(start),
                "name": metric.name, "unit": or_null(&metric.unit), "description": or_null(&metric.description),
                "attributes": map(&by_key(&attributes)), "flags": flags, "exemplars": exemplars,
            })));
            (table, Value::Object(row))
        })
        .collect()
}
