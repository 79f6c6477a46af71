//! Tables that Spanlake makes itself: traces, request rates, service edges and decisions.

use super::ColumnType::{Array, Bigint, Boolean, Double, Int, Map, String as Text, Timestamp};
use super::groups::{INGEST_TIME, SCHEMA, TRACE_ID, col, delta, text};
use super::{Column, Table};

const MINUTE: Column = delta("minute", Timestamp, "The minute of arrival.");
const KIND: Column = text("kind", "`UNSPECIFIED`, `INTERNAL`, `SERVER`, `CLIENT`, `PRODUCER` or `CONSUMER`.");
const REQUESTS: Column = col("requests", Bigint, "Spans, before sampling.");
const ERRORS: Column = col("errors", Bigint, "Those with status `ERROR`.");
const DURATION_SUM: Column = col("duration_sum_nano", Bigint, "Sum of their durations in ns.");
const BOUNDS: Column = col("bucket_bounds_nano", Array(&Bigint), "The buckets' upper bounds in ns, each inclusive.");
const COUNTS: Column = col("bucket_counts", Array(&Bigint), "Spans in each bucket of duration; the last has no upper bound.");

const TRACE_COLUMNS: &[Column] = &[
    TRACE_ID,
    delta("start_time", Timestamp, "When its first span began, cut to whole milliseconds."),
    delta("start_unix_nano", Bigint, "The same, exact, in ns since the epoch."),
    delta("end_time", Timestamp, "When its last span ended, cut to whole milliseconds."),
    delta("duration_nano", Bigint, "From the first start to the last end, in ns."),
    text("root_service", "The root span's service; the earliest span's if no root was seen."),
    text("root_name", "The root span's name; the earliest span's if no root was seen."),
    col("span_count", Int, "Spans seen when it was decided."),
    col("error_count", Int, "Those with status `ERROR`."),
    col("services", Array(&Text), "Its services, in alphabetical order."),
    text("sampling_policy", "The policy that kept it."),
    col("sampling_weight", Double, "How many traces this one stands for."),
    col("is_complete", Boolean, "Whether it was decided with all of its spans, as far as can be known."),
    INGEST_TIME,
    SCHEMA,
];

const RED_COLUMNS: &[Column] = &[
    MINUTE,
    text("service_name", "The service."),
    text("deployment_environment", "The environment."),
    text("operation", "The operation: the span's name."),
    KIND,
    text("status_code", "`UNSET`, `OK` or `ERROR`."),
    REQUESTS,
    ERRORS,
    DURATION_SUM,
    col("duration_min_nano", Bigint, "The shortest duration in ns."),
    col("duration_max_nano", Bigint, "The longest duration in ns."),
    BOUNDS,
    COUNTS,
    INGEST_TIME,
    SCHEMA,
];

const EDGE_COLUMNS: &[Column] = &[
    MINUTE,
    text("caller_service", "The calling service."),
    text("callee_service", "The called service."),
    KIND,
    REQUESTS,
    ERRORS,
    DURATION_SUM,
    BOUNDS,
    COUNTS,
    INGEST_TIME,
    SCHEMA,
];

const DECISION_COLUMNS: &[Column] = &[
    TRACE_ID,
    delta("decided_time", Timestamp, "When it was decided."),
    delta("window_start", Timestamp, "The start of the window of arrival in which it was decided."),
    text("verdict", "Whether it was kept or dropped."),
    text("policy", "The policy that decided."),
    col("weight", Double, "How many traces a kept one stands for."),
    col("votes", Map, "Each policy's vote."),
    col("span_count", Int, "Spans seen."),
    col("error_count", Int, "Those with status `ERROR`."),
    col("wait_ms", Int, "How long it waited for its spans, in ms."),
    col("is_complete", Boolean, "Whether it was decided with all of its spans, as far as can be known."),
    text("rules_version", "The rules in force."),
    SCHEMA,
];

/// One row a decided and kept trace.
pub const TRACES: Table = Table {
    name: "traces",
    doc: "One row for each decided and kept trace: how to find a trace without knowing when it happened.",
    columns: TRACE_COLUMNS,
    sort: "start_unix_nano",
};

/// Request rates, errors and durations, from all spans.
pub const RED_1M: Table = Table {
    name: "red_1m",
    doc: "Requests, errors and durations per minute, service and operation, from all spans before sampling.",
    columns: RED_COLUMNS,
    sort: "service_name, deployment_environment, operation, kind, status_code, minute",
};

/// Caller to callee, from all spans.
pub const SERVICE_EDGES_1M: Table = Table {
    name: "service_edges_1m",
    doc: "Calls from one service to another per minute.",
    columns: EDGE_COLUMNS,
    sort: "caller_service, callee_service, kind, minute",
};

/// Why each trace was kept or not.
pub const DECISIONS: Table = Table {
    name: "decisions",
    doc: "Why each trace was kept or not, dropped ones included.",
    columns: DECISION_COLUMNS,
    sort: "trace_id",
};
