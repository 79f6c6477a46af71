-- Services whose spans arrive after their trace was decided. Generated from shared/sql/src/saved.
SELECT service_name, count(*) AS spans, sum(CASE WHEN is_late THEN 1 ELSE 0 END) AS late_spans
FROM spans
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour
GROUP BY service_name
HAVING sum(CASE WHEN is_late THEN 1 ELSE 0 END) > 0
ORDER BY late_spans DESC, service_name
LIMIT 50;
