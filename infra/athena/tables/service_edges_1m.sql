-- Generated from shared/table/src/schema. Calls between services per minute, from all spans, before sampling. Rows are additive: sum them.
-- LakeBucket is the bucket of the lake. LakeDays is how many days back rows are seen: at least as many as they are kept.
CREATE EXTERNAL TABLE IF NOT EXISTS `service_edges_1m` (
  `minute` timestamp,
  `caller_service` string,
  `callee_service` string,
  `kind` string,
  `requests` bigint,
  `errors` bigint,
  `duration_sum_nano` bigint,
  `bucket_bounds_nano` array<bigint>,
  `bucket_counts` array<bigint>,
  `ingest_time` timestamp,
  `schema_version` int
)
PARTITIONED BY (`dt` string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/service_edges_1m/'
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
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/service_edges_1m/dt=${dt}/hour=${hour}/'
);
