{#- SQL of the views over the audit store. -#}

{#- A table of what the store holds would show tomorrow what it held today: dbt lets `models: +materialized` of the root project
    win over what a package's model says of itself. -#}
{% macro _stays_a_view() %}
  {% if execute and config.get('materialized') != 'view' %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: ' ~ model.name ~ ' has to be a view, and is ' ~ config.get('materialized') ~ ' by your dbt_project.yml. Move +materialized there from models to models: ' ~ project_name
      ~ ', or add below models «lineage_audit: {+materialized: view}».'
    ) %}
  {% endif %}
{% endmacro %}

{#- CTEs every view starts from: the runs whose rows count. A SUCCESS commits its own invocation; of several attempts
    under one run_id the last one that wrote the whole table counts, and what was appended after it. -#}
{% macro _committed_ctes() %}
successes as (
  select
    run_id,
    invocation_id,
    target_relation,
    max(attempt_id) as attempt_id,
    max(endpoint_name) as endpoint_name,
    max(target_table) as target_table,
    max(config_hash) as config_hash,
    max(whole_table) as whole_table,
    max(event_ts) as committed_ts
  from {{ lineage_audit._store('run_event') }}
  where event_type = 'SUCCESS'
  group by run_id, invocation_id, target_relation
),
committed as (
  select *
  from (
    select
      successes.*,
      max(case when whole_table then committed_ts end) over (partition by run_id, target_relation) as rebuilt_ts
    from successes
  ) as attempts
  where rebuilt_ts is null or committed_ts >= rebuilt_ts
)
{%- endmacro %}

{#- A CTE: the mapping rows as they were under each hash; more: further columns of config_version. -#}
{% macro _mapping_cte(more=[]) %}
mapping as (
  select
    config_hash,
    column_position,
    target_column,
    api_field_name,
    api_json_path,
    source_table,
    source_columns,
    source_positions,
    transform_expr,
    business_rule_id
{%- for column in more %},
    {{ column }}
{%- endfor %}
  from (
    select
      *,
      row_number() over (partition by config_hash, column_position order by created_ts) as copy_number
    from {{ lineage_audit._store('config_version') }}
    where kind = 'mapping'
  ) as copies
  where copy_number = 1
)
{%- endmacro %}

{#- The columns of column_lineage, from relations committed, one with the mapping, and one with target_pk and the source values of a
    cell as a list of texts. -#}
{% macro _column_lineage_items(target_pk, source_values, mapping='mapping') -%}
  committed.run_id,
  committed.endpoint_name,
  committed.target_table,
  {{ target_pk }} as target_pk,
  {{ mapping }}.target_column,
  {{ mapping }}.api_field_name,
  {{ mapping }}.api_json_path,
  {{ mapping }}.source_table,
  {{ mapping }}.source_columns,
  {{ mapping }}.transform_expr,
  {{ mapping }}.business_rule_id,
  case
    when {{ lineage_audit.list_length(mapping ~ '.source_columns') }} = 0 then '{}'
    else {{ lineage_audit.json_of_lists(mapping ~ '.source_columns', source_values) }}
  end as source_values_json,
  committed.committed_ts as created_ts,
  committed.target_relation,
  committed.invocation_id,
  committed.config_hash
{%- endmacro %}

{#- CTEs that follow _committed_ctes: the refused records that no later run took or filtered and nobody dismissed, of one
    target relation or of all; kept: the query, in parentheses, for those of a table that keeps them. A record counts as its last refusal says. Who dismisses a record dismisses it as it is: it
    stays so when a later run refuses the same source values again, until a run takes it. -#}
{% macro _open_record_ctes(target_relation=none, kept=none) %}
  {%- set of_target = [] if target_relation is none or kept else ['rejected.target_relation = ' ~ lineage_audit.text_literal(target_relation)] -%}
rejections as (
  select
    rejected.*,
    committed.endpoint_name,
    committed.config_hash,
    committed.committed_ts as rejected_ts,
    max(committed.committed_ts) over (partition by rejected.target_relation, rejected.record_key) as last_rejected_ts,
    row_number() over (
      partition by
        rejected.target_relation,
        rejected.invocation_id,
        rejected.record_key,
        rejected.failed_rules,
        rejected.mapped_values_json,
        rejected.source_values_json
      order by rejected.target_pk
    ) as copy_number,
    min(committed.committed_ts) over (
      partition by
        rejected.target_relation,
        rejected.record_key,
        rejected.source_values_json
    ) as first_rejected_ts
  from {{ kept or lineage_audit._store('rejected_record') }} as rejected
  inner join committed
    on rejected.invocation_id = committed.invocation_id
    and rejected.target_relation = committed.target_relation
{%- if of_target %}
{{ lineage_audit._where(of_target, '  ') }}
{%- endif %}
),
closings as (
  select
    closed.target_relation,
    closed.record_key,
    max(committed.committed_ts) as closed_ts,
    max(case when closed.closed_as = 'dismissed' then closed.closed_ts end) as dismissed_ts
  from {{ lineage_audit._store('closed_record') }} as closed
  left join committed
    on closed.invocation_id = committed.invocation_id
    and closed.target_relation = committed.target_relation
  where committed.invocation_id is not null or closed.closed_as = 'dismissed'
  group by closed.target_relation, closed.record_key
),
open_records as (
  select rejections.*
  from rejections
  left join closings
    on rejections.target_relation = closings.target_relation
    and rejections.record_key = closings.record_key
  where rejections.rejected_ts = rejections.last_rejected_ts
    and rejections.copy_number = 1
    and (closings.closed_ts is null or closings.closed_ts <= rejections.rejected_ts)
    and (
      closings.dismissed_ts is null
      or closings.dismissed_ts < rejections.first_rejected_ts
      or closings.dismissed_ts < closings.closed_ts
    )
    and {{ lineage_audit.list_length('rejections.failed_rules') }} > 0
    and not (rejections.failed_rules = {{ lineage_audit.list_of_texts(['duplicate_key']) }})
)
{%- endmacro %}

{#- A CTE: the messages of the rules under each hash. -#}
{% macro _messages_cte() %}
messages as (
  select
    config_hash,
    {{ lineage_audit.map_of_rows('business_rule_id', "coalesce(message, '')") }} as message_of_rule
  from (
    select distinct
      config_hash,
      business_rule_id,
      message
    from {{ lineage_audit._store('config_version') }}
    where kind = 'rule'
  ) as rules
  group by config_hash
)
{%- endmacro %}

{#- What follows _open_record_ctes: each open record with its reasons and their messages. -#}
{% macro _quarantine_select() %}
{{ lineage_audit._messages_cte() | trim }}
select
  open_records.run_id,
  open_records.endpoint_name,
  open_records.target_table,
  open_records.record_key,
  open_records.target_pk,
  open_records.failed_rules,
  {{ lineage_audit.messages_of('open_records.failed_rules', 'messages.message_of_rule') }} as messages,
  open_records.mapped_values_json,
  open_records.source_values_json,
  open_records.rejected_ts,
  open_records.target_relation,
  open_records.invocation_id,
  open_records.config_hash
from open_records
left join messages on open_records.config_hash = messages.config_hash
{%- endmacro %}
