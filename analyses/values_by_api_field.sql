-- Of each record the lineage of the run that wrote it last. A masked value is shown as the store has it.
with {{ lineage_audit._current_lineage_ctes() }},

counted as (
  select
    endpoint_name,
    api_field_name,
    api_json_path,
    target_relation,
    target_column,
    source_values_json,
    count(*) as records,
    min(target_pk) as example_pk
  from current_lineage
  where api_field_name is not null or api_json_path is not null
  group by
    endpoint_name, api_field_name, api_json_path, target_relation, target_column, source_values_json
),

ranked as (
  select
    *,
    count(*) over (partition by target_relation, target_column) as distinct_values,
    sum(records) over (partition by target_relation, target_column) as all_records,
    row_number() over (
      partition by target_relation, target_column order by records desc, source_values_json
    ) as place
  from counted
)

select
  endpoint_name,
  api_field_name,
  api_json_path,
  target_relation,
  target_column,
  distinct_values,
  place,
  source_values_json,
  records,
  cast(100.0 * records / all_records as decimal(5, 2)) as percent_of_records,
  example_pk
from ranked
where place <= 10
order by endpoint_name, api_field_name, api_json_path, target_relation, target_column, place
