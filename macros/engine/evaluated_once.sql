{#- What keeps Spark from writing the expressions of a select into the conditions of the queries around it, where it would evaluate each as
    often as it is named: {item: of that select, condition: of the query that has the conditions}. -#}
{% macro evaluated_once() %}
  {% do return(adapter.dispatch('evaluated_once', 'lineage_audit')()) %}
{% endmacro %}

{% macro default__evaluated_once() %}
  {% do return(lineage_audit._unsupported('evaluated_once')) %}
{% endmacro %}

{% macro duckdb__evaluated_once() %}
  {% do return({'item': none, 'condition': none}) %}
{% endmacro %}

{#- No condition passes a select that has an item which is not deterministic. -#}
{% macro spark__evaluated_once() %}
  {% do return({'item': 'monotonically_increasing_id() as _lineage_row', 'condition': '_lineage_row >= 0'}) %}
{% endmacro %}
