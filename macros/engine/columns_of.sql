{#- The columns of a relation, [{name, type}], looked up outside of any transaction: on DuckDB the model's own must begin
    after STARTED is written, and dbt-duckdb's macro for this would begin one. -#}
{% macro columns_of(relation) %}
  {% do return(adapter.dispatch('columns_of', 'lineage_audit')(relation)) %}
{% endmacro %}

{% macro default__columns_of(relation) %}
  {% do return(lineage_audit._unsupported('columns_of')) %}
{% endmacro %}

{% macro duckdb__columns_of(relation) %}
  {% set columns = [] %}
  {% for row in run_query('describe ' ~ relation).rows %}
    {% do columns.append({'name': row['column_name'], 'type': row['column_type']}) %}
  {% endfor %}
  {% do return(columns) %}
{% endmacro %}

{% macro spark__columns_of(relation) %}
  {% set columns = [] %}
  {% for column in adapter.get_columns_in_relation(relation) %}
    {% do columns.append({'name': column.name, 'type': column.dtype}) %}
  {% endfor %}
  {% do return(columns) %}
{% endmacro %}
