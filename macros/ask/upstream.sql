{#- Operation: what a table or columns come from. See _ask.yml for the arguments and the form of the JSON. -#}
{% macro upstream(table, column=none, depth=none, indirect=false, output='text') %}
  {% if not execute %}
    {% do return('') %}
  {% endif %}
  {% do lineage_audit._check_output(output) %}
  {% set answer = lineage_audit._asked_walk('upstream', table, column, depth, indirect) %}
  {% do print(tojson(answer) if output == 'json' else lineage_audit._walk_text(answer)) %}
{% endmacro %}
