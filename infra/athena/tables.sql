-- Generated from the schema in code. ${LakeBucket} stands for the bucket's name.

CREATE EXTERNAL TABLE IF NOT EXISTS spans (
  start_time timestamp,
  start_unix_nano bigint,
  duration_nano bigint,
  trace_id string,
  span_id string,
  parent_span_id string,
  trace_state string,
  flags int,
  name string,
  kind string,
  status_code string,
  status_message string,
  is_root boolean,
  is_error boolean,
  service_name string,
  service_namespace string,
  service_version string,
  service_instance_id string,
  deployment_environment string,
  cloud_region string,
  cloud_account_id string,
  host_name string,
  k8s_namespace_name string,
  k8s_pod_name string,
  k8s_deployment_name string,
  faas_name string,
  http_request_method string,
  http_route string,
  url_path string,
  url_full string,
  http_response_status_code int,
  server_address string,
  server_port int,
  db_system string,
  db_namespace string,
  db_operation string,
  db_collection string,
  db_query_text string,
  rpc_system string,
  rpc_service string,
  rpc_method string,
  rpc_status_code string,
  messaging_system string,
  messaging_destination string,
  messaging_operation string,
  peer_service string,
  error_type string,
  exception_type string,
  exception_message string,
  gen_ai_system string,
  gen_ai_request_model string,
  gen_ai_input_tokens bigint,
  gen_ai_output_tokens bigint,
  attributes map<string,string>,
  resource_attributes map<string,string>,
  scope_attributes map<string,string>,
  scope_name string,
  scope_version string,
  events array<struct<time_unix_nano:bigint,name:string,attributes:map<string,string>>>,
  links array<struct<trace_id:string,span_id:string,trace_state:string,attributes:map<string,string>>>,
  dropped_attributes_count int,
  dropped_events_count int,
  dropped_links_count int,
  sampling_policy string,
  sampling_weight double,
  is_late boolean,
  ingest_time timestamp,
  schema_version int
)
PARTITIONED BY (dt string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/spans/'
TBLPROPERTIES (
  'parquet.compression' = 'ZSTD',
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.range' = '2026-01-01,NOW',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer',
  'projection.hour.range' = '0,23',
  'projection.hour.digits' = '2',
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/spans/dt=${dt}/hour=${hour}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS traces (
  trace_id string,
  start_time timestamp,
  start_unix_nano bigint,
  end_time timestamp,
  duration_nano bigint,
  root_service string,
  root_name string,
  span_count int,
  error_count int,
  services array<string>,
  sampling_policy string,
  sampling_weight double,
  is_complete boolean,
  ingest_time timestamp,
  schema_version int
)
PARTITIONED BY (dt string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/traces/'
TBLPROPERTIES (
  'parquet.compression' = 'ZSTD',
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.range' = '2026-01-01,NOW',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer',
  'projection.hour.range' = '0,23',
  'projection.hour.digits' = '2',
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/traces/dt=${dt}/hour=${hour}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS logs (
  `time` timestamp,
  time_unix_nano bigint,
  observed_unix_nano bigint,
  trace_id string,
  span_id string,
  flags int,
  severity_number int,
  severity_text string,
  event_name string,
  body string,
  body_type string,
  service_name string,
  service_namespace string,
  service_version string,
  service_instance_id string,
  deployment_environment string,
  cloud_region string,
  cloud_account_id string,
  host_name string,
  k8s_namespace_name string,
  k8s_pod_name string,
  k8s_deployment_name string,
  faas_name string,
  exception_type string,
  exception_message string,
  attributes map<string,string>,
  resource_attributes map<string,string>,
  scope_attributes map<string,string>,
  scope_name string,
  scope_version string,
  sampling_policy string,
  sampling_weight double,
  ingest_time timestamp,
  schema_version int
)
PARTITIONED BY (dt string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/logs/'
TBLPROPERTIES (
  'parquet.compression' = 'ZSTD',
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.range' = '2026-01-01,NOW',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer',
  'projection.hour.range' = '0,23',
  'projection.hour.digits' = '2',
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/logs/dt=${dt}/hour=${hour}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS metrics_number (
  `time` timestamp,
  time_unix_nano bigint,
  start_unix_nano bigint,
  name string,
  unit string,
  description string,
  series_hash string,
  service_name string,
  service_namespace string,
  service_version string,
  service_instance_id string,
  deployment_environment string,
  cloud_region string,
  cloud_account_id string,
  host_name string,
  k8s_namespace_name string,
  k8s_pod_name string,
  k8s_deployment_name string,
  faas_name string,
  attributes map<string,string>,
  resource_attributes map<string,string>,
  scope_attributes map<string,string>,
  scope_name string,
  scope_version string,
  metric_type string,
  is_monotonic boolean,
  temporality string,
  int_value bigint,
  double_value double,
  flags int,
  exemplars array<struct<time_unix_nano:bigint,value:double,trace_id:string,span_id:string,attributes:map<string,string>>>,
  ingest_time timestamp,
  schema_version int
)
PARTITIONED BY (dt string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/metrics_number/'
TBLPROPERTIES (
  'parquet.compression' = 'ZSTD',
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.range' = '2026-01-01,NOW',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer',
  'projection.hour.range' = '0,23',
  'projection.hour.digits' = '2',
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/metrics_number/dt=${dt}/hour=${hour}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS metrics_histogram (
  `time` timestamp,
  time_unix_nano bigint,
  start_unix_nano bigint,
  name string,
  unit string,
  description string,
  series_hash string,
  service_name string,
  service_namespace string,
  service_version string,
  service_instance_id string,
  deployment_environment string,
  cloud_region string,
  cloud_account_id string,
  host_name string,
  k8s_namespace_name string,
  k8s_pod_name string,
  k8s_deployment_name string,
  faas_name string,
  attributes map<string,string>,
  resource_attributes map<string,string>,
  scope_attributes map<string,string>,
  scope_name string,
  scope_version string,
  temporality string,
  count bigint,
  sum double,
  min double,
  max double,
  bucket_counts array<bigint>,
  explicit_bounds array<double>,
  flags int,
  exemplars array<struct<time_unix_nano:bigint,value:double,trace_id:string,span_id:string,attributes:map<string,string>>>,
  ingest_time timestamp,
  schema_version int
)
PARTITIONED BY (dt string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/metrics_histogram/'
TBLPROPERTIES (
  'parquet.compression' = 'ZSTD',
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.range' = '2026-01-01,NOW',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer',
  'projection.hour.range' = '0,23',
  'projection.hour.digits' = '2',
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/metrics_histogram/dt=${dt}/hour=${hour}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS metrics_exp_histogram (
  `time` timestamp,
  time_unix_nano bigint,
  start_unix_nano bigint,
  name string,
  unit string,
  description string,
  series_hash string,
  service_name string,
  service_namespace string,
  service_version string,
  service_instance_id string,
  deployment_environment string,
  cloud_region string,
  cloud_account_id string,
  host_name string,
  k8s_namespace_name string,
  k8s_pod_name string,
  k8s_deployment_name string,
  faas_name string,
  attributes map<string,string>,
  resource_attributes map<string,string>,
  scope_attributes map<string,string>,
  scope_name string,
  scope_version string,
  temporality string,
  count bigint,
  sum double,
  min double,
  max double,
  scale int,
  zero_count bigint,
  zero_threshold double,
  positive_offset int,
  positive_counts array<bigint>,
  negative_offset int,
  negative_counts array<bigint>,
  flags int,
  exemplars array<struct<time_unix_nano:bigint,value:double,trace_id:string,span_id:string,attributes:map<string,string>>>,
  ingest_time timestamp,
  schema_version int
)
PARTITIONED BY (dt string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/metrics_exp_histogram/'
TBLPROPERTIES (
  'parquet.compression' = 'ZSTD',
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.range' = '2026-01-01,NOW',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer',
  'projection.hour.range' = '0,23',
  'projection.hour.digits' = '2',
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/metrics_exp_histogram/dt=${dt}/hour=${hour}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS metrics_summary (
  `time` timestamp,
  time_unix_nano bigint,
  start_unix_nano bigint,
  name string,
  unit string,
  description string,
  series_hash string,
  service_name string,
  service_namespace string,
  service_version string,
  service_instance_id string,
  deployment_environment string,
  cloud_region string,
  cloud_account_id string,
  host_name string,
  k8s_namespace_name string,
  k8s_pod_name string,
  k8s_deployment_name string,
  faas_name string,
  attributes map<string,string>,
  resource_attributes map<string,string>,
  scope_attributes map<string,string>,
  scope_name string,
  scope_version string,
  count bigint,
  sum double,
  quantiles array<struct<quantile:double,value:double>>,
  flags int,
  exemplars array<struct<time_unix_nano:bigint,value:double,trace_id:string,span_id:string,attributes:map<string,string>>>,
  ingest_time timestamp,
  schema_version int
)
PARTITIONED BY (dt string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/metrics_summary/'
TBLPROPERTIES (
  'parquet.compression' = 'ZSTD',
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.range' = '2026-01-01,NOW',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer',
  'projection.hour.range' = '0,23',
  'projection.hour.digits' = '2',
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/metrics_summary/dt=${dt}/hour=${hour}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS red_1m (
  `minute` timestamp,
  service_name string,
  deployment_environment string,
  operation string,
  kind string,
  status_code string,
  requests bigint,
  errors bigint,
  duration_sum_nano bigint,
  duration_min_nano bigint,
  duration_max_nano bigint,
  bucket_bounds_nano array<bigint>,
  bucket_counts array<bigint>,
  ingest_time timestamp,
  schema_version int
)
PARTITIONED BY (dt string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/red_1m/'
TBLPROPERTIES (
  'parquet.compression' = 'ZSTD',
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.range' = '2026-01-01,NOW',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer',
  'projection.hour.range' = '0,23',
  'projection.hour.digits' = '2',
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/red_1m/dt=${dt}/hour=${hour}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS service_edges_1m (
  `minute` timestamp,
  caller_service string,
  callee_service string,
  kind string,
  requests bigint,
  errors bigint,
  duration_sum_nano bigint,
  bucket_bounds_nano array<bigint>,
  bucket_counts array<bigint>,
  ingest_time timestamp,
  schema_version int
)
PARTITIONED BY (dt string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/service_edges_1m/'
TBLPROPERTIES (
  'parquet.compression' = 'ZSTD',
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.range' = '2026-01-01,NOW',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer',
  'projection.hour.range' = '0,23',
  'projection.hour.digits' = '2',
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/service_edges_1m/dt=${dt}/hour=${hour}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS decisions (
  trace_id string,
  decided_time timestamp,
  window_start timestamp,
  verdict string,
  policy string,
  weight double,
  votes map<string,string>,
  span_count int,
  error_count int,
  wait_ms int,
  is_complete boolean,
  rules_version string,
  schema_version int
)
PARTITIONED BY (dt string, `hour` string)
STORED AS PARQUET
LOCATION 's3://${LakeBucket}/lake/v1/decisions/'
TBLPROPERTIES (
  'parquet.compression' = 'ZSTD',
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.range' = '2026-01-01,NOW',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer',
  'projection.hour.range' = '0,23',
  'projection.hour.digits' = '2',
  'storage.location.template' = 's3://${LakeBucket}/lake/v1/decisions/dt=${dt}/hour=${hour}/'
);
