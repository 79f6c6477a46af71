-- Traces in which a call to another service or a database failed, newest first. Generated from shared/sql/src/saved.
SELECT start_time, trace_id, service_name, name,
  coalesce(peer_service, server_address, db_system, rpc_service, messaging_destination) AS dependency,
  coalesce(error_type, exception_type, status_message) AS error
FROM spans
WHERE dt >= date_format(current_timestamp - interval '24' hour, '%Y-%m-%d') AND dt || ' ' || hour BETWEEN date_format(current_timestamp - interval '24' hour, '%Y-%m-%d %H') AND date_format(current_timestamp, '%Y-%m-%d %H') AND ingest_time >= current_timestamp - interval '24' hour AND is_error AND kind IN ('CLIENT', 'PRODUCER')
ORDER BY start_time DESC, span_id
LIMIT 50;
