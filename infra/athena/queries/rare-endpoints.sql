-- rare-endpoints: The endpoints that are called least: what may be forgotten, or probed; before sampling.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- limit: how many rows at most; here 20
SELECT service_name, operation, sum(requests) AS requests, sum(errors) AS errors, max(minute) AS last_minute
FROM red_1m
WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND minute >= current_timestamp - INTERVAL '3600' SECOND AND kind IN ('SERVER', 'CONSUMER')
GROUP BY service_name, operation
ORDER BY requests, service_name, operation
LIMIT 20;
