-- Generated from shared/table/src/schema. One row for each decided and kept trace, and one more for late spans of it.
-- LakeBucket is the bucket of the lake. LakeDays is how many days back rows are seen: at least as many as they are kept.
CREATE EXTERNAL TABLE IF NOT EXISTS `traces` (
  `trace_id` string,
  `start_time` timestamp,
  `start_unix_nano` bigint,
  `end_time` timestamp,
  `duration_nano` bigint,
  `root_service` string,
  `root_name` string,
  `span_count` int,
  `error_count` int,
  `services` array<string>,
  `sampling_policy` string,
  `sampling_weight` double,
  `is_complete` boolean,
  `ingest_time` timestamp,
  `schema_version` int
)
PARTITIONED BY (`dt` string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/traces/'
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
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/traces/dt=${dt}/hour=${hour}/'
);
