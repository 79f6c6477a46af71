-- cost-by-service: Stored rows of each service and its share of all: who fills the lake.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 24h, in seconds
WITH stored AS (
  SELECT service_name, count(*) AS spans, 0 AS log_records, 0 AS data_points FROM spans
  WHERE dt >= date_format(current_timestamp - INTERVAL '86400' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '86400' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '86400' SECOND, '%H')) AND ingest_time >= current_timestamp - INTERVAL '86400' SECOND GROUP BY service_name
  UNION ALL
  SELECT service_name, 0, count(*), 0 FROM logs
  WHERE dt >= date_format(current_timestamp - INTERVAL '86400' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '86400' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '86400' SECOND, '%H')) AND ingest_time >= current_timestamp - INTERVAL '86400' SECOND GROUP BY service_name
  UNION ALL
  SELECT service_name, 0, 0, count(*) FROM metrics_number
  WHERE dt >= date_format(current_timestamp - INTERVAL '86400' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '86400' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '86400' SECOND, '%H')) AND ingest_time >= current_timestamp - INTERVAL '86400' SECOND GROUP BY service_name
  UNION ALL
  SELECT service_name, 0, 0, count(*) FROM metrics_histogram
  WHERE dt >= date_format(current_timestamp - INTERVAL '86400' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '86400' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '86400' SECOND, '%H')) AND ingest_time >= current_timestamp - INTERVAL '86400' SECOND GROUP BY service_name
)
SELECT service_name, sum(spans) AS spans, sum(log_records) AS log_records, sum(data_points) AS data_points,
  round(1e2 * sum(spans + log_records + data_points) / sum(sum(spans + log_records + data_points)) OVER (), 2) AS percent
FROM stored
GROUP BY service_name
ORDER BY percent DESC, service_name;
