{#- The table that holds one run's copy of a source that can't be read twice alike. -#}
{% macro create_staged_source(relation, select_sql) %}
  {% do return(adapter.dispatch('create_staged_source', 'lineage_audit')(relation, select_sql)) %}
{% endmacro %}

{% macro default__create_staged_source(relation, select_sql) %}
  {% do return(lineage_audit._unsupported('create_staged_source')) %}
{% endmacro %}

{% macro duckdb__create_staged_source(relation, select_sql) %}
  {% do return('create or replace table ' ~ relation ~ ' as\n' ~ select_sql) %}
{% endmacro %}

{#- Column mapping by name, since a source column may bear a name that Parquet can't hold. -#}
{% macro spark__create_staged_source(relation, select_sql) %}
  {% do return('create or replace table ' ~ relation ~ "\nusing delta\ntblproperties ('delta.columnMapping.mode' = 'name')\nas\n" ~ select_sql) %}
{% endmacro %}
