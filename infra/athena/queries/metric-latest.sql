-- metric-latest: The newest value of each series of a metric.
-- metric: the metric's name; given to the execution as ?
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- service: one service; empty: all; here ''
-- limit: how many rows at most; here 20
WITH points AS (
  SELECT "time", service_name, name, unit, attributes, series_hash, coalesce(double_value, CAST(int_value AS double)) AS value,
    row_number() OVER (PARTITION BY series_hash ORDER BY time_unix_nano DESC) AS age
  FROM metrics_number
  WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND "time" >= current_timestamp - INTERVAL '3600' SECOND AND name = ? AND ('' = '' OR service_name = '')
)
SELECT "time", service_name, name, value, unit, attributes
FROM points
WHERE age = 1
ORDER BY service_name, series_hash
LIMIT 20;
