-- The tables of the audit store as version 0.1.0 makes them. Never changed: stores that are in use look like this.
create table {schema}.run_event (
  event_type string,
  event_ts timestamp,
  attempt_id bigint,
  run_id string,
  invocation_id string,
  target_relation string,
  pipeline_name string,
  endpoint_name string,
  source_system string,
  target_table string,
  node_id string,
  whole_table boolean,
  input_record_count bigint,
  output_record_count bigint,
  rejected_record_count bigint,
  filtered_record_count bigint,
  config_hash string,
  code_version string,
  run_by string,
  watermark_from string,
  watermark_to string,
  source_fields string,
  error_message string
)
using delta
tblproperties ('delta.appendOnly' = 'true');

create table {schema}.cell_lineage (
  attempt_id bigint,
  target_pk string,
  column_position smallint,
  source_values array<string>
)
using delta
tblproperties ('delta.appendOnly' = 'true');

create table {schema}.rejected_record (
  run_id string,
  invocation_id string,
  target_relation string,
  target_table string,
  record_key string,
  target_pk string,
  failed_rules array<string>,
  warnings array<string>,
  mapped_values_json string,
  source_values_json string
)
using delta
tblproperties ('delta.appendOnly' = 'true');

create table {schema}.closed_record (
  run_id string,
  invocation_id string,
  target_relation string,
  record_key string,
  closed_as string,
  closed_by string,
  closed_ts timestamp,
  reason string
)
using delta
tblproperties ('delta.appendOnly' = 'true');

create table {schema}.rule_violation (
  run_id string,
  invocation_id string,
  target_relation string,
  target_table string,
  record_key string,
  target_pk string,
  business_rule_id string,
  severity string
)
using delta
tblproperties ('delta.appendOnly' = 'true');

create table {schema}.config_version (
  config_hash string,
  created_ts timestamp,
  endpoint_name string,
  target_table string,
  kind string,
  column_position smallint,
  target_column string,
  target_layer string,
  api_field_name string,
  api_json_path string,
  source_table string,
  source_columns array<string>,
  source_types array<string>,
  transform_expr string,
  default_expr string,
  data_type string,
  is_primary_key string,
  nullable string,
  sensitivity string,
  business_rule_id string,
  rule_category string,
  severity string,
  message string
)
using delta
tblproperties ('delta.appendOnly' = 'true');
