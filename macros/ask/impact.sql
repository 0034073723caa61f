{#- Operation: what lies downstream of a table or of columns. See _ask.yml for the arguments and the form of the JSON. -#}
{% macro impact(table=none, column=none, depth=none, indirect=true, compare_with=none, output='text') %}
  {% if not execute %}
    {% do return('') %}
  {% endif %}
  {% do lineage_audit._check_output(output) %}
  {% if compare_with is not none %}
    {% set answer = lineage_audit._compared_graphs(compare_with) %}
    {% do print(tojson(answer) if output == 'json' else lineage_audit._compared_graphs_text(answer)) %}
  {% else %}
    {% set answer = lineage_audit._asked_walk('downstream', table, column, depth, indirect) %}
    {% do print(tojson(answer) if output == 'json' else lineage_audit._walk_text(answer)) %}
  {% endif %}
{% endmacro %}
