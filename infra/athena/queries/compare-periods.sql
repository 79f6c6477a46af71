-- compare-periods: Requests, error rate and mean duration per endpoint: the last period against an earlier one, before sampling.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- ago: how long before the present period the earlier one lies; here 24h, in seconds
-- service: one service; empty: all; here ''
WITH period AS (
  SELECT service_name, operation, requests, errors, duration_sum_nano,
    CASE WHEN minute >= current_timestamp - INTERVAL '3600' SECOND THEN 1 ELSE 0 END AS is_now,
    CASE WHEN minute < current_timestamp - INTERVAL '86400' SECOND THEN 1 ELSE 0 END AS is_earlier
  FROM red_1m
  WHERE dt >= date_format(current_timestamp - INTERVAL '90000' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '90000' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '90000' SECOND, '%H')) AND minute >= current_timestamp - INTERVAL '90000' SECOND
    AND kind IN ('SERVER', 'CONSUMER') AND ('' = '' OR service_name = '')
)
SELECT service_name, operation,
  sum(is_earlier * requests) AS requests_earlier, sum(is_now * requests) AS requests_now,
  round(1e2 * sum(is_earlier * errors) / nullif(sum(is_earlier * requests), 0), 2) AS error_percent_earlier,
  round(1e2 * sum(is_now * errors) / nullif(sum(is_now * requests), 0), 2) AS error_percent_now,
  round(sum(is_earlier * duration_sum_nano) / 1e6 / nullif(sum(is_earlier * requests), 0), 2) AS mean_ms_earlier,
  round(sum(is_now * duration_sum_nano) / 1e6 / nullif(sum(is_now * requests), 0), 2) AS mean_ms_now
FROM period
WHERE is_now + is_earlier > 0
GROUP BY service_name, operation
ORDER BY requests_now DESC, service_name, operation;
