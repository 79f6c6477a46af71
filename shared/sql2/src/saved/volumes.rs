//! How much there is of what, and metrics.

use super::{LIMIT, Param, ParamKind, SERVICE, SINCE, SINCE_DAY, Saved};

const METRIC: Param = Param { name: "metric", default: None, kind: ParamKind::Text, doc: "the metric's name" };

pub(super) const QUERIES: &[Saved] = &[
    Saved {
        name: "cost-by-service",
        description: "Stored rows of each service and its share of all: who fills the lake.",
        params: &[SINCE_DAY],
        sql: "
WITH stored AS (
  SELECT service_name, count(*) AS spans, 0 AS log_records, 0 AS data_points FROM spans
  WHERE {days:since} AND ingest_time >= {time:since} GROUP BY service_name
  UNION ALL
  SELECT service_name, 0, count(*), 0 FROM logs
  WHERE {days:since} AND ingest_time >= {time:since} GROUP BY service_name
  UNION ALL
  SELECT service_name, 0, 0, count(*) FROM metrics_number
  WHERE {days:since} AND ingest_time >= {time:since} GROUP BY service_name
  UNION ALL
  SELECT service_name, 0, 0, count(*) FROM metrics_histogram
  WHERE {days:since} AND ingest_time >= {time:since} GROUP BY service_name
)
SELECT service_name, sum(spans) AS spans, sum(log_records) AS log_records, sum(data_points) AS data_points,
  round(1e2 * sum(spans + log_records + data_points) / sum(sum(spans + log_records + data_points)) OVER (), 2) AS percent
FROM stored
GROUP BY service_name
ORDER BY percent DESC, service_name",
    },
    Saved {
        name: "log-volume",
        description: "Log records by service and severity; estimated from the sample.",
        params: &[SINCE, SERVICE],
        sql: "
SELECT service_name, severity_text, max(severity_number) AS severity_number, round(sum(sampling_weight), 1) AS records,
  count(DISTINCT trace_id) AS traces
FROM logs
WHERE {days:since} AND \"time\" >= {time:since} AND ({service} = '' OR service_name = {service})
GROUP BY service_name, severity_text
ORDER BY records DESC, service_name, severity_text",
    },
    Saved {
        name: "metric-latest",
        description: "The newest value of each series of a metric.",
        params: &[METRIC, SINCE, SERVICE, LIMIT],
        sql: "
WITH points AS (
  SELECT \"time\", service_name, name, unit, attributes, series_hash, coalesce(double_value, CAST(int_value AS double)) AS value,
    row_number() OVER (PARTITION BY series_hash ORDER BY time_unix_nano DESC) AS age
  FROM metrics_number
  WHERE {days:since} AND \"time\" >= {time:since} AND name = {metric} AND ({service} = '' OR service_name = {service})
)
SELECT \"time\", service_name, name, value, unit, attributes
FROM points
WHERE age = 1
ORDER BY service_name, series_hash
LIMIT {limit}",
    },
];
