{#- What the store knows of a target before this run: {last_success, dead: invocations that came to no end,
    dead_fields: their source fields, dead_rebuild: was one of them to write the whole table, has_rejected:
    were records refused, has_quarantined: and written into rejected_record,
    unkeyed: the lists of source columns whose values refused records without a key are known by (of runs that kept them in
    gold: all lists that there were), known_hashes}. All targets are looked up by one statement, once per dbt invocation. -#}
{% macro _target_history(target_relation) %}
  {% set facts = lineage_audit._remembered('history') %}
  {% if facts is none %}
    {% set facts = [] %}
    {% for row in run_query(lineage_audit._history_sql()).rows %}
      {% do facts.append({'fact': row[0], 'target_relation': row[1], 'value': row[2], 'source_fields': row[3], 'target_columns': row[4], 'rejected': row[5]}) %}
    {% endfor %}
    {% do lineage_audit._remember('history', facts) %}
  {% endif %}
  {% set history = lineage_audit._no_history() %}
  {% for fact in facts %}
    {% if fact.fact == 'config' %}
      {% do history.known_hashes.append(fact.value) %}
    {% elif fact.target_relation == target_relation %}
      {% if fact.fact == 'success' %}
        {% do history.update({'last_success': {
          'watermark_to': fact.value, 'source_fields': fromjson(fact.source_fields), 'target_columns': fromjson(fact.target_columns) if fact.target_columns else none,
          'rejected': fact.rejected or 'quarantine'
        }}) %}
      {% elif fact.fact in ['dead', 'dead rebuild'] %}
        {% do history.dead.append(fact.value) %}
        {% do history.dead_fields.extend(fromjson(fact.source_fields) if fact.source_fields else []) %}
        {% do history.update({'dead_rebuild': history.dead_rebuild or fact.fact == 'dead rebuild'}) %}
      {% elif fact.fact == 'rejected' %}
        {% do history.update({'has_rejected': true, 'has_quarantined': history.has_quarantined or fact.rejected != 'keep'}) %}
        {% if fact.source_fields %}
          {% set names = lineage_audit._recorded_fields(fromjson(fact.source_fields)) | map(attribute='name') | list %}
          {% do history.unkeyed.append(names) if names not in history.unkeyed %}
        {% endif %}
      {% elif fact.fact == 'unkeyed' %}
        {% do history.unkeyed.append(fromjson(fact.value)) %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {% do return(history) %}
{% endmacro %}

{#- Of the source fields that an event names, those that its run read, in the order of a record's values. -#}
{% macro _recorded_fields(source_fields) %}
  {% do return(source_fields | selectattr('position', 'number') | sort(attribute='position') | list) %}
{% endmacro %}

{% macro _no_history() %}
  {% do return({'last_success': none, 'dead': [], 'dead_fields': [], 'dead_rebuild': false, 'has_rejected': false, 'has_quarantined': false, 'unkeyed': [], 'known_hashes': []}) %}
{% endmacro %}

{% macro _history_sql() %}
  {% set text = lineage_audit.store_types().text %}
with last_times as (
  select
    target_relation,
    max(event_ts) as event_ts
  from {{ lineage_audit._store('run_event') }}
  where event_type = 'SUCCESS'
  group by target_relation
),
last_successes as (
  select
    success.target_relation,
    success.invocation_id,
    success.watermark_to,
    success.source_fields,
    success.target_columns,
    success.rejected,
    row_number() over (partition by success.target_relation order by success.invocation_id) as copy_number
  from {{ lineage_audit._store('run_event') }} as success
  inner join last_times
    on success.target_relation = last_times.target_relation
    and success.event_ts = last_times.event_ts
  where success.event_type = 'SUCCESS'
),
last_starts as (
  select
    started.target_relation,
    min(started.event_ts) as event_ts
  from {{ lineage_audit._store('run_event') }} as started
  inner join last_successes
    on started.target_relation = last_successes.target_relation
    and started.invocation_id = last_successes.invocation_id
    and last_successes.copy_number = 1
  where started.event_type = 'STARTED'
  group by started.target_relation
),
later_attempts as (
  select
    started.target_relation,
    started.invocation_id,
    max(started.whole_table) as whole_table,
    max(started.source_fields) as source_fields
  from {{ lineage_audit._store('run_event') }} as started
  left join last_starts on started.target_relation = last_starts.target_relation
  where started.event_type = 'STARTED'
    and (last_starts.event_ts is null or started.event_ts > last_starts.event_ts)
  group by started.target_relation, started.invocation_id
)
select
  'success' as fact,
  target_relation,
  watermark_to as value,
  source_fields,
  target_columns,
  rejected
from last_successes
where copy_number = 1
union all
select
  case when later_attempts.whole_table then 'dead rebuild' else 'dead' end as fact,
  later_attempts.target_relation,
  later_attempts.invocation_id as value,
  later_attempts.source_fields,
  cast(null as {{ text }}) as target_columns,
  cast(null as {{ text }}) as rejected
from later_attempts
left join {{ lineage_audit._store('run_event') }} as success
  on later_attempts.target_relation = success.target_relation
  and later_attempts.invocation_id = success.invocation_id
  and success.event_type = 'SUCCESS'
where success.invocation_id is null
union all
select distinct
  'rejected' as fact,
  target_relation,
  cast(null as {{ text }}) as value,
  case when rejected = 'keep' then source_fields end as source_fields,
  cast(null as {{ text }}) as target_columns,
  rejected
from {{ lineage_audit._store('run_event') }}
where event_type = 'SUCCESS' and rejected_record_count > 0
union all
select distinct
  'unkeyed' as fact,
  target_relation,
  {{ lineage_audit.json_names('source_values_json') }} as value,
  cast(null as {{ text }}) as source_fields,
  cast(null as {{ text }}) as target_columns,
  cast(null as {{ text }}) as rejected
from {{ lineage_audit._store('rejected_record') }}
where target_pk is null
union all
select distinct
  'config' as fact,
  cast(null as {{ text }}) as target_relation,
  config_hash as value,
  cast(null as {{ text }}) as source_fields,
  cast(null as {{ text }}) as target_columns,
  cast(null as {{ text }}) as rejected
from {{ lineage_audit._store('config_version') }}
{% endmacro %}

{#- Has an attempt that died put a new table in the place of the old one? Then no row of an earlier run is left, and the
    last SUCCESS says nothing of what is there. -#}
{% macro _replaced_by_the_dead(gold, history) %}
  {% if not history.dead_rebuild or target.type == 'duckdb' %}
    {% do return(false) %}
  {% endif %}
  {% set found = run_query('select 1 as found\nfrom ' ~ gold ~ '\nwhere _lineage_invocation_id not in ' ~ lineage_audit._in_list(history.dead) ~ '\nlimit 1') %}
  {% do return(found.rows | length == 0) %}
{% endmacro %}
