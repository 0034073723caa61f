{#- SQL of what `trace` reads: a row per mapped column of the record, as the run that answers wrote it. -#}
{% macro trace_sql(target_table, target_pk, target_column=none, as_of=none, run_id=none) %}
  {% set waits = lineage_audit._waits_for_a_run(target_table) %}
  {% if waits %}
    {% do return(waits) %}
  {% endif %}
  {% do return(lineage_audit._trace_sql(lineage_audit._traced_request(target_table, target_pk, target_column, as_of, run_id))) %}
{% endmacro %}

{#- What is asked, in the terms of the store: {written: as _gold_as_written has it, key: [{column, text: SQL, given}], target_pk: SQL,
    target_column, as_of, run_id}. -#}
{% macro _traced_request(target_table, target_pk, target_column, as_of, run_id) %}
  {% set written = lineage_audit._written_by_model(target_table) %}
  {% do lineage_audit._check_key_can_be_hashed(written) %}
  {% set key = lineage_audit._asked_key(written, target_pk) %}
  {% do return({
    'written': written, 'key': key, 'target_pk': lineage_audit._asked_pk(key), 'target_column': target_column,
    'as_of': lineage_audit._time_asked(as_of), 'run_id': run_id | string if run_id is not none else none
  }) %}
{% endmacro %}

{#- A key that is stored hashed is found by its hash alone. -#}
{% macro _check_key_can_be_hashed(written) %}
  {% for column in written.key_columns | selectattr('sensitivity', 'equalto', 'hash') %}
    {% set problems = lineage_audit._hash_key_problems({
      'endpoint_name': written.endpoint_name, 'target_table': written.target_table, 'target_column': column.name
    }) %}
    {% if problems %}
      {% do lineage_audit._raise_problems(written.target_table, problems) %}
    {% endif %}
  {% endfor %}
{% endmacro %}

{#- _gold_as_written of a mapped model, with endpoint_name and key_columns; without layouts where gold itself is not there any more. -#}
{% macro _written_by_model(target_table) %}
  {% set node = lineage_audit._mapped_node(target_table) %}
  {% set gold = api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) %}
  {% set written = lineage_audit._gold_as_written(gold) %}
  {% if written is not none %}
    {% do return(dict(written, endpoint_name=node.config.meta.lineage_audit.endpoint_name, key_columns=written.layouts[0].columns | selectattr('is_key') | list)) %}
  {% endif %}
  {% set target_relation = lineage_audit._relation_text(gold) %}
  {% set rows = [] %}
  {% if load_relation(lineage_audit._store('run_event')) is not none %}
    {% set rows = run_query(
      'select\n  target_columns,\n  target_table\nfrom ' ~ lineage_audit._store('run_event') ~ "\nwhere event_type = 'SUCCESS' and target_relation = "
      ~ lineage_audit.text_literal(target_relation) ~ '\norder by event_ts desc\nlimit 1'
    ).rows %}
  {% endif %}
  {% if rows | length == 0 %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: the audit store knows no successful run of ' ~ target_relation ~ '. Build it first: dbt run --select ' ~ node.name ~ '.'
    ) %}
  {% endif %}
  {% set key_columns = [] %}
  {% for column in fromjson(rows[0][0] or '[]') | selectattr('is_key') %}
    {% do key_columns.append(lineage_audit._column_as_written(column)) %}
  {% endfor %}
  {% do return({
    'gold': none, 'target_relation': target_relation, 'target_table': rows[0][1], 'layouts': [], 'keeps_refused': false, 'gold_columns': [], 'reader': model.name,
    'endpoint_name': node.config.meta.lineage_audit.endpoint_name, 'key_columns': key_columns
  }) %}
{% endmacro %}

{#- The parts of a key as it was asked for: a text, a list, a JSON array as text, or a mapping of column names to values. -#}
{% macro _asked_key(written, target_pk) %}
  {% set names = written.key_columns | map(attribute='name') | list %}
  {% set form = 'The key of ' ~ written.target_table ~ ' is ' ~ names | join(', ') ~ ': write it as '
    ~ ("'value'" if names | length == 1 else "'" ~ tojson(names).replace(', ', ',') ~ "'") ~ ', or as {' ~ names | join(': …, ') ~ ': …}.' %}
  {% set problems = [] %}
  {% set parts = {} %}
  {% if target_pk is mapping %}
    {% for name, value in target_pk.items() %}
      {% set column = lineage_audit._find_column(written.key_columns, name | string) %}
      {% if not column %}
        {% do problems.append("'" ~ name ~ "' is no column of the key. " ~ lineage_audit._did_you_mean(name | string, names, form)) %}
      {% else %}
        {% do parts.update({column.name: value}) %}
      {% endif %}
    {% endfor %}
  {% else %}
    {% set values = target_pk %}
    {% if target_pk is string and names | length > 1 %}
      {% set values = fromjson(target_pk, target_pk) %}
    {% endif %}
    {% set values = [values] if values is string or values is number or values is boolean or values is none or values is not iterable else values | list %}
    {% if values | length == names | length %}
      {% for name in names %}
        {% do parts.update({name: values[loop.index0]}) %}
      {% endfor %}
    {% else %}
      {% do problems.append("target_pk '" ~ target_pk ~ "' has " ~ lineage_audit._counted(values | length, 'part') ~ '. ' ~ form) %}
    {% endif %}
  {% endif %}
  {% for name in names %}
    {% if not problems and parts.get(name) is none %}
      {% do problems.append(name ~ ' is missing in target_pk. ' ~ form) %}
    {% endif %}
  {% endfor %}
  {% if problems %}
    {% do exceptions.raise_compiler_error('lineage_audit: ' ~ problems | join('\n  ')) %}
  {% endif %}
  {% set key = [] %}
  {% for column in written.key_columns %}
    {% set value = parts[column.name] %}
    {% set text = (value | string | lower) if value is boolean else (value | string) %}
    {% do key.append({'column': column, 'text': lineage_audit._key_text(text, column), 'given': text}) %}
  {% endfor %}
  {% do return(key) %}
{% endmacro %}

{#- A key part as the store writes it. One that is marked hash may be given as it is or as its hash. -#}
{% macro _key_text(text, column) %}
  {% set literal = lineage_audit.text_literal(text) %}
  {% if column.sensitivity == 'hash' and modules.re.match('^[0-9a-f]{64}$', text) %}
    {% do return(literal) %}
  {% endif %}
  {% if column.type is not none and not lineage_audit._is_text_type(column.type) %}
    {% set literal = 'coalesce(' ~ lineage_audit.text_of(lineage_audit.value_of(literal, column.type), column.type) ~ ', ' ~ literal ~ ')' %}
  {% endif %}
  {% do return(lineage_audit.keyed_hash_of(literal) if column.sensitivity == 'hash' else literal) %}
{% endmacro %}

{% macro _asked_pk(key) %}
  {% set texts = key | map(attribute='text') | list %}
  {% do return(texts[0] if texts | length == 1 else lineage_audit.json_array(texts)) %}
{% endmacro %}

{#- The key in gold, part by part, so that the engine can skip what can't hold it. -#}
{% macro _holds_key(key) %}
  {% set predicates = [] %}
  {% for part in key %}
    {% do predicates.append(lineage_audit._mapped_text(part.column) ~ ' = ' ~ part.text) %}
    {% if part.column.sensitivity == 'none' and part.column.type is not none and not lineage_audit._is_text_type(part.column.type) %}
      {% do predicates.append(part.column.quoted ~ ' = ' ~ lineage_audit.value_of(part.text, part.column.type)) %}
    {% endif %}
  {% endfor %}
  {% do return(predicates | join('\n    and ')) %}
{% endmacro %}

{#- A time as the store writes them, in UTC; a date alone is its first moment. -#}
{% macro _time_asked(as_of, argument='as_of') %}
  {% if as_of is none %}
    {% do return(none) %}
  {% endif %}
  {% set found = modules.re.match('^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:\\.[0-9]{1,6})?)?)?(?:Z|\\+00:00)?$', as_of | string | trim) %}
  {% if not found %}
    {% do exceptions.raise_compiler_error("lineage_audit: " ~ argument ~ " '" ~ as_of ~ "' is no time. Write it in UTC, like 2024-03-01 06:00:00.") %}
  {% endif %}
  {% do return(found.group(1) ~ ' ' ~ (found.group(2) or '00:00') ~ (found.group(3) or ':00')) %}
{% endmacro %}

{#- CTEs: the committed runs of a target that may answer. A run before the last rebuild has nothing to say of the time after it. -#}
{% macro _traced_runs_cte(request) %}
  {% set target_relation = lineage_audit.text_literal(request.written.target_relation) %}
  {% set predicates = ['committed.target_relation = ' ~ target_relation] %}
  {% if request.run_id is not none %}
    {% do predicates.append('committed.run_id = ' ~ lineage_audit.text_literal(request.run_id)) %}
  {% endif %}
  {% if request.as_of is not none %}
    {% set until = 'committed_ts <= ' ~ lineage_audit.timestamp_literal(request.as_of) %}
    {% do predicates.append('committed.' ~ until) %}
    {% do predicates.append(
      'committed.committed_ts >= coalesce((\n      select max(successes.committed_ts)\n      from successes\n      where target_relation = ' ~ target_relation
      ~ ' and whole_table and ' ~ until ~ '\n    ), committed.committed_ts)'
    ) %}
  {% endif %}
  {% do return(lineage_audit._cte('runs', [
    'committed.attempt_id', 'committed.run_id', 'committed.invocation_id', 'committed.config_hash', 'committed.committed_ts',
    'events.run_by', 'events.code_version', "coalesce(events.capture, 'exploded') as capture"
  ], 'committed\n  inner join ' ~ lineage_audit._store('run_event') ~ " as events\n    on committed.attempt_id = events.attempt_id\n    and events.event_type = 'SUCCESS'", predicates)) %}
{% endmacro %}

{#- CTE in_gold: the accepted rows with the key that gold holds, each with its values as texts, in the order of _gold_names. -#}
{% macro _in_gold_cte(request) %}
  {% set text = lineage_audit.store_types().text %}
  {% set texts = lineage_audit.store_types().texts %}
  {% if request.written.gold is none %}
    {% do return(
      'in_gold as (\n  select\n    cast(null as ' ~ text ~ ') as invocation_id,\n    cast(null as ' ~ texts ~ ') as source_values,\n    cast(null as ' ~ texts
      ~ ') as gold_values,\n    cast(null as ' ~ texts ~ ') as warnings\n  where 1 = 0\n)'
    ) %}
  {% endif %}
  {% set predicate = lineage_audit._holds_key(request.key) %}
  {% if request.written.keeps_refused %}
    {% set predicate = predicate ~ '\n    and ' ~ lineage_audit._is_accepted() %}
  {% endif %}
  {% set out_of_date = [
    'cast(' ~ lineage_audit._raise_out_of_date(request.written) ~ ' as ' ~ text ~ ') as invocation_id', 'cast(null as ' ~ texts ~ ') as source_values',
    'cast(null as ' ~ texts ~ ') as gold_values', 'cast(null as ' ~ texts ~ ') as warnings'
  ] %}
  {% do return(
    lineage_audit._gold_runs_cte(request.written) | trim ~ ',\nin_gold as (\n  '
    ~ lineage_audit._select_per_layout(request.written, lineage_audit._traced_gold_items, predicate, out_of_date) ~ '\n)'
  ) %}
{% endmacro %}

{% macro _traced_gold_items(written, layout) %}
  {% set gold_values = [] %}
  {% for name in lineage_audit._gold_names(written) %}
    {% set column = lineage_audit._find_column(layout.columns, name) %}
    {% do gold_values.append(lineage_audit._mapped_text(column) if column else 'cast(null as ' ~ lineage_audit.store_types().text ~ ')') %}
  {% endfor %}
  {% do return([
    '_lineage_invocation_id as invocation_id',
    lineage_audit.list_of(lineage_audit._source_texts(layout.fields), '    ') ~ ' as source_values',
    lineage_audit.list_of(gold_values, '    ') ~ ' as gold_values',
    '_lineage_warnings as warnings'
  ]) %}
{% endmacro %}

{#- The mapped columns that gold has, of whichever layout. -#}
{% macro _gold_names(written) %}
  {% set names = [] %}
  {% for layout in written.layouts %}
    {% do names.extend(layout.columns | map(attribute='name')) %}
  {% endfor %}
  {% do return(names | unique | list) %}
{% endmacro %}

{#- Where gold holds the record, the run that wrote it there answers; else the last one that wrote it. -#}
{% macro _trace_sql(request) %}
{%- set written = request.written -%}
{%- set target_pk = request.target_pk -%}
{%- set gold_value = 'cast(null as ' ~ lineage_audit.store_types().text ~ ')' -%}
{%- set whens = [] -%}
{%- for name in lineage_audit._gold_names(written) -%}
  {%- do whens.append('when ' ~ lineage_audit.text_literal(name) ~ ' then ' ~ lineage_audit.item_at('held.gold_values', loop.index)) -%}
{%- endfor -%}
{%- if whens -%}
  {%- set gold_value = 'case mapping.target_column\n    ' ~ whens | join('\n    ') ~ '\n  end' -%}
{%- endif -%}
with {{ lineage_audit._committed_ctes() | trim }},
{{ lineage_audit._mapping_cte(['source_types', 'default_expr', 'data_type', 'sensitivity']) | trim }},
{{ lineage_audit._traced_runs_cte(request) }},
{{ lineage_audit._in_gold_cte(request) }},
held as (
  select
    invocation_id,
    gold_values,
    warnings,
    count(*) over (partition by invocation_id) as gold_row_count,
    row_number() over (partition by invocation_id order by gold_values) as copy_number
  from in_gold
),
records as (
  select
    runs.attempt_id,
    runs.config_hash,
    copied.source_values
  from {{ lineage_audit._store('record_lineage') }} as copied
  inner join runs on copied.attempt_id = runs.attempt_id
  where copied.target_pk = {{ target_pk }}
  union all
  select
    runs.attempt_id,
    runs.config_hash,
    in_gold.source_values
  from in_gold
  inner join runs
    on in_gold.invocation_id = runs.invocation_id
    and runs.capture = 'in_row'
),
cells as (
  select
    runs.attempt_id,
    copied.column_position,
    copied.source_values
  from {{ lineage_audit._store('cell_lineage') }} as copied
  inner join runs on copied.attempt_id = runs.attempt_id
  where copied.target_pk = {{ target_pk }}
  union all
  select
    records.attempt_id,
    mapping.column_position,
    {{ lineage_audit.items_at('records.source_values', 'mapping.source_positions') }} as source_values
  from records
  inner join mapping on records.config_hash = mapping.config_hash
),
answering as (
  select
    runs.*
  from runs
  left join held
    on runs.invocation_id = held.invocation_id
    and held.copy_number = 1
  where runs.attempt_id in (select attempt_id from cells)
  order by case when held.invocation_id is null then 1 else 0 end, runs.committed_ts desc
  limit 1
)
select
  {{ lineage_audit.text_literal(written.target_table) }} as target_table,
  {{ lineage_audit.text_literal(written.target_relation) }} as target_relation,
  {{ target_pk }} as target_pk,
  mapping.column_position,
  mapping.target_column,
  {{ gold_value }} as gold_value,
  coalesce(held.gold_row_count, 0) as gold_row_count,
  mapping.transform_expr,
  mapping.default_expr,
  mapping.data_type,
  mapping.api_field_name,
  mapping.api_json_path,
  mapping.source_table,
  mapping.source_columns,
  mapping.source_types,
  cells.source_values,
  mapping.business_rule_id,
  mapping.sensitivity,
  held.warnings,
  answering.run_id,
  answering.invocation_id,
  {{ lineage_audit.text_of('answering.committed_ts', 'timestamp') }} as committed_ts,
  answering.run_by,
  answering.config_hash,
  answering.code_version,
  answering.capture
from answering
inner join cells on answering.attempt_id = cells.attempt_id
inner join mapping
  on answering.config_hash = mapping.config_hash
  and cells.column_position = mapping.column_position
left join held
  on answering.invocation_id = held.invocation_id
  and held.copy_number = 1
{%- if request.target_column is not none %}
where lower(mapping.target_column) = lower({{ lineage_audit.text_literal(request.target_column) }})
{%- endif %}
{%- endmacro %}
