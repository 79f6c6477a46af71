-- Requests and error rate per service and minute, before sampling. Generated from shared/sql/src/saved.
SELECT minute, service_name, sum(requests) AS requests, sum(errors) AS errors,
  round(1e2 * sum(errors) / sum(requests), 3) AS error_percent
FROM red_1m
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND minute >= current_timestamp - interval '24' hour AND kind IN ('SERVER', 'CONSUMER')
GROUP BY minute, service_name
ORDER BY minute DESC, service_name
LIMIT 50;
