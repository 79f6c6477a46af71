-- The slowest endpoints, estimated from the sample by weight. Generated from shared/sql/src/saved.
SELECT service_name, coalesce(http_route, rpc_method, name) AS endpoint, round(sum(sampling_weight)) AS requests,
  round(approx_percentile(duration_nano, sampling_weight, 0.95) / 1e6, 3) AS p95_ms,
  round(max(duration_nano) / 1e6, 3) AS max_ms
FROM spans
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour AND kind IN ('SERVER', 'CONSUMER') AND duration_nano IS NOT NULL
GROUP BY service_name, coalesce(http_route, rpc_method, name)
ORDER BY p95_ms DESC, service_name, endpoint
LIMIT 50;
