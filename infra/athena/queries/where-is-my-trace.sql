-- where-is-my-trace: Why a trace was kept or dropped: verdict, policy and its weight, span count and wait.
-- trace-id: the trace: 32 hex digits; given to the execution as ?
-- since: how far back to look: 90s, 15m, 1h, 7d; here 24h, in seconds
SELECT decided_time, verdict, policy, weight, span_count, error_count, wait_ms, is_complete, rules_version, votes
FROM decisions
WHERE dt >= date_format(current_timestamp - INTERVAL '86400' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '86400' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '86400' SECOND, '%H')) AND trace_id = ?
ORDER BY decided_time;
