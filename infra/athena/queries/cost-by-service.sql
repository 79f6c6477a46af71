-- What each service stores: rows kept, spans they stand for, share of all rows. Generated from shared/sql/src/saved.
SELECT service_name, count(*) AS rows_kept, round(sum(sampling_weight)) AS spans_estimated,
  round(1e2 * count(*) / sum(count(*)) OVER (), 2) AS percent_of_rows
FROM spans
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour
GROUP BY service_name
ORDER BY rows_kept DESC, service_name
LIMIT 50;
