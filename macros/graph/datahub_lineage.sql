{#- Operation: prints the column lineage of the project's models as a file of DataHub's own form, a JSON array of change proposals. -#}
{% macro datahub_lineage(env='PROD') %}
  {% if not execute %}
    {% do return('') %}
  {% endif %}
  {% set proposals = [] %}
  {% for proposal in lineage_audit._datahub_proposals(lineage_audit._lineage_graph(), target.type, env) %}
    {% do proposals.append(tojson(proposal)) %}
  {% endfor %}
  {% do print('[\n' ~ proposals | join(',\n') ~ '\n]') %}
{% endmacro %}

{#- The aspect upstreamLineage of each model with edges of columns: whole, since it takes the place of the one that DataHub's dbt source wrote. -#}
{% macro _datahub_proposals(lineage, platform, env) %}
  {% set tables = {} %}
  {% for table, node in lineage.tables.items() if node.kind in ['source', 'seed', 'model'] %}
    {#- The dbt source has models read its own entity of a source, and the warehouse's of everything else. -#}
    {% do tables.update({table: lineage_audit._datahub_dataset('dbt' if node.kind == 'source' else platform, table, env)}) %}
  {% endfor %}
  {% set proposals = [] %}
  {% for table, edges in lineage_audit._edges_by_table(lineage.edges, 'upstream') | dictsort if lineage.tables.get(table, {}).get('kind') == 'model' %}
    {% set urn = lineage_audit._datahub_dataset('dbt', table, env) %}
    {% set columns = lineage_audit._datahub_columns(urn, edges, tables) %}
    {% if columns %}
      {% set upstreams = lineage_audit._datahub_parents(lineage.tables[table].node_id, platform, env) %}
      {% for edge in edges if edge.upstream_table in tables and edge.upstream_table != table %}
        {% do upstreams.append(tables[edge.upstream_table]) %}
      {% endfor %}
      {% set read = [] %}
      {% for upstream in upstreams | unique | sort %}
        {% do read.append({'dataset': upstream, 'type': 'TRANSFORMED'}) %}
      {% endfor %}
      {% do proposals.append({
        'entityType': 'dataset', 'entityUrn': urn, 'changeType': 'UPSERT', 'aspectName': 'upstreamLineage',
        'aspect': {'json': {'upstreams': read, 'fineGrainedLineages': columns}}
      }) %}
    {% endif %}
  {% endfor %}
  {% do return(proposals) %}
{% endmacro %}

{#- What a column is made of: an entry for each expression, with every column in it. A count of rows is made of the table. -#}
{% macro _datahub_columns(urn, edges, tables) %}
  {% set entries = {} %}
  {% for edge in edges if edge.downstream_column is not none and edge.upstream_table in tables and edge.transformation_type %}
    {% set rows = edge.upstream_column is none %}
    {% set operation = lineage_audit._datahub_operation(edge) %}
    {% set entry = entries.setdefault(tojson([edge.downstream_column, rows, operation]), {
      'upstreamType': 'DATASET' if rows else 'FIELD_SET', 'upstreams': [], 'downstreamType': 'FIELD',
      'downstreams': [lineage_audit._datahub_field(urn, edge.downstream_column)], 'transformOperation': operation, 'confidenceScore': 1.0
    }) %}
    {% set upstream = tables[edge.upstream_table] if rows else lineage_audit._datahub_field(tables[edge.upstream_table], edge.upstream_column) %}
    {% do entry.upstreams.append(upstream) if upstream not in entry.upstreams %}
  {% endfor %}
  {% set ordered = [] %}
  {% for key, entry in entries | dictsort(case_sensitive=true) %}
    {% do ordered.append(dict(entry, upstreams=entry.upstreams | sort)) %}
  {% endfor %}
  {% do return(ordered) %}
{% endmacro %}

{#- One text: DataHub has no fields of its own for the kind of a transformation, nor for masking. -#}
{% macro _datahub_operation(edge) %}
  {% do return(edge.transformation_subtype ~ (' (masking)' if edge.masking else '') ~ (': ' ~ edge.expression if edge.expression is not none else '')) %}
{% endmacro %}

{#- What dbt says that a node reads, as the dbt source names it: a model without a table of its own has dbt's entity alone. -#}
{% macro _datahub_parents(node_id, platform, env) %}
  {% set urns = [] %}
  {% for id in (lineage_audit._dbt_node(node_id) or {}).get('depends_on', {}).get('nodes', []) if lineage_audit._dbt_node(id) %}
    {% set node = lineage_audit._dbt_node(id) %}
    {% set is_table = node.resource_type != 'source' and node.config.get('materialized') != 'ephemeral' %}
    {% set relation = api.Relation.create(database=node.database, schema=node.schema, identifier=node.get('identifier') or node.alias) %}
    {% do urns.append(lineage_audit._datahub_dataset(platform if is_table else 'dbt', lineage_audit._relation_text(relation), env)) %}
  {% endfor %}
  {% do return(urns) %}
{% endmacro %}

{% macro _datahub_dataset(platform, table, env) %}
  {% do return('urn:li:dataset:(urn:li:dataPlatform:' ~ platform ~ ',' ~ lineage_audit._in_urn(table) ~ ',' ~ env ~ ')') %}
{% endmacro %}

{% macro _datahub_field(dataset, column) %}
  {% do return('urn:li:schemaField:(' ~ dataset ~ ',' ~ lineage_audit._in_urn(column) ~ ')') %}
{% endmacro %}

{#- A name within a URN, as datahub.utilities.urn_encoder writes it. -#}
{% macro _in_urn(name) %}
  {% do return(name.replace(',', '%2C').replace('(', '%28').replace(')', '%29')) %}
{% endmacro %}
