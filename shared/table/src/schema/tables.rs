//! The tables' columns, grouped as tables share them.

use super::ColumnType::{Bigint, Boolean, Double, Int, List, Map, Struct, Text, Timestamp};
use super::Layout::{Delta, Dictionary, SpanId, TraceId};
use super::{Column, ColumnType, Layout, Table};

/// An event of a span.
const EVENT: ColumnType = Struct(&[("time_unix_nano", Bigint), ("name", Text), ("attributes", Map)]);

/// A link of a span.
const LINK: ColumnType = Struct(&[("trace_id", Text), ("span_id", Text), ("trace_state", Text), ("attributes", Map)]);

/// An exemplar of a data point.
const EXEMPLAR: ColumnType =
    Struct(&[("time_unix_nano", Bigint), ("value", Double), ("trace_id", Text), ("span_id", Text), ("attributes", Map)]);

/// A quantile of a summary.
const QUANTILE: ColumnType = Struct(&[("quantile", Double), ("value", Double)]);

const fn column(name: &'static str, kind: ColumnType, layout: Layout, doc: &'static str) -> Column {
    Column { name, kind, layout, doc }
}

/// Every table of the lake.
pub const TABLES: &[Table] = &[
    Table {
        name: "spans",
        doc: "One row a span of a kept trace.",
        sort: &["service_name", "name", "start_unix_nano"],
        columns: &[SPAN_HEAD, PLACE, SPAN_PROMOTED, REST, SPAN_TAIL, SAMPLED, LATE, INGEST],
    },
    Table {
        name: "traces",
        doc: "One row for each decided and kept trace, and one more for late spans of it.",
        sort: &["start_unix_nano"],
        columns: &[TRACE, SAMPLED, COMPLETE, INGEST],
    },
    Table {
        name: "logs",
        doc: "One row a log record.",
        sort: &["service_name", "time"],
        columns: &[LOG_HEAD, PLACE, LOG_PROMOTED, REST, SAMPLED, INGEST],
    },
    Table {
        name: "metrics_number",
        doc: "One row a data point of a gauge or sum.",
        sort: &["name", "series_hash", "time_unix_nano"],
        columns: &[METRIC_HEAD, PLACE, REST, METRIC_TAIL, NUMBER, INGEST],
    },
    Table {
        name: "metrics_histogram",
        doc: "One row a data point of a histogram with explicit bounds.",
        sort: &["name", "series_hash", "time_unix_nano"],
        columns: &[METRIC_HEAD, PLACE, REST, METRIC_TAIL, HISTOGRAM, EXPLICIT, INGEST],
    },
    Table {
        name: "metrics_exp_histogram",
        doc: "One row a data point of an exponential histogram.",
        sort: &["name", "series_hash", "time_unix_nano"],
        columns: &[METRIC_HEAD, PLACE, REST, METRIC_TAIL, HISTOGRAM, EXPONENTIAL, INGEST],
    },
    Table {
        name: "metrics_summary",
        doc: "One row a data point of a summary.",
        sort: &["name", "series_hash", "time_unix_nano"],
        columns: &[METRIC_HEAD, PLACE, REST, METRIC_TAIL, SUMMARY, INGEST],
    },
    Table {
        name: "red_1m",
        doc: "Requests, errors and durations per minute, from all spans, before sampling. Rows are additive: sum them.",
        sort: &["minute", "service_name", "deployment_environment", "operation", "kind", "status_code"],
        columns: &[RED],
    },
    Table {
        name: "service_edges_1m",
        doc: "Calls between services per minute, from all spans, before sampling. Rows are additive: sum them.",
        sort: &["minute", "caller_service", "callee_service", "kind"],
        columns: &[EDGES],
    },
    Table {
        name: "decisions",
        doc: "Why each trace was kept or not; dropped ones included.",
        sort: &["trace_id"],
        columns: &[DECISION],
    },
];

