-- The logs of a trace, by time. Generated from shared/sql/src/saved.
SELECT time, service_name, severity_text, body, span_id
FROM logs
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND trace_id = ?
ORDER BY time_unix_nano, body;
