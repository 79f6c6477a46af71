//! `spans` and `logs`.

use super::ColumnType::{Bigint, Boolean, Double, Int, Structs, Timestamp};
use super::groups::{INGEST_TIME, INNER_ATTRIBUTES, PLACE, REST, SCHEMA, SERVICE, TRACE_ID, col, delta, join, plain, text};
use super::{Column, Table};

const EVENT: &[Column] = &[
    delta("time_unix_nano", Bigint, "When it happened, in ns since the epoch."),
    text("name", "The event's name."),
    INNER_ATTRIBUTES,
];

const LINK: &[Column] = &[
    plain("trace_id", "The other span's trace."),
    plain("span_id", "The other span."),
    text("trace_state", "The other span's W3C trace state."),
    INNER_ATTRIBUTES,
];

const SPAN_IDENTITY: &[Column] = &[
    delta("start_time", Timestamp, "When the span began, cut to whole milliseconds."),
    delta("start_unix_nano", Bigint, "When the span began, exact, in ns since the epoch."),
    delta("duration_nano", Bigint, "End less start in ns; 0 if it ended before it began."),
    TRACE_ID,
    plain("span_id", "Span id: 16 lower-case hex digits."),
    plain("parent_span_id", "The parent's span id; NULL for a root."),
    text("trace_state", "W3C trace state."),
    col("flags", Int, "OTLP span flags; the low 8 bits are the W3C trace flags."),
    text("name", "The span's name."),
    text("kind", "`UNSPECIFIED`, `INTERNAL`, `SERVER`, `CLIENT`, `PRODUCER` or `CONSUMER`."),
    text("status_code", "`UNSET`, `OK` or `ERROR`."),
    text("status_message", "The status' message."),
    col("is_root", Boolean, "Whether it has no parent."),
    col("is_error", Boolean, "Whether `status_code` is `ERROR`."),
];

const SPAN_PROMOTED: &[Column] = &[
    text("http_request_method", "HTTP method."),
    text("http_route", "HTTP route, the low-cardinality form of the path."),
    text("url_path", "Path of the URL, without the query."),
    text("url_full", "The whole URL."),
    col("http_response_status_code", Int, "HTTP status."),
    text("server_address", "The server's name or address."),
    col("server_port", Int, "The server's port."),
    text("db_system", "Kind of database."),
    text("db_namespace", "Database name."),
    text("db_operation", "Database operation."),
    text("db_collection", "Table or collection."),
    text("db_query_text", "The query."),
    text("rpc_system", "RPC system."),
    text("rpc_service", "RPC service, package included."),
    text("rpc_method", "RPC method, without the service."),
    text("rpc_status_code", "The RPC system's status."),
    text("messaging_system", "Kind of message broker."),
    text("messaging_destination", "Queue or topic."),
    text("messaging_operation", "What was done with the message."),
    text("peer_service", "The remote service's name."),
    text("error_type", "Class of the error."),
    text("exception_type", "Exception class, from the span or its first `exception` event."),
    text("exception_message", "Exception message, from the span or its first `exception` event."),
    text("gen_ai_system", "Provider of the model."),
    text("gen_ai_request_model", "The model asked for."),
    col("gen_ai_input_tokens", Bigint, "Tokens of the prompt."),
    col("gen_ai_output_tokens", Bigint, "Tokens of the answer."),
];

const SPAN_NESTED: &[Column] = &[
    col("events", Structs(EVENT), "The span's events, in the order sent."),
    col("links", Structs(LINK), "The span's links, in the order sent."),
    col("dropped_attributes_count", Int, "Attributes that the sender dropped."),
    col("dropped_events_count", Int, "Events that the sender dropped."),
    col("dropped_links_count", Int, "Links that the sender dropped."),
];

const SAMPLING: [Column; 2] = [
    text("sampling_policy", "The policy that kept it."),
    col("sampling_weight", Double, "How many items of all that were sent this row stands for."),
];

const IS_LATE: Column = col("is_late", Boolean, "Whether it arrived after its trace was decided and follows that decision.");

const SPAN_COLUMNS: [Column; 68] =
    join(&[SPAN_IDENTITY, &SERVICE, &PLACE, SPAN_PROMOTED, &REST, SPAN_NESTED, &SAMPLING, &[IS_LATE, INGEST_TIME, SCHEMA]]);

/// One row a span.
pub const SPANS: Table = Table {
    name: "spans",
    doc: "One row for each kept span.",
    columns: &SPAN_COLUMNS,
    sort: "service_name, name, start_unix_nano",
};

const LOG_IDENTITY: &[Column] = &[
    delta("time", Timestamp, "When it happened or, if the sender did not say, was observed; cut to whole milliseconds."),
    delta("time_unix_nano", Bigint, "The same, exact, in ns since the epoch."),
    delta("observed_unix_nano", Bigint, "When the collecting side saw it, in ns since the epoch; NULL if not said."),
    TRACE_ID,
    plain("span_id", "Span id: 16 lower-case hex digits; NULL outside a span."),
    col("flags", Int, "OTLP log record flags; the low 8 bits are the W3C trace flags."),
    col("severity_number", Int, "OTLP severity, 1 (TRACE) to 24 (FATAL4); 0 if not said."),
    text("severity_text", "The severity as the source calls it."),
    text("event_name", "The event's name, if the record is an event."),
    text("body", "The body as text; a structured body as JSON."),
    text("body_type", "`string`, `bool`, `int`, `double`, `array`, `map` or `bytes`; NULL without a body."),
];

const LOG_COLUMNS: [Column; 34] = join(&[
    LOG_IDENTITY,
    &SERVICE,
    &PLACE,
    &[text("exception_type", "Exception class."), text("exception_message", "Exception message.")],
    &REST,
    &SAMPLING,
    &[INGEST_TIME, SCHEMA],
]);

/// One row a log record.
pub const LOGS: Table =
    Table { name: "logs", doc: "One row for each log record.", columns: &LOG_COLUMNS, sort: "service_name, time_unix_nano" };
