//! The tables themselves.

use super::{EnumNames, Field, Kind, Message};

const fn one(number: u32, name: &'static str, json: &'static str, kind: Kind) -> Field {
    Field { number, name, json, kind, repeated: false }
}

const fn many(number: u32, name: &'static str, json: &'static str, kind: Kind) -> Field {
    Field { number, name, json, kind, repeated: true }
}

macro_rules! message {
    ($(#[$doc:meta])* $constant:ident $name:literal $fields:tt) => {
        $(#[$doc])*
        pub static $constant: Message = {
            static FIELDS: &[Field] = &$fields;
            Message::new($name, FIELDS)
        };
    };
}

const SPAN_KIND: EnumNames = &[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
];

const STATUS_CODE: EnumNames = &[("STATUS_CODE_UNSET", 0), ("STATUS_CODE_OK", 1), ("STATUS_CODE_ERROR", 2)];

const TEMPORALITY: EnumNames = &[
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
];

const SEVERITY: EnumNames = &[
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
];

message! {
    /// The request of `/v1/traces`.
    EXPORT_TRACES "ExportTraceServiceRequest" [
        many(1, "resource_spans", "resourceSpans", Kind::Message(&RESOURCE_SPANS)),
    ]
}

message! {
    /// A resource and what its scopes produced.
    RESOURCE_SPANS "ResourceSpans" [
        one(1, "resource", "resource", Kind::Message(&RESOURCE)),
        many(2, "scope_spans", "scopeSpans", Kind::Message(&SCOPE_SPANS)),
        one(3, "schema_url", "schemaUrl", Kind::String),
    ]
}

message! {
    /// A scope and its items.
    SCOPE_SPANS "ScopeSpans" [
        one(1, "scope", "scope", Kind::Message(&SCOPE)),
        many(2, "spans", "spans", Kind::Message(&SPAN)),
        one(3, "schema_url", "schemaUrl", Kind::String),
    ]
}

message! {
    /// The request of `/v1/logs`.
    EXPORT_LOGS "ExportLogsServiceRequest" [
        many(1, "resource_logs", "resourceLogs", Kind::Message(&RESOURCE_LOGS)),
    ]
}

message! {
    /// A resource and what its scopes produced.
    RESOURCE_LOGS "ResourceLogs" [
        one(1, "resource", "resource", Kind::Message(&RESOURCE)),
        many(2, "scope_logs", "scopeLogs", Kind::Message(&SCOPE_LOGS)),
        one(3, "schema_url", "schemaUrl", Kind::String),
    ]
}

message! {
    /// A scope and its items.
    SCOPE_LOGS "ScopeLogs" [
        one(1, "scope", "scope", Kind::Message(&SCOPE)),
        many(2, "log_records", "logRecords", Kind::Message(&LOG_RECORD)),
        one(3, "schema_url", "schemaUrl", Kind::String),
    ]
}

message! {
    /// The request of `/v1/metrics`.
    EXPORT_METRICS "ExportMetricsServiceRequest" [
        many(1, "resource_metrics", "resourceMetrics", Kind::Message(&RESOURCE_METRICS)),
    ]
}

message! {
    /// A resource and what its scopes produced.
    RESOURCE_METRICS "ResourceMetrics" [
        one(1, "resource", "resource", Kind::Message(&RESOURCE)),
        many(2, "scope_metrics", "scopeMetrics", Kind::Message(&SCOPE_METRICS)),
        one(3, "schema_url", "schemaUrl", Kind::String),
    ]
}

message! {
    /// A scope and its items.
    SCOPE_METRICS "ScopeMetrics" [
        one(1, "scope", "scope", Kind::Message(&SCOPE)),
        many(2, "metrics", "metrics", Kind::Message(&METRIC)),
        one(3, "schema_url", "schemaUrl", Kind::String),
    ]
}

message! {
    /// What produced the telemetry.
    RESOURCE "Resource" [
        many(1, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(2, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        many(3, "entity_refs", "entityRefs", Kind::Message(&ENTITY_REF)),
    ]
}

message! {
    /// An entity that a resource describes.
    ENTITY_REF "EntityRef" [
        one(1, "schema_url", "schemaUrl", Kind::String),
        one(2, "type", "type", Kind::String),
        many(3, "id_keys", "idKeys", Kind::String),
        many(4, "description_keys", "descriptionKeys", Kind::String),
    ]
}

message! {
    /// The library that produced the telemetry.
    SCOPE "InstrumentationScope" [
        one(1, "name", "name", Kind::String),
        one(2, "version", "version", Kind::String),
        many(3, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(4, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
    ]
}

message! {
    /// A span.
    SPAN "Span" [
        one(1, "trace_id", "traceId", Kind::Id),
        one(2, "span_id", "spanId", Kind::Id),
        one(3, "trace_state", "traceState", Kind::String),
        one(4, "parent_span_id", "parentSpanId", Kind::Id),
        one(5, "name", "name", Kind::String),
        one(6, "kind", "kind", Kind::Enum(SPAN_KIND)),
        one(7, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        one(8, "end_time_unix_nano", "endTimeUnixNano", Kind::Fixed64),
        many(9, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(10, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        many(11, "events", "events", Kind::Message(&EVENT)),
        one(12, "dropped_events_count", "droppedEventsCount", Kind::Uint32),
        many(13, "links", "links", Kind::Message(&LINK)),
        one(14, "dropped_links_count", "droppedLinksCount", Kind::Uint32),
        one(15, "status", "status", Kind::Message(&STATUS)),
        one(16, "flags", "flags", Kind::Fixed32),
    ]
}

message! {
    /// A point in time within a span.
    EVENT "Event" [
        one(1, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        one(2, "name", "name", Kind::String),
        many(3, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(4, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
    ]
}

message! {
    /// A reference to another span.
    LINK "Link" [
        one(1, "trace_id", "traceId", Kind::Id),
        one(2, "span_id", "spanId", Kind::Id),
        one(3, "trace_state", "traceState", Kind::String),
        many(4, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(5, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        one(6, "flags", "flags", Kind::Fixed32),
    ]
}

message! {
    /// How a span ended.
    STATUS "Status" [
        one(2, "message", "message", Kind::String),
        one(3, "code", "code", Kind::Enum(STATUS_CODE)),
    ]
}

message! {
    /// A log record.
    LOG_RECORD "LogRecord" [
        one(1, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        one(2, "severity_number", "severityNumber", Kind::Enum(SEVERITY)),
        one(3, "severity_text", "severityText", Kind::String),
        one(5, "body", "body", Kind::Message(&ANY_VALUE)),
        many(6, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(7, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        one(8, "flags", "flags", Kind::Fixed32),
        one(9, "trace_id", "traceId", Kind::Id),
        one(10, "span_id", "spanId", Kind::Id),
        one(11, "observed_time_unix_nano", "observedTimeUnixNano", Kind::Fixed64),
        one(12, "event_name", "eventName", Kind::String),
    ]
}

message! {
    /// A metric; its five kinds of data exclude each other, the last one on the wire counts.
    METRIC "Metric" [
        one(1, "name", "name", Kind::String),
        one(2, "description", "description", Kind::String),
        one(3, "unit", "unit", Kind::String),
        one(5, "gauge", "gauge", Kind::Message(&GAUGE)),
        one(7, "sum", "sum", Kind::Message(&SUM)),
        one(9, "histogram", "histogram", Kind::Message(&HISTOGRAM)),
        one(10, "exponential_histogram", "exponentialHistogram", Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        one(11, "summary", "summary", Kind::Message(&SUMMARY)),
        many(12, "metadata", "metadata", Kind::Message(&KEY_VALUE)),
    ]
}

message! {
    /// Current values.
    GAUGE "Gauge" [
        many(1, "data_points", "dataPoints", Kind::Message(&NUMBER_DATA_POINT)),
    ]
}

message! {
    /// Sums.
    SUM "Sum" [
        many(1, "data_points", "dataPoints", Kind::Message(&NUMBER_DATA_POINT)),
        one(2, "aggregation_temporality", "aggregationTemporality", Kind::Enum(TEMPORALITY)),
        one(3, "is_monotonic", "isMonotonic", Kind::Bool),
    ]
}

message! {
    /// Histograms with explicit bounds.
    HISTOGRAM "Histogram" [
        many(1, "data_points", "dataPoints", Kind::Message(&HISTOGRAM_DATA_POINT)),
        one(2, "aggregation_temporality", "aggregationTemporality", Kind::Enum(TEMPORALITY)),
    ]
}

message! {
    /// Histograms with exponential bounds.
    EXPONENTIAL_HISTOGRAM "ExponentialHistogram" [
        many(1, "data_points", "dataPoints", Kind::Message(&EXPONENTIAL_HISTOGRAM_DATA_POINT)),
        one(2, "aggregation_temporality", "aggregationTemporality", Kind::Enum(TEMPORALITY)),
    ]
}

message! {
    /// Quantiles computed by the client.
    SUMMARY "Summary" [
        many(1, "data_points", "dataPoints", Kind::Message(&SUMMARY_DATA_POINT)),
    ]
}

message! {
    /// A point of a gauge or sum.
    NUMBER_DATA_POINT "NumberDataPoint" [
        one(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        one(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        one(4, "as_double", "asDouble", Kind::Double),
        many(5, "exemplars", "exemplars", Kind::Message(&EXEMPLAR)),
        one(6, "as_int", "asInt", Kind::Sfixed64),
        many(7, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(8, "flags", "flags", Kind::Uint32),
    ]
}

message! {
    /// A point of a histogram.
    HISTOGRAM_DATA_POINT "HistogramDataPoint" [
        one(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        one(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        one(4, "count", "count", Kind::Fixed64),
        one(5, "sum", "sum", Kind::Double),
        many(6, "bucket_counts", "bucketCounts", Kind::Fixed64),
        many(7, "explicit_bounds", "explicitBounds", Kind::Double),
        many(8, "exemplars", "exemplars", Kind::Message(&EXEMPLAR)),
        many(9, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(10, "flags", "flags", Kind::Uint32),
        one(11, "min", "min", Kind::Double),
        one(12, "max", "max", Kind::Double),
    ]
}

message! {
    /// A point of an exponential histogram.
    EXPONENTIAL_HISTOGRAM_DATA_POINT "ExponentialHistogramDataPoint" [
        many(1, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        one(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        one(4, "count", "count", Kind::Fixed64),
        one(5, "sum", "sum", Kind::Double),
        one(6, "scale", "scale", Kind::Sint32),
        one(7, "zero_count", "zeroCount", Kind::Fixed64),
        one(8, "positive", "positive", Kind::Message(&BUCKETS)),
        one(9, "negative", "negative", Kind::Message(&BUCKETS)),
        one(10, "flags", "flags", Kind::Uint32),
        many(11, "exemplars", "exemplars", Kind::Message(&EXEMPLAR)),
        one(12, "min", "min", Kind::Double),
        one(13, "max", "max", Kind::Double),
        one(14, "zero_threshold", "zeroThreshold", Kind::Double),
    ]
}

message! {
    /// One side of an exponential histogram.
    BUCKETS "Buckets" [
        one(1, "offset", "offset", Kind::Sint32),
        many(2, "bucket_counts", "bucketCounts", Kind::Uint64),
    ]
}

message! {
    /// A point of a summary.
    SUMMARY_DATA_POINT "SummaryDataPoint" [
        one(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        one(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        one(4, "count", "count", Kind::Fixed64),
        one(5, "sum", "sum", Kind::Double),
        many(6, "quantile_values", "quantileValues", Kind::Message(&VALUE_AT_QUANTILE)),
        many(7, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        one(8, "flags", "flags", Kind::Uint32),
    ]
}

message! {
    /// A quantile.
    VALUE_AT_QUANTILE "ValueAtQuantile" [
        one(1, "quantile", "quantile", Kind::Double),
        one(2, "value", "value", Kind::Double),
    ]
}

message! {
    /// A sample measurement.
    EXEMPLAR "Exemplar" [
        one(2, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        one(3, "as_double", "asDouble", Kind::Double),
        one(4, "span_id", "spanId", Kind::Id),
        one(5, "trace_id", "traceId", Kind::Id),
        one(6, "as_int", "asInt", Kind::Sfixed64),
        many(7, "filtered_attributes", "filteredAttributes", Kind::Message(&KEY_VALUE)),
    ]
}

message! {
    /// An attribute.
    KEY_VALUE "KeyValue" [
        one(1, "key", "key", Kind::String),
        one(2, "value", "value", Kind::Message(&ANY_VALUE)),
        one(3, "key_strindex", "keyStrindex", Kind::Int32),
    ]
}

message! {
    /// A value; the last one on the wire counts.
    ANY_VALUE "AnyValue" [
        one(1, "string_value", "stringValue", Kind::String),
        one(2, "bool_value", "boolValue", Kind::Bool),
        one(3, "int_value", "intValue", Kind::Int64),
        one(4, "double_value", "doubleValue", Kind::Double),
        one(5, "array_value", "arrayValue", Kind::Message(&ARRAY_VALUE)),
        one(6, "kvlist_value", "kvlistValue", Kind::Message(&KEY_VALUE_LIST)),
        one(7, "bytes_value", "bytesValue", Kind::Bytes),
        one(8, "string_value_strindex", "stringValueStrindex", Kind::Int32),
    ]
}

message! {
    /// A list of values.
    ARRAY_VALUE "ArrayValue" [
        many(1, "values", "values", Kind::Message(&ANY_VALUE)),
    ]
}

message! {
    /// A map.
    KEY_VALUE_LIST "KeyValueList" [
        many(1, "values", "values", Kind::Message(&KEY_VALUE)),
    ]
}
