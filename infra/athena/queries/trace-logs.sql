-- trace-logs: The log records of a trace in order of time.
-- trace-id: the trace: 32 hex digits; given to the execution as ?
-- since: how far back to look: 90s, 15m, 1h, 7d; here 24h, in seconds
SELECT "time", service_name, severity_text, body, span_id
FROM logs
WHERE dt >= date_format(current_timestamp - INTERVAL '86400' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '86400' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '86400' SECOND, '%H')) AND trace_id = ?
ORDER BY time_unix_nano, span_id, body;
