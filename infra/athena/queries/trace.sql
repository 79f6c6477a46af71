-- The spans of a trace, by start. Generated from shared/sql/src/saved.
SELECT start_unix_nano, service_name, name, kind, status_code, round(duration_nano / 1e6, 3) AS duration_ms, span_id,
  parent_span_id, is_late
FROM spans
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND trace_id = ?
ORDER BY start_unix_nano, span_id;
