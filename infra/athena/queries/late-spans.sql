-- late-spans: Spans that came after their trace's decision, per service, with the newest trace.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
SELECT service_name, count(*) AS late, count(DISTINCT trace_id) AS traces, max(ingest_time) AS newest,
  max_by(trace_id, ingest_time) AS newest_trace
FROM spans
WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND ingest_time >= current_timestamp - INTERVAL '3600' SECOND AND is_late
GROUP BY service_name
ORDER BY late DESC, service_name;
