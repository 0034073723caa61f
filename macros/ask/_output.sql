{#- What every operation that answers needs. -#}
{% macro _check_output(output) %}
  {% if output not in ['text', 'json'] %}
    {% do exceptions.raise_compiler_error("lineage_audit: output '" ~ output ~ "' is unknown. Write text or json.") %}
  {% endif %}
{% endmacro %}

{#- The rows of a query as dicts. By way of JSON, since dbt reads '' and 'null' in a result as NULL. -#}
{% macro _json_rows(sql) %}
  {% set rows = [] %}
  {% for row in run_query('select ' ~ lineage_audit.json_of_row('answer') ~ ' as answer\nfrom (\n' ~ sql ~ '\n) as answer').rows %}
    {% do rows.append(fromjson(row[0])) %}
  {% endfor %}
  {% do return(rows) %}
{% endmacro %}
