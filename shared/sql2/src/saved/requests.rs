//! How services answer: rates, errors, durations, endpoints.

use super::{LIMIT, Param, ParamKind, SERVICE, SINCE, Saved};

const AGO: Param = Param {
    name: "ago",
    default: Some("24h"),
    kind: ParamKind::Duration,
    doc: "how long before the present period the earlier one lies",
};

pub(super) const QUERIES: &[Saved] = &[
    Saved {
        name: "slow-endpoints",
        description: "The slowest endpoints by p95, with a trace to look at; estimated from the sample.",
        params: &[SINCE, SERVICE, LIMIT],
        sql: "
SELECT service_name, name AS endpoint, round(sum(sampling_weight), 1) AS requests,
  round(approx_percentile(duration_nano, sampling_weight, 0.5e0) / 1e6, 2) AS p50_ms,
  round(approx_percentile(duration_nano, sampling_weight, 0.95e0) / 1e6, 2) AS p95_ms,
  round(approx_percentile(duration_nano, sampling_weight, 0.99e0) / 1e6, 2) AS p99_ms,
  round(max(duration_nano) / 1e6, 2) AS max_ms,
  {max_by:trace_id,duration_nano} AS slowest_trace
FROM spans
WHERE {days:since} AND start_time >= {time:since}
  AND kind IN ('SERVER', 'CONSUMER') AND ({service} = '' OR service_name = {service})
GROUP BY service_name, name
ORDER BY p95_ms DESC, service_name, endpoint
LIMIT {limit}",
    },
    Saved {
        name: "error-rate",
        description: "Requests and errors per service and minute, from all spans before sampling.",
        params: &[SINCE, SERVICE],
        sql: "
SELECT minute, service_name, sum(requests) AS requests, sum(errors) AS errors,
  round(1e2 * sum(errors) / nullif(sum(requests), 0), 2) AS error_percent
FROM red_1m
WHERE {days:since} AND minute >= {time:since}
  AND kind IN ('SERVER', 'CONSUMER') AND ({service} = '' OR service_name = {service})
GROUP BY minute, service_name
ORDER BY minute, service_name",
    },
    Saved {
        name: "percentiles",
        description: "p50, p95 and p99 per endpoint before sampling (within a bucket) and as estimated from the sample, side by side.",
        params: &[SINCE, SERVICE],
        sql: "
WITH bucket AS (
  SELECT service_name, operation, i,
    min(coalesce(element_at(bucket_bounds_nano, nullif(i - 1, 0)), 0)) AS low,
    max(least(coalesce(element_at(bucket_bounds_nano, i), duration_max_nano), duration_max_nano)) AS high,
    sum(element_at(bucket_counts, i)) AS n
  FROM red_1m
  CROSS JOIN (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15), (16)) AS buckets (i)
  WHERE {days:since} AND minute >= {time:since}
    AND kind IN ('SERVER', 'CONSUMER') AND ({service} = '' OR service_name = {service})
  GROUP BY service_name, operation, i
), running AS (
  SELECT service_name, operation, low, high, n,
    1e0 * sum(n) OVER (PARTITION BY service_name, operation ORDER BY i) AS upto,
    1e0 * sum(n) OVER (PARTITION BY service_name, operation) AS total
  FROM bucket
), before_sampling AS (
  SELECT service_name, operation, max(total) AS requests,
    max(CASE WHEN upto >= 0.5e0 * total AND upto - n < 0.5e0 * total
      THEN low + (high - low) * (0.5e0 * total - upto + n) / n END) / 1e6 AS p50_ms,
    max(CASE WHEN upto >= 0.95e0 * total AND upto - n < 0.95e0 * total
      THEN low + (high - low) * (0.95e0 * total - upto + n) / n END) / 1e6 AS p95_ms,
    max(CASE WHEN upto >= 0.99e0 * total AND upto - n < 0.99e0 * total
      THEN low + (high - low) * (0.99e0 * total - upto + n) / n END) / 1e6 AS p99_ms
  FROM running
  GROUP BY service_name, operation
), from_sample AS (
  SELECT service_name, name AS operation, sum(sampling_weight) AS requests,
    approx_percentile(duration_nano, sampling_weight, 0.5e0) / 1e6 AS p50_ms,
    approx_percentile(duration_nano, sampling_weight, 0.95e0) / 1e6 AS p95_ms,
    approx_percentile(duration_nano, sampling_weight, 0.99e0) / 1e6 AS p99_ms
  FROM spans
  WHERE {days:since} AND start_time >= {time:since}
    AND kind IN ('SERVER', 'CONSUMER') AND ({service} = '' OR service_name = {service})
  GROUP BY service_name, name
)
SELECT a.service_name, a.operation, a.requests, round(b.requests, 1) AS sample_requests,
  round(a.p50_ms, 2) AS p50_ms, round(b.p50_ms, 2) AS sample_p50_ms,
  round(a.p95_ms, 2) AS p95_ms, round(b.p95_ms, 2) AS sample_p95_ms,
  round(a.p99_ms, 2) AS p99_ms, round(b.p99_ms, 2) AS sample_p99_ms
FROM before_sampling a
LEFT JOIN from_sample b ON a.service_name = b.service_name AND a.operation = b.operation
ORDER BY a.requests DESC, a.service_name, a.operation",
    },
    Saved {
        name: "compare-periods",
        description: "Requests, error rate and mean duration per endpoint: the last period against an earlier one, before sampling.",
        params: &[SINCE, AGO, SERVICE],
        sql: "
WITH period AS (
  SELECT service_name, operation, requests, errors, duration_sum_nano,
    CASE WHEN minute >= {time:since} THEN 1 ELSE 0 END AS is_now,
    CASE WHEN minute < {time:ago} THEN 1 ELSE 0 END AS is_earlier
  FROM red_1m
  WHERE {days:since+ago} AND minute >= {time:since+ago}
    AND kind IN ('SERVER', 'CONSUMER') AND ({service} = '' OR service_name = {service})
)
SELECT service_name, operation,
  sum(is_earlier * requests) AS requests_earlier, sum(is_now * requests) AS requests_now,
  round(1e2 * sum(is_earlier * errors) / nullif(sum(is_earlier * requests), 0), 2) AS error_percent_earlier,
  round(1e2 * sum(is_now * errors) / nullif(sum(is_now * requests), 0), 2) AS error_percent_now,
  round(sum(is_earlier * duration_sum_nano) / 1e6 / nullif(sum(is_earlier * requests), 0), 2) AS mean_ms_earlier,
  round(sum(is_now * duration_sum_nano) / 1e6 / nullif(sum(is_now * requests), 0), 2) AS mean_ms_now
FROM period
WHERE is_now + is_earlier > 0
GROUP BY service_name, operation
ORDER BY requests_now DESC, service_name, operation",
    },
    Saved {
        name: "http-status",
        description: "Responses by route and HTTP status; estimated from the sample.",
        params: &[SINCE, SERVICE],
        sql: "
SELECT service_name, http_request_method, http_route, http_response_status_code,
  round(sum(sampling_weight), 1) AS responses
FROM spans
WHERE {days:since} AND start_time >= {time:since}
  AND kind = 'SERVER' AND http_response_status_code IS NOT NULL AND ({service} = '' OR service_name = {service})
GROUP BY service_name, http_request_method, http_route, http_response_status_code
ORDER BY responses DESC, service_name, http_route, http_request_method, http_response_status_code",
    },
    Saved {
        name: "rare-endpoints",
        description: "The endpoints that are called least: what may be forgotten, or probed; before sampling.",
        params: &[SINCE, LIMIT],
        sql: "
SELECT service_name, operation, sum(requests) AS requests, sum(errors) AS errors, max(minute) AS last_minute
FROM red_1m
WHERE {days:since} AND minute >= {time:since} AND kind IN ('SERVER', 'CONSUMER')
GROUP BY service_name, operation
ORDER BY requests, service_name, operation
LIMIT {limit}",
    },
    Saved {
        name: "traffic",
        description: "Requests per service, counted before sampling and as estimated from the sample: how far to trust the sample.",
        params: &[SINCE],
        sql: "
WITH counted AS (
  SELECT service_name, sum(requests) AS requests FROM red_1m
  WHERE {days:since} AND minute >= {time:since} AND kind IN ('SERVER', 'CONSUMER')
  GROUP BY service_name
), estimated AS (
  SELECT service_name, count(*) AS kept, sum(sampling_weight) AS requests FROM spans
  WHERE {days:since} AND start_time >= {time:since} AND kind IN ('SERVER', 'CONSUMER')
  GROUP BY service_name
)
SELECT a.service_name, a.requests, round(b.requests, 1) AS estimated, coalesce(b.kept, 0) AS kept,
  round(1e2 * (b.requests - a.requests) / nullif(a.requests, 0), 2) AS off_percent
FROM counted a LEFT JOIN estimated b ON a.service_name = b.service_name
ORDER BY a.requests DESC, a.service_name",
    },
    Saved {
        name: "who-calls-whom",
        description: "Calls between services with errors and mean duration, before sampling.",
        params: &[SINCE, SERVICE],
        sql: "
SELECT caller_service, callee_service, kind, sum(requests) AS calls, sum(errors) AS errors,
  round(sum(duration_sum_nano) / 1e6 / nullif(sum(requests), 0), 2) AS mean_ms
FROM service_edges_1m
WHERE {days:since} AND minute >= {time:since}
  AND ({service} = '' OR caller_service = {service} OR callee_service = {service})
GROUP BY caller_service, callee_service, kind
ORDER BY calls DESC, caller_service, callee_service, kind",
    },
];
