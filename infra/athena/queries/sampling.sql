-- What the policies decided: traces, spans and mean wait by verdict. Generated from shared/sql/src/saved.
SELECT verdict, policy, count(*) AS traces, sum(span_count) AS spans, round(sum(weight)) AS traces_represented,
  round(avg(wait_ms), 0) AS mean_wait_ms
FROM decisions
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND decided_time >= current_timestamp - interval '24' hour
GROUP BY verdict, policy
ORDER BY traces DESC, verdict, policy;
