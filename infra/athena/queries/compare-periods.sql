-- Requests and error rate of each service, now against the period before. Generated from shared/sql/src/saved.
SELECT service_name,
  sum(CASE WHEN minute >= current_timestamp - interval '24' hour THEN requests ELSE 0 END) AS requests_now,
  sum(CASE WHEN minute >= current_timestamp - interval '24' hour THEN 0 ELSE requests END) AS requests_before,
  round(1e2 * sum(CASE WHEN minute >= current_timestamp - interval '24' hour THEN errors ELSE 0 END)
    / nullif(sum(CASE WHEN minute >= current_timestamp - interval '24' hour THEN requests ELSE 0 END), 0), 3) AS error_percent_now,
  round(1e2 * sum(CASE WHEN minute >= current_timestamp - interval '24' hour THEN 0 ELSE errors END)
    / nullif(sum(CASE WHEN minute >= current_timestamp - interval '24' hour THEN 0 ELSE requests END), 0), 3) AS error_percent_before
FROM red_1m
WHERE dt >= date_format(current_timestamp - interval '48' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '48' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND minute >= current_timestamp - interval '48' hour AND kind IN ('SERVER', 'CONSUMER')
GROUP BY service_name
ORDER BY requests_now DESC, service_name
LIMIT 50;
