-- The slowest traces. Generated from shared/sql/src/saved.
SELECT start_time, trace_id, root_service, root_name, round(duration_nano / 1e6, 3) AS duration_ms, span_count, error_count
FROM traces
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour
ORDER BY duration_nano DESC, trace_id
LIMIT 50;
