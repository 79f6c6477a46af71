-- percentiles: p50, p95 and p99 per endpoint before sampling (within a bucket) and as estimated from the sample, side by side.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- service: one service; empty: all; here ''
WITH bucket AS (
  SELECT service_name, operation, i,
    min(coalesce(element_at(bucket_bounds_nano, nullif(i - 1, 0)), 0)) AS low,
    max(least(coalesce(element_at(bucket_bounds_nano, i), duration_max_nano), duration_max_nano)) AS high,
    sum(element_at(bucket_counts, i)) AS n
  FROM red_1m
  CROSS JOIN (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15), (16)) AS buckets (i)
  WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND minute >= current_timestamp - INTERVAL '3600' SECOND
    AND kind IN ('SERVER', 'CONSUMER') AND ('' = '' OR service_name = '')
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
  WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND start_time >= current_timestamp - INTERVAL '3600' SECOND
    AND kind IN ('SERVER', 'CONSUMER') AND ('' = '' OR service_name = '')
  GROUP BY service_name, name
)
SELECT a.service_name, a.operation, a.requests, round(b.requests, 1) AS sample_requests,
  round(a.p50_ms, 2) AS p50_ms, round(b.p50_ms, 2) AS sample_p50_ms,
  round(a.p95_ms, 2) AS p95_ms, round(b.p95_ms, 2) AS sample_p95_ms,
  round(a.p99_ms, 2) AS p99_ms, round(b.p99_ms, 2) AS sample_p99_ms
FROM before_sampling a
LEFT JOIN from_sample b ON a.service_name = b.service_name AND a.operation = b.operation
ORDER BY a.requests DESC, a.service_name, a.operation;
