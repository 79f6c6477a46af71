//! Single traces, and what became of them.

use super::{LIMIT, SERVICE, SINCE, SINCE_DAY, Saved, TRACE_ID};

pub(super) const QUERIES: &[Saved] = &[
    Saved {
        name: "trace",
        description: "All spans of a trace in order of time.",
        params: &[TRACE_ID, SINCE_DAY],
        sql: "
SELECT start_time, round(duration_nano / 1e6, 2) AS ms, service_name, name, kind, status_code, span_id, parent_span_id, is_late
FROM spans
WHERE {days:since} AND trace_id = {trace-id}
ORDER BY start_unix_nano, span_id",
    },
    Saved {
        name: "trace-logs",
        description: "The log records of a trace in order of time.",
        params: &[TRACE_ID, SINCE_DAY],
        sql: "
SELECT \"time\", service_name, severity_text, body, span_id
FROM logs
WHERE {days:since} AND trace_id = {trace-id}
ORDER BY time_unix_nano, span_id, body",
    },
    Saved {
        name: "where-is-my-trace",
        description: "Why a trace was kept or dropped: verdict, policy and its weight, span count and wait.",
        params: &[TRACE_ID, SINCE_DAY],
        sql: "
SELECT decided_time, verdict, policy, weight, span_count, error_count, wait_ms, is_complete, rules_version, votes
FROM decisions
WHERE {days:since} AND trace_id = {trace-id}
ORDER BY decided_time",
    },
    Saved {
        name: "slowest-traces",
        description: "The slowest kept traces.",
        params: &[SINCE, SERVICE, LIMIT],
        sql: "
SELECT start_time, trace_id, root_service, root_name, round(duration_nano / 1e6, 2) AS ms, span_count, error_count, sampling_policy
FROM traces
WHERE {days:since} AND start_time >= {time:since} AND ({service} = '' OR root_service = {service})
ORDER BY duration_nano DESC, trace_id
LIMIT {limit}",
    },
    Saved {
        name: "dropped-why",
        description: "Decided traces by verdict and policy, with their spans: what the sampling rules do.",
        params: &[SINCE],
        sql: "
SELECT verdict, policy, count(*) AS traces, sum(span_count) AS spans, sum(CASE WHEN error_count > 0 THEN 1 ELSE 0 END) AS with_errors,
  round(1e2 * count(*) / sum(count(*)) OVER (), 2) AS percent
FROM decisions
WHERE {days:since} AND decided_time >= {time:since}
GROUP BY verdict, policy
ORDER BY traces DESC, verdict, policy",
    },
    Saved {
        name: "late-spans",
        description: "Spans that came after their trace's decision, per service, with the newest trace.",
        params: &[SINCE],
        sql: "
SELECT service_name, count(*) AS late, count(DISTINCT trace_id) AS traces, max(ingest_time) AS newest,
  {max_by:trace_id,ingest_time} AS newest_trace
FROM spans
WHERE {days:since} AND ingest_time >= {time:since} AND is_late
GROUP BY service_name
ORDER BY late DESC, service_name",
    },
];
