{#- The lineage of the rows that one gold table holds now, read from the source values in it: a row per gold row and mapped
    column, with the columns of column_lineage. -#}
{% macro column_lineage_of(source) %}
  {% set written = lineage_audit._written_gold(source) %}
  {% if written is string %}
    {% do return(written) %}
  {% endif %}
  {% set out_of_date = [
    'run_id', 'invocation_id', 'cast(' ~ lineage_audit._raise_out_of_date(written) ~ ' as ' ~ lineage_audit.store_types().text ~ ') as target_pk', 'null as source_values'
  ] %}
  {% set records = lineage_audit._select_per_layout(written, lineage_audit._record_items, lineage_audit._is_accepted() if written.keeps_refused else none, out_of_date) %}
  {% do return(
    'with ' ~ [lineage_audit._committed_ctes() | trim, lineage_audit._gold_runs_cte(written) | trim, lineage_audit._mapping_cte() | trim, 'records as (\n  ' ~ records ~ '\n)'] | join(',\n')
    ~ '\nselect\n  ' ~ lineage_audit._column_lineage_items('records.target_pk', lineage_audit.items_at('records.source_values', 'mapping.source_positions'))
    ~ '\nfrom records\ninner join gold_runs as committed\n  on records.invocation_id = committed.invocation_id\n  and records.run_id = committed.run_id'
    ~ '\ninner join mapping on committed.config_hash = mapping.config_hash'
  ) %}
{% endmacro %}

{% macro _record_items(written, layout) %}
  {% do return([
    '_lineage_run_id as run_id',
    '_lineage_invocation_id as invocation_id',
    lineage_audit._target_pk(layout) ~ ' as target_pk',
    lineage_audit.list_of(lineage_audit._source_texts(layout.fields), '    ') ~ ' as source_values'
  ]) %}
{% endmacro %}
