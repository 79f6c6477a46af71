-- Generated from shared/table/src/schema. One row a log record.
-- LakeBucket is the bucket of the lake. LakeDays is how many days back rows are seen: at least as many as they are kept.
CREATE EXTERNAL TABLE IF NOT EXISTS `logs` (
  `time` timestamp,
  `time_unix_nano` bigint,
  `observed_unix_nano` bigint,
  `trace_id` string,
  `span_id` string,
  `flags` int,
  `severity_number` int,
  `severity_text` string,
  `event_name` string,
  `body` string,
  `body_type` string,
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
  `exception_type` string,
  `exception_message` string,
  `attributes` map<string,string>,
  `resource_attributes` map<string,string>,
  `scope_attributes` map<string,string>,
  `scope_name` string,
  `scope_version` string,
  `sampling_policy` string,
  `sampling_weight` double,
  `ingest_time` timestamp,
  `schema_version` int
)
PARTITIONED BY (`dt` string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/logs/'
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
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/logs/dt=${dt}/hour=${hour}/'
);
