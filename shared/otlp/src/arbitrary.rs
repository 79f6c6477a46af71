//! Arbitrary export requests of the published message types, and the captured bodies, for tests.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{self as metrics, Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;
use spanlake_model::Signal;

use crate::inflate::{Coding, Inflater};

/// The bodies that real SDKs sent, inflated: name, signal, whether JSON, bytes.
#[expect(clippy::disallowed_methods, reason = "fixtures are files; the crate itself touches none")]
pub(crate) fn captures() -> Vec<(String, Signal, bool, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/captures");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let mut all = Vec::new();
    for name in names {
        let name = name.into_string().unwrap();
        let signal = Signal::ALL.into_iter().find(|signal| name.contains(signal.name())).unwrap();
        let coding = if name.contains("_gzip_") { Coding::Gzip } else { Coding::Identity };
        let mut body = Vec::new();
        let bytes = std::fs::read(format!("{folder}/{name}")).unwrap();
        Inflater::new().inflate(coding, &bytes, 1 << 20, &mut body).unwrap();
        all.push((name.clone(), signal, name.contains(".json"), body));
    }
    assert!(all.len() >= 30);
    all
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![3 => "[a-z.]{0,12}", 1 => ".{0,6}", 1 => "[a-z ]{100,200}"].boxed()
}

fn any_value() -> BoxedStrategy<AnyValue> {
    use any_value::Value;
    let leaf = prop_oneof![
        4 => text().prop_map(Value::StringValue),
        1 => any::<bool>().prop_map(Value::BoolValue),
        2 => any::<i64>().prop_map(Value::IntValue),
        1 => any::<f64>().prop_map(Value::DoubleValue),
        1 => vec(any::<u8>(), 0..5).prop_map(Value::BytesValue),
        1 => any::<i32>().prop_map(Value::StringValueStrindex),
    ];
    let value = option::weighted(0.95, leaf).prop_map(|value| AnyValue { value });
    let nested = value.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(key_value(inner.boxed()), 0..3).prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    });
    nested.boxed()
}

fn key_value(value: BoxedStrategy<AnyValue>) -> BoxedStrategy<KeyValue> {
    (text(), option::weighted(0.9, value), prop_oneof![9 => Just(0), 1 => any::<i32>()])
        .prop_map(|(key, value, key_strindex)| KeyValue { key, value, key_strindex })
        .boxed()
}

fn attributes() -> BoxedStrategy<Vec<KeyValue>> {
    vec(key_value(any_value()), 0..4).boxed()
}

fn resource() -> BoxedStrategy<Option<Resource>> {
    let entity = (text(), text(), vec(text(), 0..3), vec(text(), 0..3))
        .prop_map(|(schema_url, r#type, id_keys, description_keys)| EntityRef { schema_url, r#type, id_keys, description_keys });
    let resource =
        (attributes(), any::<u32>(), vec(entity, 0..2)).prop_map(|(attributes, dropped_attributes_count, entity_refs)| {
            Resource { attributes, dropped_attributes_count, entity_refs }
        });
    option::weighted(0.8, resource).boxed()
}

fn scope() -> BoxedStrategy<Option<InstrumentationScope>> {
    let scope = (text(), text(), attributes(), any::<u32>()).prop_map(|(name, version, attributes, dropped_attributes_count)| {
        InstrumentationScope { name, version, attributes, dropped_attributes_count }
    });
    option::weighted(0.8, scope).boxed()
}

/// A valid trace id out of few, so that traces have several spans.
fn trace_id() -> BoxedStrategy<Vec<u8>> {
    (1_u8..20).prop_map(|n| vec![n; 16]).boxed()
}

fn span_id() -> BoxedStrategy<Vec<u8>> {
    any::<[u8; 7]>().prop_map(|bytes| [&[1], &bytes[..]].concat()).boxed()
}

fn span() -> BoxedStrategy<Span> {
    let event = (any::<u64>(), text(), attributes(), any::<u32>()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| span::Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    );
    let link = (vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..9), text(), attributes(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, flags)| span::Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            flags,
            ..Default::default()
        },
    );
    let status = option::of((text(), any::<i32>()).prop_map(|(message, code)| Status { message, code }));
    let ids = (trace_id(), span_id(), prop_oneof![Just(vec![]), span_id()]);
    let scalars = (text(), text(), any::<i32>(), any::<u64>(), any::<u64>(), any::<u32>());
    (ids, scalars, attributes(), vec(event, 0..3), vec(link, 0..3), status)
        .prop_map(|(ids, scalars, attributes, events, links, status)| Span {
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            trace_state: scalars.0,
            name: scalars.1,
            kind: scalars.2,
            start_time_unix_nano: scalars.3,
            end_time_unix_nano: scalars.4,
            flags: scalars.5,
            attributes,
            events,
            links,
            status,
            ..Default::default()
        })
        .boxed()
}