/// Which service, and where it ran.
const PLACE: &[Column] = &[
    column("service_name", Text, Dictionary, "`service.name` of the resource."),
    column("service_namespace", Text, Dictionary, "`service.namespace` of the resource."),
    column("service_version", Text, Dictionary, "`service.version` of the resource."),
    column("service_instance_id", Text, Dictionary, "`service.instance.id` of the resource."),
    column(
        "deployment_environment",
        Text,
        Dictionary,
        "`deployment.environment.name` of the resource, or the older `deployment.environment`.",
    ),
    column("cloud_region", Text, Dictionary, "`cloud.region` of the resource."),
    column("cloud_account_id", Text, Dictionary, "`cloud.account.id` of the resource."),
    column("host_name", Text, Dictionary, "`host.name` of the resource."),
    column("k8s_namespace_name", Text, Dictionary, "`k8s.namespace.name` of the resource."),
    column("k8s_pod_name", Text, Dictionary, "`k8s.pod.name` of the resource."),
    column("k8s_deployment_name", Text, Dictionary, "`k8s.deployment.name` of the resource."),
    column("faas_name", Text, Dictionary, "`faas.name` of the resource."),
];

/// What has no column of its own.
const REST: &[Column] = &[
    column("attributes", Map, Dictionary, "Attributes that have no column of their own; values as text."),
    column("resource_attributes", Map, Dictionary, "Attributes of the resource that have no column of their own."),
    column("scope_attributes", Map, Dictionary, "Attributes of the instrumentation scope."),
    column("scope_name", Text, Dictionary, "Name of the instrumentation scope (library)."),
    column("scope_version", Text, Dictionary, "Version of the instrumentation scope."),
];

/// Times, identity and kind of a span.
const SPAN_HEAD: &[Column] = &[
    column("start_time", Timestamp, Delta, "When the span began, cut to whole milliseconds; `start_unix_nano` is exact."),
    column("start_unix_nano", Bigint, Delta, "When the span began, nanoseconds since 1970."),
    column("duration_nano", Bigint, Delta, "End minus start in nanoseconds; NULL if the end lies before the start."),
    column("trace_id", Text, TraceId, "32 lower-case hex digits."),
    column("span_id", Text, SpanId, "16 lower-case hex digits."),
    column("parent_span_id", Text, SpanId, "The parent's span id; NULL for a root."),
    column("trace_state", Text, Dictionary, "W3C trace state."),
    column("flags", Int, Dictionary, "W3C trace flags and OTLP flags."),
    column("name", Text, Dictionary, "The span's name."),
    column("kind", Text, Dictionary, "`SERVER`, `CLIENT`, `INTERNAL`, `PRODUCER`, `CONSUMER` or `UNSPECIFIED`."),
    column("status_code", Text, Dictionary, "`UNSET`, `OK` or `ERROR`."),
    column("status_message", Text, Dictionary, "The status's message."),
    column("is_root", Boolean, Dictionary, "Whether the span has no parent."),
    column("is_error", Boolean, Dictionary, "Whether the status is `ERROR`."),
];

