-- Generated from shared/table/src/schema. One row a data point of a summary.
-- LakeBucket is the bucket of the lake. LakeDays is how many days back rows are seen: at least as many as they are kept.
CREATE EXTERNAL TABLE IF NOT EXISTS `metrics_summary` (
  `time` timestamp,
  `time_unix_nano` bigint,
  `start_unix_nano` bigint,
  `name` string,
  `unit` string,
  `description` string,
  `series_hash` string,
  `service_name` string,
  `service_namespace` string,
  `service_version` string,
  `service_instance_id` string,
  `deployment_environment` string,
  `cloud_region` string,
  `cloud_account_id` string,
  `host_name` string,
  `k8s_namespace_name` string,
  `k8s_pod_name` string,
  `k8s_deployment_name` string,
  `faas_name` string,
  `attributes` map<string,string>,
  `resource_attributes` map<string,string>,
  `scope_attributes` map<string,string>,
  `scope_name` string,
  `scope_version` string,
  `flags` int,
  `exemplars` array<struct<time_unix_nano:bigint,value:double,trace_id:string,span_id:string,attributes:map<string,string>>>,
  `count` bigint,
  `sum` double,
  `quantiles` array<struct<quantile:double,value:double>>,
  `ingest_time` timestamp,
  `schema_version` int
)
PARTITIONED BY (`dt` string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/metrics_summary/'
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
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/metrics_summary/dt=${dt}/hour=${hour}/'
);
