-- The most frequent log messages of severity ERROR and above. Generated from shared/sql/src/saved.
SELECT service_name, severity_text, body, count(*) AS records, max(time) AS last_time, max(trace_id) AS a_trace_id
FROM logs
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour AND severity_number >= 17
GROUP BY service_name, severity_text, body
ORDER BY records DESC, service_name, body
LIMIT 50;