/// Semantic conventions with columns of their own, in the order of `promote::SPAN_RULES`.
const SPAN_PROMOTED: &[Column] = &[
    column("http_request_method", Text, Dictionary, "`http.request.method`, or the older `http.method`."),
    column("http_route", Text, Dictionary, "`http.route`."),
    column("url_path", Text, Dictionary, "`url.path`, or the path of the older `http.target`."),
    column("url_full", Text, Dictionary, "`url.full`, or the older `http.url`."),
    column("http_response_status_code", Int, Dictionary, "`http.response.status_code`, or the older `http.status_code`."),
    column("server_address", Text, Dictionary, "`server.address`, or the older `net.host.name` (client spans: `net.peer.name`)."),
    column("server_port", Int, Dictionary, "`server.port`, or the older `net.host.port` (client spans: `net.peer.port`)."),
    column("db_system", Text, Dictionary, "`db.system.name`, or the older `db.system`."),
    column("db_namespace", Text, Dictionary, "`db.namespace`, or the older `db.name`."),
    column("db_operation", Text, Dictionary, "`db.operation.name`, or the older `db.operation`."),
    column("db_collection", Text, Dictionary, "`db.collection.name`, or an older system-specific name."),
    column("db_query_text", Text, Dictionary, "`db.query.text`, or the older `db.statement`."),
    column("rpc_system", Text, Dictionary, "`rpc.system.name`, or the older `rpc.system`."),
    column("rpc_service", Text, Dictionary, "The part of `rpc.method` before the last `/`, or the older `rpc.service`."),
    column("rpc_method", Text, Dictionary, "The part of `rpc.method` after the last `/`."),
    column("rpc_status_code", Text, Dictionary, "`rpc.response.status_code`, or an older system-specific code."),
    column("messaging_system", Text, Dictionary, "`messaging.system`."),
    column("messaging_destination", Text, Dictionary, "`messaging.destination.name`, or the older `messaging.destination`."),
    column(
        "messaging_operation",
        Text,
        Dictionary,
        "`messaging.operation.name`, or the older `messaging.operation.type` or `messaging.operation`.",
    ),
    column("peer_service", Text, Dictionary, "`service.peer.name`, or the older `peer.service`."),
    column("error_type", Text, Dictionary, "`error.type`."),
    column("exception_type", Text, Dictionary, "`exception.type` of the span or of its first `exception` event."),
    column("exception_message", Text, Dictionary, "`exception.message` of the span or of its first `exception` event."),
    column("gen_ai_system", Text, Dictionary, "`gen_ai.provider.name`, or the older `gen_ai.system`."),
    column("gen_ai_request_model", Text, Dictionary, "`gen_ai.request.model`."),
    column("gen_ai_input_tokens", Bigint, Dictionary, "`gen_ai.usage.input_tokens`, or the older `gen_ai.usage.prompt_tokens`."),
    column(
        "gen_ai_output_tokens",
        Bigint,
        Dictionary,
        "`gen_ai.usage.output_tokens`, or the older `gen_ai.usage.completion_tokens`.",
    ),
];

/// Events, links and what the sender dropped.
const SPAN_TAIL: &[Column] = &[
    column("events", List(&EVENT), Dictionary, "What happened within the span."),
    column("links", List(&LINK), Dictionary, "Other spans that this one refers to."),
    column("dropped_attributes_count", Int, Dictionary, "Attributes that the sender or Spanlake's limits dropped."),
    column("dropped_events_count", Int, Dictionary, "Events that the sender dropped."),
    column("dropped_links_count", Int, Dictionary, "Links that the sender dropped."),
];

/// How the row came through sampling.
const SAMPLED: &[Column] = &[
    column("sampling_policy", Text, Dictionary, "The policy that kept it."),
    column("sampling_weight", Double, Dictionary, "How many it stands for: 1 / probability of being kept."),
];

/// Whether the row came after its trace was decided.
const LATE: &[Column] = &[column("is_late", Boolean, Dictionary, "Whether it arrived after its trace was decided.")];

/// When the row arrived, and by which schema it was written.
const INGEST: &[Column] = &[
    column("ingest_time", Timestamp, Delta, "When it arrived, by the stream's clock, cut to whole milliseconds."),
    column("schema_version", Int, Dictionary, "Version of this schema."),
];

/// A trace.
const TRACE: &[Column] = &[
    column("trace_id", Text, TraceId, "32 lower-case hex digits."),
    column("start_time", Timestamp, Delta, "Earliest start of its spans, cut to whole milliseconds."),
    column("start_unix_nano", Bigint, Delta, "Earliest start of its spans, nanoseconds since 1970."),
    column("end_time", Timestamp, Delta, "Latest end of its spans, cut to whole milliseconds."),
    column("duration_nano", Bigint, Delta, "Latest end minus earliest start."),
    column("root_service", Text, Dictionary, "Service of the root span; of the earliest span if there is no root."),
    column("root_name", Text, Dictionary, "Name of the root span; of the earliest span if there is no root."),
    column("span_count", Int, Dictionary, "Spans of this row."),
    column("error_count", Int, Dictionary, "Spans with status `ERROR`."),
    column("services", List(&Text), Dictionary, "Services that took part, sorted."),
];

/// Whether a trace is whole.
const COMPLETE: &[Column] = &[column(
    "is_complete",
    Boolean,
    Dictionary,
    "Whether the trace has a root, every parent of a span is there, and nothing was cut or late.",
)];

