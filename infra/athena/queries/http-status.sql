-- Responses by HTTP status, estimated from the sample. Generated from shared/sql/src/saved.
SELECT service_name, http_response_status_code, round(sum(sampling_weight)) AS responses
FROM spans
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour AND kind = 'SERVER' AND http_response_status_code IS NOT NULL
GROUP BY service_name, http_response_status_code
ORDER BY service_name, http_response_status_code
LIMIT 50;
