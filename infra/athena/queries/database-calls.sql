-- Database operations by total time, estimated from the sample. Generated from shared/sql/src/saved.
SELECT service_name, db_system, db_namespace, db_operation, db_collection, round(sum(sampling_weight)) AS calls,
  round(sum(duration_nano * sampling_weight) / sum(sampling_weight) / 1e6, 3) AS mean_ms,
  round(max(duration_nano) / 1e6, 3) AS max_ms
FROM spans
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour AND db_system IS NOT NULL
GROUP BY service_name, db_system, db_namespace, db_operation, db_collection
ORDER BY sum(duration_nano * sampling_weight) DESC, service_name, db_operation, db_collection
LIMIT 50;
