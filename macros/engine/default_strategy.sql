{#- The incremental strategy that the adapter takes where the model names none. -#}
{% macro default_strategy(unique_key) %}
  {% do return(adapter.dispatch('default_strategy', 'lineage_audit')(unique_key)) %}
{% endmacro %}

{% macro default__default_strategy(unique_key) %}
  {% do return(lineage_audit._unsupported('default_strategy')) %}
{% endmacro %}

{% macro duckdb__default_strategy(unique_key) %}
  {% do return('delete+insert' if unique_key else 'append') %}
{% endmacro %}

{% macro spark__default_strategy(unique_key) %}
  {% do return('append') %}
{% endmacro %}

{% macro databricks__default_strategy(unique_key) %}
  {% do return('merge') %}
{% endmacro %}
