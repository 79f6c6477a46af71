-- who-calls-whom: Calls between services with errors and mean duration, before sampling.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- service: one service; empty: all; here ''
SELECT caller_service, callee_service, kind, sum(requests) AS calls, sum(errors) AS errors,
  round(sum(duration_sum_nano) / 1e6 / nullif(sum(requests), 0), 2) AS mean_ms
FROM service_edges_1m
WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND minute >= current_timestamp - INTERVAL '3600' SECOND
  AND ('' = '' OR caller_service = '' OR callee_service = '')
GROUP BY caller_service, callee_service, kind
ORDER BY calls DESC, caller_service, callee_service, kind;
