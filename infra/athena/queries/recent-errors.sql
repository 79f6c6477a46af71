-- recent-errors: The newest failed spans with their message.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- service: one service; empty: all; here ''
-- limit: how many rows at most; here 20
SELECT start_time, service_name, name, kind, coalesce(error_type, exception_type) AS error,
  coalesce(exception_message, status_message) AS message, trace_id
FROM spans
WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND start_time >= current_timestamp - INTERVAL '3600' SECOND AND is_error AND ('' = '' OR service_name = '')
ORDER BY start_unix_nano DESC, trace_id, span_id
LIMIT 20;
