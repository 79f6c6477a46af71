-- failing-dependency: Traces in which a call to a dependency failed, newest first.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- dependency: peer service, server address or database system; empty: all; here ''
-- limit: how many rows at most; here 20
SELECT start_time, trace_id, service_name, name, coalesce(peer_service, server_address, db_system, messaging_system) AS dependency,
  round(duration_nano / 1e6, 2) AS ms, coalesce(error_type, exception_type) AS error, status_message
FROM spans
WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND start_time >= current_timestamp - INTERVAL '3600' SECOND AND is_error AND kind IN ('CLIENT', 'PRODUCER')
  AND ('' = '' OR peer_service = '' OR server_address = '' OR db_system = '')
ORDER BY start_unix_nano DESC, trace_id, span_id
LIMIT 20;
