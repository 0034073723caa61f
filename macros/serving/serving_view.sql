{#- The accepted rows of a mapped model without its lineage columns, for the API. -#}
{% macro serving_view(source) %}
  {% set lineage_columns = ['_lineage_run_id', '_lineage_invocation_id', '_lineage_warnings', '_lineage_source_values'] %}
  {% if not execute or not lineage_audit._keeps_refused(source) %}
    {% do return('select ' ~ lineage_audit.all_columns_except(lineage_columns) ~ '\nfrom ' ~ source) %}
  {% endif %}
  {% do return(
    'select ' ~ lineage_audit.all_columns_except(lineage_columns + ['_lineage_failed_rules']) ~ '\nfrom ' ~ source ~ '\n'
    ~ lineage_audit._where([lineage_audit._is_accepted()], '')
  ) %}
{% endmacro %}

{#- Does a table hold refused records? It is looked at itself, since it may have been built before its model was changed. -#}
{% macro _keeps_refused(source) %}
  {% set built = lineage_audit._relation_as_built(source) %}
  {% if not lineage_audit._is_fixture(source) and load_relation(built) is not none %}
    {% do return(lineage_audit._find_column(lineage_audit.columns_of(built), '_lineage_failed_rules') is not none) %}
  {% endif %}
  {% set name = (source.identifier or '').replace('__dbt__cte__', '') %}
  {% for node in graph.nodes.values() %}
    {% set registered = (node.config.get('meta') or {}).get('lineage_audit') or {} %}
    {% if registered.get('rejected') == 'keep' and node.alias == name %}
      {% do return(true) %}
    {% endif %}
  {% endfor %}
  {% do return(false) %}
{% endmacro %}
