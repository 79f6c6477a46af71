-- slowest-traces: The slowest kept traces.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- service: one service; empty: all; here ''
-- limit: how many rows at most; here 20
SELECT start_time, trace_id, root_service, root_name, round(duration_nano / 1e6, 2) AS ms, span_count, error_count, sampling_policy
FROM traces
WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND start_time >= current_timestamp - INTERVAL '3600' SECOND AND ('' = '' OR root_service = '')
ORDER BY duration_nano DESC, trace_id
LIMIT 20;
