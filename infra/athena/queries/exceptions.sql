-- exceptions: Exceptions by service and class, with a message, a trace and when first and last seen; estimated from the sample.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- service: one service; empty: all; here ''
-- limit: how many rows at most; here 20
SELECT service_name, exception_type, round(sum(sampling_weight), 1) AS spans,
  min(start_time) AS first_seen, max(start_time) AS last_seen,
  max_by(exception_message, start_unix_nano) AS newest_message, max_by(trace_id, start_unix_nano) AS newest_trace
FROM spans
WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND start_time >= current_timestamp - INTERVAL '3600' SECOND AND exception_type IS NOT NULL
  AND ('' = '' OR service_name = '')
GROUP BY service_name, exception_type
ORDER BY spans DESC, service_name, exception_type
LIMIT 20;
