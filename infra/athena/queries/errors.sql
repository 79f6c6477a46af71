-- What fails: spans with errors by service, operation and kind of error. Generated from shared/sql/src/saved.
SELECT service_name, name, coalesce(error_type, exception_type, status_message) AS error,
  round(sum(sampling_weight)) AS spans, max(start_time) AS last_time, max(trace_id) AS a_trace_id
FROM spans
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour AND is_error
GROUP BY service_name, name, coalesce(error_type, exception_type, status_message)
ORDER BY spans DESC, service_name, name, error
LIMIT 50;
