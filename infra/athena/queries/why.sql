-- Why a trace was kept or not: verdict, policy, each vote with the value that decided it, wait. Generated from shared/sql/src/saved.
SELECT decided_time, verdict, policy, weight, votes, vote_reasons, span_count, error_count, wait_ms, is_complete, rules_version
FROM decisions
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND trace_id = ?
ORDER BY decided_time;
