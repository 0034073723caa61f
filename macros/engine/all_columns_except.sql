{#- * without some columns. -#}
{% macro all_columns_except(names) %}
  {% do return(adapter.dispatch('all_columns_except', 'lineage_audit')(names)) %}
{% endmacro %}

{% macro default__all_columns_except(names) %}
  {% do return(lineage_audit._unsupported('all_columns_except')) %}
{% endmacro %}

{% macro duckdb__all_columns_except(names) %}
  {% do return('* exclude (\n  ' ~ names | join(',\n  ') ~ '\n)') %}
{% endmacro %}

{% macro spark__all_columns_except(names) %}
  {% do return('* except (\n  ' ~ names | join(',\n  ') ~ '\n)') %}
{% endmacro %}
