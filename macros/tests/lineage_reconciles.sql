{% test lineage_reconciles(model, findings=['declared_not_observed', 'observed_not_declared', 'not_delivered', 'not_read', 'no_lineage']) -%}
{{ lineage_audit._lineage_reconciles_test(model, findings) }}
{%- endtest %}

{% macro _lineage_reconciles_test(rows, findings) %}
  {% if lineage_audit._has_graph() %}
    {% do return(lineage_audit._lineage_findings_sql(ref('lineage_audit', 'lineage_reconciliation'), lineage_audit._tested_relation(rows), findings, none, none)) %}
  {% elif execute and lineage_audit._is_testing() %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: test lineage_reconciles needs the lineage graph, and there is none: '
      ~ ("on target '" ~ target.name ~ "' dbt-spark runs no Python models." if target.type == 'spark' else 'the var lineage_audit_graph is false. Set it to true in dbt_project.yml.')
    ) %}
  {% endif %}
  {% do return('select 1 as no_graph\nwhere 1 = 0') %}
{% endmacro %}

{#- The table that the test stands at, as the graph names it. With a `where` dbt gives a subquery in its place. -#}
{% macro _tested_relation(rows) %}
  {% if rows is not string %}
    {% do return(lineage_audit._relation_text(rows)) %}
  {% endif %}
  {% for id in (model.depends_on.nodes if execute else []) if not id.startswith('model.lineage_audit.lineage_') %}
    {% set node = graph.nodes.get(id) or graph.sources.get(id) %}
    {% do return(lineage_audit._relation_text(api.Relation.create(database=node.database, schema=node.schema, identifier=node.get('alias') or node.identifier))) %}
  {% endfor %}
  {% do return('') %}
{% endmacro %}
