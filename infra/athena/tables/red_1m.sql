-- Generated from shared/table/src/schema. Requests, errors and durations per minute, from all spans, before sampling. Rows are additive: sum them.
-- LakeBucket is the bucket of the lake. LakeDays is how many days back rows are seen: at least as many as they are kept.
CREATE EXTERNAL TABLE IF NOT EXISTS `red_1m` (
  `minute` timestamp,
  `service_name` string,
  `deployment_environment` string,
  `operation` string,
  `kind` string,
  `status_code` string,
  `requests` bigint,
  `errors` bigint,
  `duration_sum_nano` bigint,
  `duration_min_nano` bigint,
  `duration_max_nano` bigint,
  `bucket_bounds_nano` array<bigint>,
  `bucket_counts` array<bigint>,
  `ingest_time` timestamp,
  `schema_version` int
)
PARTITIONED BY (`dt` string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/red_1m/'
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
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/red_1m/dt=${dt}/hour=${hour}/'
);
