-- dropped-why: Decided traces by verdict and policy, with their spans: what the sampling rules do.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
SELECT verdict, policy, count(*) AS traces, sum(span_count) AS spans, sum(CASE WHEN error_count > 0 THEN 1 ELSE 0 END) AS with_errors,
  round(1e2 * count(*) / sum(count(*)) OVER (), 2) AS percent
FROM decisions
WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND decided_time >= current_timestamp - INTERVAL '3600' SECOND
GROUP BY verdict, policy
ORDER BY traces DESC, verdict, policy;
