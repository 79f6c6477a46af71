-- Calls between services, errors and mean duration, before sampling. Generated from shared/sql/src/saved.
SELECT caller_service, callee_service, kind, sum(requests) AS requests, sum(errors) AS errors,
  round(CAST(sum(duration_sum_nano) AS double) / sum(requests) / 1e6, 3) AS mean_ms
FROM service_edges_1m
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND minute >= current_timestamp - interval '24' hour
GROUP BY caller_service, callee_service, kind
ORDER BY requests DESC, caller_service, callee_service
LIMIT 50;
