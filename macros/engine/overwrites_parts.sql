{#- Does `insert_overwrite` of this model replace parts of the table, instead of all of it? -#}
{% macro overwrites_parts(config) %}
  {% do return(adapter.dispatch('overwrites_parts', 'lineage_audit')(config)) %}
{% endmacro %}

{% macro default__overwrites_parts(config) %}
  {% do return(lineage_audit._unsupported('overwrites_parts')) %}
{% endmacro %}

{#- dbt-duckdb has no such strategy. -#}
{% macro duckdb__overwrites_parts(config) %}
  {% do return(false) %}
{% endmacro %}

{% macro spark__overwrites_parts(config) %}
  {% do return(true if config.get('partition_by') else false) %}
{% endmacro %}

{#- Replaces what has the same clustering columns, too. -#}
{% macro databricks__overwrites_parts(config) %}
  {% do return(true if config.get('partition_by') or config.get('liquid_clustered_by') else false) %}
{% endmacro %}