/// A log record.
const LOG_HEAD: &[Column] = &[
    column("time", Timestamp, Delta, "When it happened (when it was observed, if that is unknown), cut to whole milliseconds."),
    column("time_unix_nano", Bigint, Delta, "When it happened, nanoseconds since 1970; 0 if unknown."),
    column("observed_unix_nano", Bigint, Delta, "When it was observed, nanoseconds since 1970."),
    column("trace_id", Text, TraceId, "The trace it belongs to; NULL for none."),
    column("span_id", Text, SpanId, "The span it belongs to; NULL for none."),
    column("flags", Int, Dictionary, "W3C trace flags."),
    column("severity_number", Int, Dictionary, "1 to 24; 9 is INFO, 13 WARN, 17 ERROR."),
    column("severity_text", Text, Dictionary, "The severity as the source calls it."),
    column("event_name", Text, Dictionary, "Name of the event; NULL for plain logs."),
    column("body", Text, Dictionary, "The body as text; a structured body is JSON."),
    column("body_type", Text, Dictionary, "`string`, `bool`, `int`, `double`, `array`, `map` or `bytes`; NULL for none."),
];

/// Semantic conventions with columns of their own, in the order of `promote::LOG_RULES`.
const LOG_PROMOTED: &[Column] = &[
    column("exception_type", Text, Dictionary, "`exception.type`."),
    column("exception_message", Text, Dictionary, "`exception.message`."),
];

/// A data point.
const METRIC_HEAD: &[Column] = &[
    column("time", Timestamp, Delta, "When the point was taken, cut to whole milliseconds."),
    column("time_unix_nano", Bigint, Delta, "When the point was taken, nanoseconds since 1970."),
    column("start_unix_nano", Bigint, Delta, "Start of the point's interval, nanoseconds since 1970; 0 if unknown."),
    column("name", Text, Dictionary, "The metric's name."),
    column("unit", Text, Dictionary, "The metric's unit."),
    column("description", Text, Dictionary, "The metric's description."),
    column("series_hash", Text, Dictionary, "16 hex digits: same resource, scope, metric and attributes, same hash."),
];

/// Flags and samples of a data point.
const METRIC_TAIL: &[Column] = &[
    column("flags", Int, Dictionary, "OTLP flags; 1 says that no value was recorded."),
    column("exemplars", List(&EXEMPLAR), Dictionary, "Sample measurements behind the point."),
];

/// Gauges and sums.
const NUMBER: &[Column] = &[
    column("metric_type", Text, Dictionary, "`gauge` or `sum`."),
    column("is_monotonic", Boolean, Dictionary, "Whether a sum only grows; NULL for a gauge."),
    column("temporality", Text, Dictionary, "`CUMULATIVE`, `DELTA` or `UNSPECIFIED`; NULL for a gauge."),
    column("int_value", Bigint, Dictionary, "The value, if it is an integer."),
    column("double_value", Double, Dictionary, "The value, if it is a double."),
];

/// Histograms.
const HISTOGRAM: &[Column] = &[
    column("temporality", Text, Dictionary, "`CUMULATIVE`, `DELTA` or `UNSPECIFIED`."),
    column("count", Bigint, Dictionary, "Number of measurements."),
    column("sum", Double, Dictionary, "Their sum; NULL if unknown."),
    column("min", Double, Dictionary, "The smallest; NULL if unknown."),
    column("max", Double, Dictionary, "The largest; NULL if unknown."),
];

/// Explicit bounds.
const EXPLICIT: &[Column] = &[
    column("bucket_counts", List(&Bigint), Dictionary, "Measurements per bucket; one more than bounds."),
    column("explicit_bounds", List(&Double), Dictionary, "Upper bounds of the buckets, inclusive."),
];

/// Exponential bounds.
const EXPONENTIAL: &[Column] = &[
    column("scale", Int, Dictionary, "Resolution: buckets grow by 2^(2^-scale)."),
    column("zero_count", Bigint, Dictionary, "Measurements within the zero threshold."),
    column("zero_threshold", Double, Dictionary, "Width of the zero bucket."),
    column("positive_offset", Int, Dictionary, "Index of the first positive bucket."),
    column("positive_counts", List(&Bigint), Dictionary, "Measurements per positive bucket."),
    column("negative_offset", Int, Dictionary, "Index of the first negative bucket."),
    column("negative_counts", List(&Bigint), Dictionary, "Measurements per negative bucket."),
];

