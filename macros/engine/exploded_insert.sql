{#- Copies lineage from gold into cell_lineage, a row per gold row and mapped column. The forms are the fastest of those
    measured in benchmarks/shape.py. -#}
{% macro exploded_insert(plan) %}
  {% do return(adapter.dispatch('exploded_insert', 'lineage_audit')(plan)) %}
{% endmacro %}

{% macro default__exploded_insert(plan) %}
  {% do return(lineage_audit._unsupported('exploded_insert')) %}
{% endmacro %}

{% macro duckdb__exploded_insert(plan) %}
  {% set parts = lineage_audit._exploded_parts(plan) %}
  {% do return(lineage_audit._insert_select('cell_lineage', {
    'attempt_id': lineage_audit._attempt_id(plan.target_relation),
    'target_pk': 'target_pk',
    'column_position': 'unnest([' ~ parts.positions | join(', ') ~ '])',
    'source_values': 'unnest([\n    ' ~ parts.lists | join(',\n    ') ~ '\n  ])'
  }, 'from texts', parts.texts)) %}
{% endmacro %}

{#- Unpivot, unlike inline or explode, is compiled together with the rest of the query. -#}
{% macro spark__exploded_insert(plan) %}
  {% set parts = lineage_audit._exploded_parts(plan) %}
  {% set items = ['target_pk'] %}
  {% set names = [] %}
  {% for position in parts.positions %}
    {% do names.append('`' ~ position ~ '`') %}
    {% do items.append(parts.lists[loop.index0] ~ ' as ' ~ names[-1]) %}
  {% endfor %}
  {% set values = {
    'attempt_id': lineage_audit._attempt_id(plan.target_relation), 'target_pk': 'target_pk',
    'column_position': 'cast(column_position as ' ~ lineage_audit.store_types().position ~ ')', 'source_values': 'source_values'
  } %}
  {% do return(lineage_audit._insert_select(
    'cell_lineage', values, 'from lists\nunpivot include nulls (source_values for column_position in (' ~ names | join(', ') ~ '))',
    parts.texts ~ ',\n' ~ lineage_audit._cte('lists', items, 'texts', [])
  )) %}
{% endmacro %}

{#- {texts: a CTE with every source value as text once per gold row, positions: of the mapped columns, lists: their source values}. -#}
{% macro _exploded_parts(plan) %}
  {% set items = [lineage_audit._target_pk(plan) ~ ' as target_pk'] %}
  {% set text_names = {} %}
  {% for field in plan.fields %}
    {% do text_names.update({field.name: 'text_' ~ loop.index}) %}
    {% do items.append(lineage_audit._source_text(field) ~ ' as text_' ~ loop.index) %}
  {% endfor %}
  {% set positions = [] %}
  {% set lists = [] %}
  {% for column in plan.columns %}
    {% do positions.append(loop.index) %}
    {% set texts = [] %}
    {% for source_column in column.source_columns %}
      {% do texts.append(text_names[source_column]) %}
    {% endfor %}
    {% do lists.append(lineage_audit.list_of(texts)) %}
  {% endfor %}
  {% do return({'texts': 'with ' ~ lineage_audit._cte('texts', items, plan.gold, lineage_audit._taken_by_this_run(plan)), 'positions': positions, 'lists': lists}) %}
{% endmacro %}
