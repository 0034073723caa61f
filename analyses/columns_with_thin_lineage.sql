-- What the config of each table's last run leaves open, what lineage holds nothing of, what no row maps.
with {{ lineage_audit._current_lineage_ctes() }},

last_runs as (
  select
    target_relation,
    config_hash,
    row_number() over (partition by target_relation order by committed_ts desc, invocation_id) as place
  from current_runs
),

{{ lineage_audit._mapping_cte(['sensitivity', 'message']) | trim }},

mapped as (
  select
    last_runs.target_relation,
    mapping.*,
    coalesce(mapping.transform_expr <> {{ lineage_audit.first_item('mapping.source_columns') }}, true) as is_computed
  from last_runs
  inner join mapping on last_runs.config_hash = mapping.config_hash
  where last_runs.place = 1
),

in_gold as (
  {{ lineage_audit._gold_columns_sql() }}
),

never_filled as (
  -- Values are texts in the JSON: where there is one, a quote follows the colon.
  select
    target_relation,
    target_column
  from current_lineage
  group by target_relation, target_column
  having max(case when source_values_json like '%":"%' or source_values_json = '{}' then 1 else 0 end) = 0
),

findings as (
  select
    target_relation,
    target_column,
    'no_api_field' as finding
  from mapped
  where api_field_name is null
  union all
  select
    target_relation,
    target_column,
    'no_api_path' as finding
  from mapped
  where api_json_path is null and api_field_name is not null
  union all
  select
    target_relation,
    target_column,
    'computed_without_rule' as finding
  from mapped
  where is_computed and coalesce(business_rule_id, '') = ''
  union all
  select
    target_relation,
    target_column,
    'no_description' as finding
  from mapped
  where coalesce(message, '') = ''
  union all
  select
    target_relation,
    target_column,
    'values_not_readable' as finding
  from mapped
  where sensitivity in ('mask', 'hash')
  union all
  select
    target_relation,
    target_column,
    'always_null' as finding
  from never_filled
  union all
  select
    in_gold.target_relation,
    in_gold.column_name as target_column,
    'not_mapped' as finding
  from in_gold
  left join mapped
    on in_gold.target_relation = mapped.target_relation
    and lower(in_gold.column_name) = lower(mapped.target_column)
  where mapped.target_column is null
)

select
  target_relation,
  target_column,
  finding,
  case finding
    when 'no_api_field' then 'field_mapping names no API field'
    when 'no_api_path' then 'field_mapping names the API field, and no path in the payload'
    when 'computed_without_rule' then 'it is computed, and no business rule says why'
    when 'no_description' then 'field_mapping does not describe it'
    when 'values_not_readable' then 'its source values are logged masked or hashed: it can not be replayed'
    when 'always_null' then 'the source values of every record are NULL'
    when 'not_mapped' then 'the table has it, and the config of the last run does not map it'
  end as explanation
from findings
order by target_relation, target_column, finding
