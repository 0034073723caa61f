{#- An expression that fails the statement with a text. -#}
{% macro raise_in_sql(text) %}
  {% do return(adapter.dispatch('raise_in_sql', 'lineage_audit')(text)) %}
{% endmacro %}

{% macro default__raise_in_sql(text) %}
  {% do return(lineage_audit._unsupported('raise_in_sql')) %}
{% endmacro %}

{% macro duckdb__raise_in_sql(text) %}
  {% do return('error(' ~ text ~ ')') %}
{% endmacro %}

{% macro spark__raise_in_sql(text) %}
  {% do return('raise_error(' ~ text ~ ')') %}
{% endmacro %}
