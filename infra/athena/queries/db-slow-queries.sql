-- db-slow-queries: Database statements by the time spent in them; estimated from the sample.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- service: one service; empty: all; here ''
-- limit: how many rows at most; here 20
SELECT service_name, db_system, coalesce(db_query_text, name) AS statement, round(sum(sampling_weight), 1) AS calls,
  round(approx_percentile(duration_nano, sampling_weight, 0.95e0) / 1e6, 2) AS p95_ms,
  round(sum(duration_nano * sampling_weight) / 1e9, 2) AS total_seconds,
  max_by(trace_id, duration_nano) AS slowest_trace
FROM spans
WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND start_time >= current_timestamp - INTERVAL '3600' SECOND AND db_system IS NOT NULL
  AND ('' = '' OR service_name = '')
GROUP BY service_name, db_system, coalesce(db_query_text, name)
ORDER BY total_seconds DESC, service_name, statement
LIMIT 20;
