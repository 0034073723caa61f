-- The tables of the audit store as version 0.1.0 makes them. Never changed: stores that are in use look like this.
create table {schema}.run_event (
  event_type varchar,
  event_ts timestamp,
  attempt_id bigint,
  run_id varchar,
  invocation_id varchar,
  target_relation varchar,
  pipeline_name varchar,
  endpoint_name varchar,
  source_system varchar,
  target_table varchar,
  node_id varchar,
  whole_table boolean,
  input_record_count bigint,
  output_record_count bigint,
  rejected_record_count bigint,
  filtered_record_count bigint,
  config_hash varchar,
  code_version varchar,
  run_by varchar,
  watermark_from varchar,
  watermark_to varchar,
  source_fields varchar,
  error_message varchar
);

create table {schema}.cell_lineage (
  attempt_id bigint,
  target_pk varchar,
  column_position smallint,
  source_values varchar[]
);

create table {schema}.rejected_record (
  run_id varchar,
  invocation_id varchar,
  target_relation varchar,
  target_table varchar,
  record_key varchar,
  target_pk varchar,
  failed_rules varchar[],
  warnings varchar[],
  mapped_values_json varchar,
  source_values_json varchar
);

create table {schema}.closed_record (
  run_id varchar,
  invocation_id varchar,
  target_relation varchar,
  record_key varchar,
  closed_as varchar,
  closed_by varchar,
  closed_ts timestamp,
  reason varchar
);

create table {schema}.rule_violation (
  run_id varchar,
  invocation_id varchar,
  target_relation varchar,
  target_table varchar,
  record_key varchar,
  target_pk varchar,
  business_rule_id varchar,
  severity varchar
);

create table {schema}.config_version (
  config_hash varchar,
  created_ts timestamp,
  endpoint_name varchar,
  target_table varchar,
  kind varchar,
  column_position smallint,
  target_column varchar,
  target_layer varchar,
  api_field_name varchar,
  api_json_path varchar,
  source_table varchar,
  source_columns varchar[],
  source_types varchar[],
  transform_expr varchar,
  default_expr varchar,
  data_type varchar,
  is_primary_key varchar,
  nullable varchar,
  sensitivity varchar,
  business_rule_id varchar,
  rule_category varchar,
  severity varchar,
  message varchar
);
