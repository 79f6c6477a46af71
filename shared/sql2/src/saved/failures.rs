//! What fails, and where.

use super::{LIMIT, Param, ParamKind, SERVICE, SINCE, Saved};

const DEPENDENCY: Param = Param {
    name: "dependency",
    default: Some(""),
    kind: ParamKind::Text,
    doc: "peer service, server address or database system; empty: all",
};

pub(super) const QUERIES: &[Saved] = &[
    Saved {
        name: "failing-dependency",
        description: "Traces in which a call to a dependency failed, newest first.",
        params: &[SINCE, DEPENDENCY, LIMIT],
        sql: "
SELECT start_time, trace_id, service_name, name, coalesce(peer_service, server_address, db_system, messaging_system) AS dependency,
  round(duration_nano / 1e6, 2) AS ms, coalesce(error_type, exception_type) AS error, status_message
FROM spans
WHERE {days:since} AND start_time >= {time:since} AND is_error AND kind IN ('CLIENT', 'PRODUCER')
  AND ({dependency} = '' OR peer_service = {dependency} OR server_address = {dependency} OR db_system = {dependency})
ORDER BY start_unix_nano DESC, trace_id, span_id
LIMIT {limit}",
    },
    Saved {
        name: "recent-errors",
        description: "The newest failed spans with their message.",
        params: &[SINCE, SERVICE, LIMIT],
        sql: "
SELECT start_time, service_name, name, kind, coalesce(error_type, exception_type) AS error,
  coalesce(exception_message, status_message) AS message, trace_id
FROM spans
WHERE {days:since} AND start_time >= {time:since} AND is_error AND ({service} = '' OR service_name = {service})
ORDER BY start_unix_nano DESC, trace_id, span_id
LIMIT {limit}",
    },
    Saved {
        name: "failed-requests",
        description: "Failed requests of a service by endpoint, status and error, with the newest trace; estimated from the sample.",
        params: &[SINCE, SERVICE, LIMIT],
        sql: "
SELECT service_name, name AS endpoint, http_response_status_code AS status, coalesce(error_type, exception_type) AS error,
  round(sum(sampling_weight), 1) AS requests, max(start_time) AS newest, {max_by:trace_id,start_unix_nano} AS newest_trace
FROM spans
WHERE {days:since} AND start_time >= {time:since} AND is_error AND kind IN ('SERVER', 'CONSUMER')
  AND ({service} = '' OR service_name = {service})
GROUP BY service_name, name, http_response_status_code, coalesce(error_type, exception_type)
ORDER BY requests DESC, service_name, endpoint, status, error
LIMIT {limit}",
    },
    Saved {
        name: "exceptions",
        description: "Exceptions by service and class, with a message, a trace and when first and last seen; estimated from the sample.",
        params: &[SINCE, SERVICE, LIMIT],
        sql: "
SELECT service_name, exception_type, round(sum(sampling_weight), 1) AS spans,
  min(start_time) AS first_seen, max(start_time) AS last_seen,
  {max_by:exception_message,start_unix_nano} AS newest_message, {max_by:trace_id,start_unix_nano} AS newest_trace
FROM spans
WHERE {days:since} AND start_time >= {time:since} AND exception_type IS NOT NULL
  AND ({service} = '' OR service_name = {service})
GROUP BY service_name, exception_type
ORDER BY spans DESC, service_name, exception_type
LIMIT {limit}",
    },
    Saved {
        name: "db-slow-queries",
        description: "Database statements by the time spent in them; estimated from the sample.",
        params: &[SINCE, SERVICE, LIMIT],
        sql: "
SELECT service_name, db_system, coalesce(db_query_text, name) AS statement, round(sum(sampling_weight), 1) AS calls,
  round(approx_percentile(duration_nano, sampling_weight, 0.95e0) / 1e6, 2) AS p95_ms,
  round(sum(duration_nano * sampling_weight) / 1e9, 2) AS total_seconds,
  {max_by:trace_id,duration_nano} AS slowest_trace
FROM spans
WHERE {days:since} AND start_time >= {time:since} AND db_system IS NOT NULL
  AND ({service} = '' OR service_name = {service})
GROUP BY service_name, db_system, coalesce(db_query_text, name)
ORDER BY total_seconds DESC, service_name, statement
LIMIT {limit}",
    },
];
