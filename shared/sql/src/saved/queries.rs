//! The saved queries.

use super::Parameter::{Limit, Service, Since, TraceId};
use super::{Parameter, SavedQuery};

const fn query(name: &'static str, about: &'static str, parameters: &'static [Parameter], template: &'static str) -> SavedQuery {
    SavedQuery { name, about, parameters, template }
}

/// All saved queries, by name.
pub const SAVED: &[SavedQuery] = &[
    query(
        "compare-periods",
        "Requests and error rate of each service, now against the period before",
        &[Since, Service, Limit],
        "\
SELECT service_name,
  sum(CASE WHEN {since|minute} THEN requests ELSE 0 END) AS requests_now,
  sum(CASE WHEN {since|minute} THEN 0 ELSE requests END) AS requests_before,
  round(1e2 * sum(CASE WHEN {since|minute} THEN errors ELSE 0 END)
    / nullif(sum(CASE WHEN {since|minute} THEN requests ELSE 0 END), 0), 3) AS error_percent_now,
  round(1e2 * sum(CASE WHEN {since|minute} THEN 0 ELSE errors END)
    / nullif(sum(CASE WHEN {since|minute} THEN 0 ELSE requests END), 0), 3) AS error_percent_before
FROM red_1m
WHERE {hours twice} AND {since twice|minute} AND kind IN ('SERVER', 'CONSUMER'){service|service_name}
GROUP BY service_name
ORDER BY requests_now DESC, service_name
LIMIT {limit}",
    ),
    query(
        "cost-by-service",
        "What each service stores: rows kept, spans they stand for, share of all rows",
        &[Since, Limit],
        "\
SELECT service_name, count(*) AS rows_kept, round(sum(sampling_weight)) AS spans_estimated,
  round(1e2 * count(*) / sum(count(*)) OVER (), 2) AS percent_of_rows
FROM spans
WHERE {hours} AND {since|ingest_time}
GROUP BY service_name
ORDER BY rows_kept DESC, service_name
LIMIT {limit}",
    ),
    query(
        "database-calls",
        "Database operations by total time, estimated from the sample",
        &[Since, Service, Limit],
        "\
SELECT service_name, db_system, db_namespace, db_operation, db_collection, round(sum(sampling_weight)) AS calls,
  round(sum(duration_nano * sampling_weight) / sum(sampling_weight) / 1e6, 3) AS mean_ms,
  round(max(duration_nano) / 1e6, 3) AS max_ms
FROM spans
WHERE {hours} AND {since|ingest_time} AND db_system IS NOT NULL{service|service_name}
GROUP BY service_name, db_system, db_namespace, db_operation, db_collection
ORDER BY sum(duration_nano * sampling_weight) DESC, service_name, db_operation, db_collection
LIMIT {limit}",
    ),
    query(
        "error-logs",
        "The most frequent log messages of severity ERROR and above",
        &[Since, Service, Limit],
        "\
SELECT service_name, severity_text, body, count(*) AS records, max(time) AS last_time, max(trace_id) AS a_trace_id
FROM logs
WHERE {hours} AND {since|ingest_time} AND severity_number >= 17{service|service_name}
GROUP BY service_name, severity_text, body
ORDER BY records DESC, service_name, body
LIMIT {limit}",
    ),
    query(
        "error-rate",
        "Requests and error rate per service and minute, before sampling",
        &[Since, Service, Limit],
        "\
SELECT minute, service_name, sum(requests) AS requests, sum(errors) AS errors,
  round(1e2 * sum(errors) / sum(requests), 3) AS error_percent
FROM red_1m
WHERE {hours} AND {since|minute} AND kind IN ('SERVER', 'CONSUMER'){service|service_name}
GROUP BY minute, service_name
ORDER BY minute DESC, service_name
LIMIT {limit}",
    ),
    query(
        "errors",
        "What fails: spans with errors by service, operation and kind of error",
        &[Since, Service, Limit],
        "\
SELECT service_name, name, coalesce(error_type, exception_type, status_message) AS error,
  round(sum(sampling_weight)) AS spans, max(start_time) AS last_time, max(trace_id) AS a_trace_id
FROM spans
WHERE {hours} AND {since|ingest_time} AND is_error{service|service_name}
GROUP BY service_name, name, coalesce(error_type, exception_type, status_message)
ORDER BY spans DESC, service_name, name, error
LIMIT {limit}",
    ),
    query(
        "failing-dependency",
        "Traces in which a call to another service or a database failed, newest first",
        &[Since, Service, Limit],
        "\
SELECT start_time, trace_id, service_name, name,
  coalesce(peer_service, server_address, db_system, rpc_service, messaging_destination) AS dependency,
  coalesce(error_type, exception_type, status_message) AS error
FROM spans
WHERE {hours} AND {since|ingest_time} AND is_error AND kind IN ('CLIENT', 'PRODUCER'){service|service_name}
ORDER BY start_time DESC, span_id
LIMIT {limit}",
    ),
    query(
        "http-status",
        "Responses by HTTP status, estimated from the sample",
        &[Since, Service, Limit],
        "\
SELECT service_name, http_response_status_code, round(sum(sampling_weight)) AS responses
FROM spans
WHERE {hours} AND {since|ingest_time} AND kind = 'SERVER' AND http_response_status_code IS NOT NULL{service|service_name}
GROUP BY service_name, http_response_status_code
ORDER BY service_name, http_response_status_code
LIMIT {limit}",
    ),
    query(
        "late-spans",
        "Services whose spans arrive after their trace was decided",
        &[Since, Limit],
        "\
SELECT service_name, count(*) AS spans, sum(CASE WHEN is_late THEN 1 ELSE 0 END) AS late_spans
FROM spans
WHERE {hours} AND {since|ingest_time}
GROUP BY service_name
HAVING sum(CASE WHEN is_late THEN 1 ELSE 0 END) > 0
ORDER BY late_spans DESC, service_name
LIMIT {limit}",
    ),
    query(
        "latency",
        "p50, p95 and p99 of each operation from all spans, before sampling (upper bounds of buckets)",
        &[Since, Service, Limit],
        "\
SELECT service_name, operation, n AS spans,
  {bucket quantile|0.5} AS p50_ms,
  {bucket quantile|0.95} AS p95_ms,
  {bucket quantile|0.99} AS p99_ms
FROM (
  SELECT service_name, operation, sum(requests) AS n, {bucket sums}
  FROM red_1m
  WHERE {hours} AND {since|minute}{service|service_name}
  GROUP BY service_name, operation
) AS sums
ORDER BY spans DESC, service_name, operation
LIMIT {limit}",
    ),
    query(
        "latency-sampled",
        "p50, p95 and p99 of each operation, estimated from the sample by weight",
        &[Since, Service, Limit],
        "\
SELECT service_name, name, round(sum(sampling_weight)) AS spans,
  round({quantile|duration_nano|sampling_weight|0.5} / 1e6, 3) AS p50_ms,
  round({quantile|duration_nano|sampling_weight|0.95} / 1e6, 3) AS p95_ms,
  round({quantile|duration_nano|sampling_weight|0.99} / 1e6, 3) AS p99_ms
FROM spans
WHERE {hours} AND {since|ingest_time} AND duration_nano IS NOT NULL{service|service_name}
GROUP BY service_name, name
ORDER BY spans DESC, service_name, name
LIMIT {limit}",
    ),
    query(
        "metrics",
        "Which metrics there are, of every kind: points, series and newest point",
        &[Since, Service, Limit],
        "\
SELECT service_name, name, unit, metric_type, count(*) AS points, count(DISTINCT series_hash) AS series, max(time) AS last_time
FROM (
  SELECT service_name, name, unit, metric_type AS metric_type, series_hash, time
  FROM metrics_number
  WHERE {hours} AND {since|ingest_time}{service|service_name}
  UNION ALL
  SELECT service_name, name, unit, 'histogram' AS metric_type, series_hash, time
  FROM metrics_histogram
  WHERE {hours} AND {since|ingest_time}{service|service_name}
  UNION ALL
  SELECT service_name, name, unit, 'exponential_histogram' AS metric_type, series_hash, time
  FROM metrics_exp_histogram
  WHERE {hours} AND {since|ingest_time}{service|service_name}
  UNION ALL
  SELECT service_name, name, unit, 'summary' AS metric_type, series_hash, time
  FROM metrics_summary
  WHERE {hours} AND {since|ingest_time}{service|service_name}
) AS points
GROUP BY service_name, name, unit, metric_type
ORDER BY service_name, name, unit, metric_type
LIMIT {limit}",
    ),
    query(
        "sampling",
        "What the policies decided: traces, spans and mean wait by verdict",
        &[Since],
        "\
SELECT verdict, policy, count(*) AS traces, sum(span_count) AS spans, round(sum(weight)) AS traces_represented,
  round(avg(wait_ms), 0) AS mean_wait_ms
FROM decisions
WHERE {hours} AND {since|decided_time}
GROUP BY verdict, policy
ORDER BY traces DESC, verdict, policy",
    ),
    query(
        "services",
        "All services: requests, errors and when last seen, before sampling",
        &[Since, Limit],
        "\
SELECT service_name, sum(requests) AS requests, sum(errors) AS errors, max(minute) AS last_minute
FROM red_1m
WHERE {hours} AND {since|minute} AND kind IN ('SERVER', 'CONSUMER')
GROUP BY service_name
ORDER BY requests DESC, service_name
LIMIT {limit}",
    ),
    query(
        "slow-endpoints",
        "The slowest endpoints, estimated from the sample by weight",
        &[Since, Service, Limit],
        "\
SELECT service_name, coalesce(http_route, rpc_method, name) AS endpoint, round(sum(sampling_weight)) AS requests,
  round({quantile|duration_nano|sampling_weight|0.95} / 1e6, 3) AS p95_ms,
  round(max(duration_nano) / 1e6, 3) AS max_ms
FROM spans
WHERE {hours} AND {since|ingest_time} AND kind IN ('SERVER', 'CONSUMER') AND duration_nano IS NOT NULL{service|service_name}
GROUP BY service_name, coalesce(http_route, rpc_method, name)
ORDER BY p95_ms DESC, service_name, endpoint
LIMIT {limit}",
    ),
    query(
        "slow-traces",
        "The slowest traces",
        &[Since, Limit],
        "\
SELECT start_time, trace_id, root_service, root_name, round(duration_nano / 1e6, 3) AS duration_ms, span_count, error_count
FROM traces
WHERE {hours} AND {since|ingest_time}
ORDER BY duration_nano DESC, trace_id
LIMIT {limit}",
    ),
    query(
        "trace",
        "The spans of a trace, by start",
        &[TraceId, Since],
        "\
SELECT start_unix_nano, service_name, name, kind, status_code, round(duration_nano / 1e6, 3) AS duration_ms, span_id,
  parent_span_id, is_late
FROM spans
WHERE {hours} AND trace_id = {trace_id}
ORDER BY start_unix_nano, span_id",
    ),
    query(
        "trace-logs",
        "The logs of a trace, by time",
        &[TraceId, Since],
        "\
SELECT time, service_name, severity_text, body, span_id
FROM logs
WHERE {hours} AND trace_id = {trace_id}
ORDER BY time_unix_nano, body",
    ),
    query(
        "who-calls-whom",
        "Calls between services, errors and mean duration, before sampling",
        &[Since, Limit],
        "\
SELECT caller_service, callee_service, kind, sum(requests) AS requests, sum(errors) AS errors,
  round(CAST(sum(duration_sum_nano) AS double) / sum(requests) / 1e6, 3) AS mean_ms
FROM service_edges_1m
WHERE {hours} AND {since|minute}
GROUP BY caller_service, callee_service, kind
ORDER BY requests DESC, caller_service, callee_service
LIMIT {limit}",
    ),
    query(
        "why",
        "Why a trace was kept or not: verdict, policy, each vote with the value that decided it, wait",
        &[TraceId, Since],
        "\
SELECT decided_time, verdict, policy, weight, votes, vote_reasons, span_count, error_count, wait_ms, is_complete, rules_version
FROM decisions
WHERE {hours} AND trace_id = {trace_id}
ORDER BY decided_time",
    ),
];
