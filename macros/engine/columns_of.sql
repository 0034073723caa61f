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

{#- dbt-spark takes a column whose name begins with # for a comment, and drops those after it: the columns end where a row
    of the description has no type. Spark writes a struct of more than 25 fields as `struct<a:int,… 5 more fields>`; such types are asked for once more. -#}
{% macro spark__columns_of(relation) %}
  {% set columns = [] %}
  {% set abridged = [] %}
  {% set described = namespace(columns=true) %}
  {% for row in run_query('describe ' ~ relation).rows %}
    {% if not row['data_type'] %}
      {% set described.columns = false %}
    {% elif described.columns %}
      {% do columns.append({'name': row['col_name'], 'type': row['data_type']}) %}
      {% if ' more fields' in row['data_type'] %}
        {% do abridged.append(columns | last) %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {% if abridged %}
    {% set items = [] %}
    {% for column in abridged %}
      {% do items.append('typeof(any_value(' ~ lineage_audit.quote_name(column.name) ~ '))') %}
    {% endfor %}
    {% set types = run_query('select\n  ' ~ items | join(',\n  ') ~ '\nfrom ' ~ relation ~ '\nwhere false').rows[0] %}
    {% for column in abridged %}
      {% do column.update({'type': types[loop.index0]}) %}
    {% endfor %}
  {% endif %}
  {% do return(columns) %}
{% endmacro %}
