-- failed-requests: Failed requests of a service by endpoint, status and error, with the newest trace; estimated from the sample.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- service: one service; empty: all; here ''
-- limit: how many rows at most; here 20
SELECT service_name, name AS endpoint, http_response_status_code AS status, coalesce(error_type, exception_type) AS error,
  round(sum(sampling_weight), 1) AS requests, max(start_time) AS newest, max_by(trace_id, start_unix_nano) AS newest_trace
FROM spans
WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND start_time >= current_timestamp - INTERVAL '3600' SECOND AND is_error AND kind IN ('SERVER', 'CONSUMER')
  AND ('' = '' OR service_name = '')
GROUP BY service_name, name, http_response_status_code, coalesce(error_type, exception_type)
ORDER BY requests DESC, service_name, endpoint, status, error
LIMIT 20;
