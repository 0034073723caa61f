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

{#- The SQL of an answer that can't be compiled yet, since no run of the table succeeded; none where one did, and in a model
    that is being built, which is told so. -#}
{% macro _waits_for_a_run(target_table) %}
  {% if not execute %}
    {% do return('select 1 as parsed_only') %}
  {% elif lineage_audit._is_running() %}
    {% do return(none) %}
  {% endif %}
  {% set node = lineage_audit._mapped_node(target_table) %}
  {% set target_relation = lineage_audit._relation_text(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)) %}
  {% set events = lineage_audit._store('run_event') %}
  {% if load_relation(events) is not none and run_query(
    'select 1 as found\nfrom ' ~ events ~ "\nwhere event_type = 'SUCCESS' and target_relation = " ~ lineage_audit.text_literal(target_relation) ~ '\nlimit 1'
  ).rows | length > 0 %}
    {% do return(none) %}
  {% endif %}
  {% do return('select\n  1 as not_compiled -- waits for a run of ' ~ target_relation ~ ': build it first\nwhere 1 = 0') %}
{% endmacro %}
