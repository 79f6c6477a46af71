-- Which metrics there are, of every kind: points, series and newest point. Generated from shared/sql/src/saved.
SELECT service_name, name, unit, metric_type, count(*) AS points, count(DISTINCT series_hash) AS series, max(time) AS last_time
FROM (
  SELECT service_name, name, unit, metric_type AS metric_type, series_hash, time
  FROM metrics_number
  WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour
  UNION ALL
  SELECT service_name, name, unit, 'histogram' AS metric_type, series_hash, time
  FROM metrics_histogram
  WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour
  UNION ALL
  SELECT service_name, name, unit, 'exponential_histogram' AS metric_type, series_hash, time
  FROM metrics_exp_histogram
  WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour
  UNION ALL
  SELECT service_name, name, unit, 'summary' AS metric_type, series_hash, time
  FROM metrics_summary
  WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour
) AS points
GROUP BY service_name, name, unit, metric_type
ORDER BY service_name, name, unit, metric_type
LIMIT 50;
