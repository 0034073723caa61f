{#- SQL of what `trace` says of a refused record: its last refusal, why, with which values, and whether it is still open. -#}
{% macro refused_record_sql(target_table, target_pk, as_of=none, run_id=none) %}
  {% set waits = lineage_audit._waits_for_a_run(target_table) %}
  {% if waits %}
    {% do return(waits) %}
  {% endif %}
  {% do return(lineage_audit._refused_record_sql(lineage_audit._traced_request(target_table, target_pk, none, as_of, run_id))) %}
{% endmacro %}

{% macro _refused_record_sql(request) %}
{%- set written = request.written -%}
{%- set target_relation = lineage_audit.text_literal(written.target_relation) -%}
{%- set rows = 'kept' if written.keeps_refused else lineage_audit._store('rejected_record') | string -%}
{%- set kept = '(select * from ' ~ rows ~ ' where target_relation = ' ~ target_relation ~ ' and record_key = ' ~ request.target_pk ~ ')' -%}
{%- set asked = ['rejections.copy_number = 1'] -%}
{%- if request.run_id is not none -%}
  {%- do asked.append('rejections.run_id = ' ~ lineage_audit.text_literal(request.run_id)) -%}
{%- endif -%}
{%- if request.as_of is not none -%}
  {%- do asked.append('rejections.rejected_ts <= ' ~ lineage_audit.timestamp_literal(request.as_of)) -%}
{%- endif -%}
with {{ lineage_audit._committed_ctes() | trim }},
{%- if written.keeps_refused %}
{{ lineage_audit._gold_runs_cte(written) | trim }},
{{ lineage_audit._kept_cte(written) }},
{%- endif %}
{{ lineage_audit._open_record_ctes(kept=kept) | trim }},
{{ lineage_audit._messages_cte() | trim }},
asked as (
  select
    rejections.*,
    max(rejections.rejected_ts) over () as answer_ts
  from rejections
{{ lineage_audit._where(asked, '  ') }}
),
still_open as (
  select distinct
    invocation_id,
    source_values_json
  from open_records
),
closed as (
  select
    closed.closed_as,
    closed.closed_by,
    closed.reason,
    coalesce(committed.committed_ts, closed.closed_ts) as closed_ts
  from {{ lineage_audit._store('closed_record') }} as closed
  left join committed
    on closed.invocation_id = committed.invocation_id
    and closed.target_relation = committed.target_relation
  where closed.target_relation = {{ target_relation }}
    and closed.record_key = {{ request.target_pk }}
    and (committed.invocation_id is not null or closed.closed_as = 'dismissed')
),
closings_after as (
  select
    closed.*,
    row_number() over (
      order by
        case when closed.closed_ts >= last_refusal.answer_ts then 0 else 1 end,
        case when closed.closed_ts >= last_refusal.answer_ts then closed.closed_ts end,
        closed.closed_ts desc
    ) as place
  from closed
  cross join (select max(answer_ts) as answer_ts from asked) as last_refusal
)
select
  asked.record_key,
  asked.target_pk,
  asked.failed_rules,
  {{ lineage_audit.messages_of('asked.failed_rules', 'messages.message_of_rule') }} as messages,
  asked.source_values_json,
  asked.mapped_values_json,
  asked.run_id,
  asked.invocation_id,
  {{ lineage_audit.text_of('asked.rejected_ts', 'timestamp') }} as refused_ts,
  events.run_by,
  asked.config_hash,
  events.code_version,
  asked.rejected_ts = asked.last_rejected_ts as is_last_refusal,
  still_open.invocation_id is not null as is_open,
  case when still_open.invocation_id is null then closings_after.closed_as end as closed_as,
  case when still_open.invocation_id is null then closings_after.closed_by end as closed_by,
  case when still_open.invocation_id is null then closings_after.reason end as closed_reason,
  case when still_open.invocation_id is null then {{ lineage_audit.text_of('closings_after.closed_ts', 'timestamp') }} end as closed_ts
from asked
inner join {{ lineage_audit._store('run_event') }} as events
  on asked.invocation_id = events.invocation_id
  and asked.target_relation = events.target_relation
  and events.event_type = 'SUCCESS'
left join messages on asked.config_hash = messages.config_hash
left join still_open
  on asked.invocation_id = still_open.invocation_id
  and asked.source_values_json = still_open.source_values_json
left join closings_after on closings_after.place = 1
where asked.rejected_ts = asked.answer_ts
{%- endmacro %}