/// Quantiles.
const SUMMARY: &[Column] = &[
    column("count", Bigint, Dictionary, "Number of measurements."),
    column("sum", Double, Dictionary, "Their sum."),
    column("quantiles", List(&QUANTILE), Dictionary, "Quantiles that the sender computed."),
];

/// Requests, errors and durations.
const RED: &[Column] = &[
    column("minute", Timestamp, Delta, "Minute of arrival."),
    column("service_name", Text, Dictionary, "The service."),
    column("deployment_environment", Text, Dictionary, "Its deployment environment."),
    column("operation", Text, Dictionary, "The span's name; `__other__` beyond the limit of keys."),
    column("kind", Text, Dictionary, "The span's kind."),
    column("status_code", Text, Dictionary, "The span's status."),
    column("requests", Bigint, Dictionary, "Spans, before sampling."),
    column("errors", Bigint, Dictionary, "Spans with status `ERROR`, before sampling."),
    column("duration_sum_nano", Bigint, Dictionary, "Sum of durations."),
    column("duration_min_nano", Bigint, Dictionary, "The shortest duration."),
    column("duration_max_nano", Bigint, Dictionary, "The longest duration."),
    column("bucket_bounds_nano", List(&Bigint), Dictionary, "Upper bounds of the duration buckets, inclusive."),
    column("bucket_counts", List(&Bigint), Dictionary, "Spans per duration bucket; one more than bounds."),
    column("ingest_time", Timestamp, Delta, "When the counted window began, cut to whole milliseconds."),
    column("schema_version", Int, Dictionary, "Version of this schema."),
];

/// Calls from one service to another.
const EDGES: &[Column] = &[
    column("minute", Timestamp, Delta, "Minute of arrival."),
    column("caller_service", Text, Dictionary, "The calling service."),
    column("callee_service", Text, Dictionary, "The called service."),
    column("kind", Text, Dictionary, "Kind of the called span: `SERVER` for calls, `CONSUMER` for messages."),
    column("requests", Bigint, Dictionary, "Calls, before sampling."),
    column("errors", Bigint, Dictionary, "Calls that failed, before sampling."),
    column("duration_sum_nano", Bigint, Dictionary, "Sum of durations as the callee saw them."),
    column("bucket_bounds_nano", List(&Bigint), Dictionary, "Upper bounds of the duration buckets, inclusive."),
    column("bucket_counts", List(&Bigint), Dictionary, "Calls per duration bucket; one more than bounds."),
    column("ingest_time", Timestamp, Delta, "When the counted window began, cut to whole milliseconds."),
    column("schema_version", Int, Dictionary, "Version of this schema."),
];

/// A decision.
const DECISION: &[Column] = &[
    column("trace_id", Text, TraceId, "32 lower-case hex digits."),
    column("decided_time", Timestamp, Delta, "End of the window in which it was decided."),
    column("window_start", Timestamp, Delta, "Start of that window."),
    column("verdict", Text, Dictionary, "`kept`, `sampled_out` or `dropped`."),
    column("policy", Text, Dictionary, "The policy that decided."),
    column("weight", Double, Dictionary, "How many traces it stands for; 0 if not kept."),
    column("votes", Map, Dictionary, "Every policy's vote."),
    column("span_count", Int, Dictionary, "Spans known at the decision."),
    column("error_count", Int, Dictionary, "Spans with status `ERROR` among them."),
    column("wait_ms", Int, Dictionary, "From the first span's arrival to the decision."),
    column(
        "is_complete",
        Boolean,
        Dictionary,
        "Whether every span that the decision saw is kept, or none: false if the trace was cut to its limits.",
    ),
    column("rules_version", Text, Dictionary, "Version of the rules in force."),
    column(
        "vote_reasons",
        Map,
        Dictionary,
        "The value that decided each vote, by policy, in words with the configured bound; never a value of an attribute.",
    ),
];
