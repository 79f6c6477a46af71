-- slow-endpoints: The slowest endpoints by p95, with a trace to look at; estimated from the sample.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- service: one service; empty: all; here ''
-- limit: how many rows at most; here 20
SELECT service_name, name AS endpoint, round(sum(sampling_weight), 1) AS requests,
  round(approx_percentile(duration_nano, sampling_weight, 0.5e0) / 1e6, 2) AS p50_ms,
  round(approx_percentile(duration_nano, sampling_weight, 0.95e0) / 1e6, 2) AS p95_ms,
  round(approx_percentile(duration_nano, sampling_weight, 0.99e0) / 1e6, 2) AS p99_ms,
  round(max(duration_nano) / 1e6, 2) AS max_ms,
  max_by(trace_id, duration_nano) AS slowest_trace
FROM spans
WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND start_time >= current_timestamp - INTERVAL '3600' SECOND
  AND kind IN ('SERVER', 'CONSUMER') AND ('' = '' OR service_name = '')
GROUP BY service_name, name
ORDER BY p95_ms DESC, service_name, endpoint
LIMIT 20;
