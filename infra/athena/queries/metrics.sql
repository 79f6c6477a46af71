-- Which metrics there are: points, series and newest point. Generated from shared/sql/src/saved.
SELECT service_name, name, unit, metric_type, count(*) AS points, count(DISTINCT series_hash) AS series, max(time) AS last_time
FROM metrics_number
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour
GROUP BY service_name, name, unit, metric_type
ORDER BY service_name, name
LIMIT 50;
