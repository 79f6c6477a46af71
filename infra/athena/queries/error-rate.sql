-- error-rate: Requests and errors per service and minute, from all spans before sampling.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- service: one service; empty: all; here ''
SELECT minute, service_name, sum(requests) AS requests, sum(errors) AS errors,
  round(1e2 * sum(errors) / nullif(sum(requests), 0), 2) AS error_percent
FROM red_1m
WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND minute >= current_timestamp - INTERVAL '3600' SECOND
  AND kind IN ('SERVER', 'CONSUMER') AND ('' = '' OR service_name = '')
GROUP BY minute, service_name
ORDER BY minute, service_name;
