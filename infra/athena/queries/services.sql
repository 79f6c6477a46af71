-- All services: requests, errors and when last seen, before sampling. Generated from shared/sql/src/saved.
SELECT service_name, sum(requests) AS requests, sum(errors) AS errors, max(minute) AS last_minute
FROM red_1m
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND minute >= current_timestamp - interval '24' hour AND kind IN ('SERVER', 'CONSUMER')
GROUP BY service_name
ORDER BY requests DESC, service_name
LIMIT 50;