fn log_record() -> BoxedStrategy<LogRecord> {
    let ids = (prop_oneof![Just(vec![]), Just(vec![0; 16]), trace_id()], prop_oneof![Just(vec![]), span_id()]);
    (ids, (any::<u64>(), any::<u64>(), any::<i32>(), text()), option::of(any_value()), attributes())
        .prop_map(|(ids, scalars, body, attributes)| LogRecord {
            trace_id: ids.0,
            span_id: ids.1,
            time_unix_nano: scalars.0,
            observed_time_unix_nano: scalars.1,
            severity_number: scalars.2,
            severity_text: scalars.3,
            body,
            attributes,
            ..Default::default()
        })
        .boxed()
}

fn exemplars() -> BoxedStrategy<Vec<metrics::Exemplar>> {
    let value = option::of(prop_oneof![
        any::<f64>().prop_map(metrics::exemplar::Value::AsDouble),
        any::<i64>().prop_map(metrics::exemplar::Value::AsInt),
    ]);
    let exemplar = (attributes(), any::<u64>(), vec(any::<u8>(), 0..9), vec(any::<u8>(), 0..20), value).prop_map(
        |(filtered_attributes, time_unix_nano, span_id, trace_id, value)| metrics::Exemplar {
            filtered_attributes,
            time_unix_nano,
            span_id,
            trace_id,
            value,
        },
    );
    vec(exemplar, 0..2).boxed()
}

fn numbers() -> BoxedStrategy<Vec<metrics::NumberDataPoint>> {
    use metrics::number_data_point::Value;
    let value = option::of(prop_oneof![any::<f64>().prop_map(Value::AsDouble), any::<i64>().prop_map(Value::AsInt)]);
    let point = (attributes(), any::<u64>(), any::<u64>(), exemplars(), any::<u32>(), value).prop_map(
        |(attributes, start_time_unix_nano, time_unix_nano, exemplars, flags, value)| metrics::NumberDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            exemplars,
            flags,
            value,
        },
    );
    vec(point, 0..3).boxed()
}

fn histograms() -> BoxedStrategy<Vec<metrics::HistogramDataPoint>> {
    let sums = (option::of(any::<f64>()), option::of(any::<f64>()), option::of(any::<f64>()));
    let point = (attributes(), any::<u64>(), sums, vec(any::<u64>(), 0..4), vec(any::<f64>(), 0..4), exemplars()).prop_map(
        |(attributes, count, sums, bucket_counts, explicit_bounds, exemplars)| metrics::HistogramDataPoint {
            attributes,
            count,
            sum: sums.0,
            min: sums.1,
            max: sums.2,
            bucket_counts,
            explicit_bounds,
            exemplars,
            ..Default::default()
        },
    );
    vec(point, 0..3).boxed()
}

fn exponentials() -> BoxedStrategy<Vec<metrics::ExponentialHistogramDataPoint>> {
    use metrics::exponential_histogram_data_point::Buckets;
    let buckets = || {
        option::of((any::<i32>(), vec(any::<u64>(), 0..4)).prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts }))
    };
    let point = (attributes(), any::<i32>(), any::<u64>(), buckets(), buckets(), any::<f64>(), exemplars()).prop_map(
        |(attributes, scale, zero_count, positive, negative, zero_threshold, exemplars)| metrics::ExponentialHistogramDataPoint {
            attributes,
            scale,
            zero_count,
            positive,
            negative,
            zero_threshold,
            exemplars,
            ..Default::default()
        },
    );
    vec(point, 0..3).boxed()
}

