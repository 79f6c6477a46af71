-- Generated from shared/table/src/schema. Why each trace was kept or not; dropped ones included.
-- LakeBucket is the bucket of the lake. LakeDays is how many days back rows are seen: at least as many as they are kept.
CREATE EXTERNAL TABLE IF NOT EXISTS `decisions` (
  `trace_id` string,
  `decided_time` timestamp,
  `window_start` timestamp,
  `verdict` string,
  `policy` string,
  `weight` double,
  `votes` map<string,string>,
  `span_count` int,
  `error_count` int,
  `wait_ms` int,
  `is_complete` boolean,
  `rules_version` string,
  `vote_reasons` map<string,string>
)
PARTITIONED BY (`dt` string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/decisions/'
TBLPROPERTIES (
  'parquet.compression' = 'ZSTD',
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.range' = 'NOW-${LakeDays}DAYS,NOW',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer',
  'projection.hour.range' = '0,23',
  'projection.hour.digits' = '2',
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/decisions/dt=${dt}/hour=${hour}/'
);
