-- traffic: Requests per service, counted before sampling and as estimated from the sample: how far to trust the sample.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
WITH counted AS (
  SELECT service_name, sum(requests) AS requests FROM red_1m
  WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND minute >= current_timestamp - INTERVAL '3600' SECOND AND kind IN ('SERVER', 'CONSUMER')
  GROUP BY service_name
), estimated AS (
  SELECT service_name, count(*) AS kept, sum(sampling_weight) AS requests FROM spans
  WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND start_time >= current_timestamp - INTERVAL '3600' SECOND AND kind IN ('SERVER', 'CONSUMER')
  GROUP BY service_name
)
SELECT a.service_name, a.requests, round(b.requests, 1) AS estimated, coalesce(b.kept, 0) AS kept,
  round(1e2 * (b.requests - a.requests) / nullif(a.requests, 0), 2) AS off_percent
FROM counted a LEFT JOIN estimated b ON a.service_name = b.service_name
ORDER BY a.requests DESC, a.service_name;
