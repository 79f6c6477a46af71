-- http-status: Responses by route and HTTP status; estimated from the sample.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- service: one service; empty: all; here ''
SELECT service_name, http_request_method, http_route, http_response_status_code,
  round(sum(sampling_weight), 1) AS responses
FROM spans
WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND start_time >= current_timestamp - INTERVAL '3600' SECOND
  AND kind = 'SERVER' AND http_response_status_code IS NOT NULL AND ('' = '' OR service_name = '')
GROUP BY service_name, http_request_method, http_route, http_response_status_code
ORDER BY responses DESC, service_name, http_route, http_request_method, http_response_status_code;
