{#- Who runs: SQL that gives a name. An embedded engine knows no users, so there the operating system is asked. -#}
{% macro run_by() %}
  {% do return(adapter.dispatch('run_by', 'lineage_audit')()) %}
{% endmacro %}

{% macro default__run_by() %}
  {% do return(lineage_audit._unsupported('run_by')) %}
{% endmacro %}

{% macro duckdb__run_by() %}
  {% do return(lineage_audit.text_literal(env_var('USER', env_var('USERNAME', '')) or 'unknown')) %}
{% endmacro %}

{% macro spark__run_by() %}
  {% do return('current_user()') %}
{% endmacro %}
