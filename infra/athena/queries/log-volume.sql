-- log-volume: Log records by service and severity; estimated from the sample.
-- since: how far back to look: 90s, 15m, 1h, 7d; here 1h, in seconds
-- service: one service; empty: all; here ''
SELECT service_name, severity_text, max(severity_number) AS severity_number, round(sum(sampling_weight), 1) AS records,
  count(DISTINCT trace_id) AS traces
FROM logs
WHERE dt >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') AND (dt > date_format(current_timestamp - INTERVAL '3600' SECOND, '%Y-%m-%d') OR hour >= date_format(current_timestamp - INTERVAL '3600' SECOND, '%H')) AND "time" >= current_timestamp - INTERVAL '3600' SECOND AND ('' = '' OR service_name = '')
GROUP BY service_name, severity_text
ORDER BY records DESC, service_name, severity_text;