fn summaries() -> BoxedStrategy<Vec<metrics::SummaryDataPoint>> {
    use metrics::summary_data_point::ValueAtQuantile;
    let quantile = (any::<f64>(), any::<f64>()).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    let point =
        (attributes(), any::<u64>(), any::<f64>(), vec(quantile, 0..3)).prop_map(|(attributes, count, sum, quantile_values)| {
            metrics::SummaryDataPoint { attributes, count, sum, quantile_values, ..Default::default() }
        });
    vec(point, 0..3).boxed()
}

fn metric() -> BoxedStrategy<Metric> {
    use metrics::metric::Data;
    let data = prop_oneof![
        numbers().prop_map(|data_points| Data::Gauge(metrics::Gauge { data_points })),
        (numbers(), any::<i32>(), any::<bool>()).prop_map(|(data_points, aggregation_temporality, is_monotonic)| {
            Data::Sum(metrics::Sum { data_points, aggregation_temporality, is_monotonic })
        }),
        histograms().prop_map(|data_points| Data::Histogram(metrics::Histogram { data_points, aggregation_temporality: 2 })),
        exponentials().prop_map(|data_points| {
            Data::ExponentialHistogram(metrics::ExponentialHistogram { data_points, aggregation_temporality: 1 })
        }),
        summaries().prop_map(|data_points| Data::Summary(metrics::Summary { data_points })),
    ];
    (text(), text(), text(), attributes(), option::weighted(0.9, data))
        .prop_map(|(name, description, unit, metadata, data)| Metric { name, description, unit, metadata, data })
        .boxed()
}

/// Valid spans in few traces.
pub(crate) fn traces() -> BoxedStrategy<ExportTraceServiceRequest> {
    let scopes =
        (scope(), vec(span(), 0..8), text()).prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    let resources = (resource(), vec(scopes, 0..3), text()).prop_map(|(resource, scope_spans, schema_url)| ResourceSpans {
        resource,
        scope_spans,
        schema_url,
    });
    vec(resources, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans }).boxed()
}

/// Valid log records, some in traces.
pub(crate) fn logs() -> BoxedStrategy<ExportLogsServiceRequest> {
    let scopes = (scope(), vec(log_record(), 0..8), text()).prop_map(|(scope, log_records, schema_url)| ScopeLogs {
        scope,
        log_records,
        schema_url,
    });
    let resources = (resource(), vec(scopes, 0..3), text()).prop_map(|(resource, scope_logs, schema_url)| ResourceLogs {
        resource,
        scope_logs,
        schema_url,
    });
    vec(resources, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs }).boxed()
}

/// Metrics of all kinds, some without points.
pub(crate) fn metrics() -> BoxedStrategy<ExportMetricsServiceRequest> {
    let scopes = (scope(), vec(metric(), 0..6), text()).prop_map(|(scope, metrics, schema_url)| ScopeMetrics {
        scope,
        metrics,
        schema_url,
    });
    let resources = (resource(), vec(scopes, 0..3), text()).prop_map(|(resource, scope_metrics, schema_url)| ResourceMetrics {
        resource,
        scope_metrics,
        schema_url,
    });
    vec(resources, 0..3).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics }).boxed()
}

/// A valid body of any signal.
pub(crate) fn body() -> BoxedStrategy<(Signal, Vec<u8>)> {
    prop_oneof![
        traces().prop_map(|request| (Signal::Traces, request.encode_to_vec())),
        logs().prop_map(|request| (Signal::Logs, request.encode_to_vec())),
        metrics().prop_map(|request| (Signal::Metrics, request.encode_to_vec())),
    ]
    .boxed()
}
