-- trace: All spans of a trace in order of time.
-- trace-id: the trace: 32 hex digits; given to the execution as ?
-- since: how far back to look: 90s, 15m, 1h, 7d; here 24h, in seconds
SELECT start_time, round(duration_nano / 1e6, 2) AS ms, service_name, name, kind, status_code, span_id, parent_span_id, is_late
FROM spans
WHERE dt >= date_format(current_timestamp - INTERVAL '86400' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '86400' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '86400' SECOND, '%H')) AND trace_id = ?
ORDER BY start_unix_nano, span_id;
