-- p50, p95 and p99 of each operation, estimated from the sample by weight. Generated from shared/sql/src/saved.
SELECT service_name, name, round(sum(sampling_weight)) AS spans,
  round(approx_percentile(duration_nano, sampling_weight, 0.5) / 1e6, 3) AS p50_ms,
  round(approx_percentile(duration_nano, sampling_weight, 0.95) / 1e6, 3) AS p95_ms,
  round(approx_percentile(duration_nano, sampling_weight, 0.99) / 1e6, 3) AS p99_ms
FROM spans
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour AND duration_nano IS NOT NULL
GROUP BY service_name, name
ORDER BY spans DESC, service_name, name
LIMIT 50;
