{#- Operation: the lineage of the whole project as a document. See _ask.yml for the arguments and the form of the JSON. -#}
{% macro lineage_map(layer='gold', since=none, output='text') %}
  {% if not execute %}
    {% do return('') %}
  {% endif %}
  {% do lineage_audit._check_output(output) %}
  {% set answer = lineage_audit._lineage_map(lineage_audit._lineage_graph(), layer, since) %}
  {% do print(tojson(answer) if output == 'json' else lineage_audit._lineage_map_text(answer)) %}
{% endmacro %}

{#- The answer as the JSON has it: everything in a fixed order, nothing that differs from one build to the next. -#}
{% macro _lineage_map(lineage, layer, since) %}
  {% set known = lineage.edges %}
  {% set edges = lineage.edges | selectattr('upstream_table') | list %}
  {% do lineage.update({
    'edges': edges, 'below': lineage_audit._edges_by_table(edges, 'downstream'), 'above': lineage_audit._edges_by_table(edges, 'upstream'),
    'columns': lineage_audit._columns_of_graph(lineage), 'order': lineage_audit._names_in_order(lineage)
  }) %}
  {% set shown = lineage_audit._tables_of_layer(lineage, layer) %}
  {% set problems = {} %}
  {% for edge in known if edge.problem %}
    {% set table = lineage_audit._short_name(lineage, edge.downstream_table) %}
    {% do problems.update({table ~ '\n' ~ edge.problem: {'table': table, 'problem': edge.problem}}) %}
  {% endfor %}
  {% do return({
    'schema_version': 1, 'project': project_name, 'layer': layer, 'scopes': lineage_audit._scopes_of_map(lineage), 'source_systems': lineage_audit._systems_of_map(lineage),
    'layers': lineage_audit._layers_of_map(lineage), 'chains': lineage_audit._chains_of_map(lineage, shown), 'consumers': lineage_audit._consumers_of_map(lineage),
    'impact': lineage_audit._impact_of_map(lineage, shown), 'problems': problems.values() | sort(attribute='problem') | sort(attribute='table') | list,
    'changes': lineage_audit._changes_since(lineage, since) if since is not none else none
  }) %}
{% endmacro %}

{#- {table: its columns as they lie}. -#}
{% macro _columns_of_graph(lineage) %}
  {% set columns = {} %}
  {% for row in lineage_audit._json_rows('select table_name, column_name, description\nfrom ' ~ lineage.lineage_node ~ '\nwhere column_name is not null')
      | sort(attribute='column_name') %}
    {% do columns.setdefault(row.table_name, []).append({'name': row.column_name, 'description': row.description}) %}
  {% endfor %}
  {% do return(columns) %}
{% endmacro %}

{#- The tables by the names that people call them, not those of one warehouse. -#}
{% macro _names_in_order(lineage) %}
  {% set named = [] %}
  {% for table in lineage.tables %}
    {% do named.append({'name': lineage_audit._short_name(lineage, table) | lower, 'id': lineage.tables[table].node_id or table, 'table': table}) %}
  {% endfor %}
  {% do return(named | sort(attribute='id') | sort(attribute='name') | map(attribute='table') | list) %}
{% endmacro %}

{#- What dbt's properties say of a table or exposure, whatever package it is of. -#}
{% macro _meta_of_table(lineage, table) %}
  {% set node = lineage_audit._dbt_node(lineage.tables[table].node_id) %}
  {% do return((node.config.get('meta') or node.get('meta') or {}) if node else {}) %}
{% endmacro %}

{% macro _dbt_node(id) %}
  {% do return(graph.nodes.get(id) or graph.sources.get(id) or graph.get('exposures', {}).get(id)) %}
{% endmacro %}

{#- One row per scope, owner, version and classification that meta says of tables; a table about which it says nothing is in none. -#}
{% macro _scopes_of_map(lineage) %}
  {% set scopes = {} %}
  {% for table in lineage.order if lineage.tables[table].kind not in ['external', 'exposure'] %}
    {% set meta = lineage_audit._meta_of_table(lineage, table) %}
    {% if meta.get('scope') %}
      {% set said = [meta.scope, meta.get('owner') or lineage.tables[table].owner or '', meta.get('version') or '', meta.get('classification') or ''] %}
      {% do scopes.setdefault(said | join('\n'), {
        'scope': said[0], 'owner': said[1], 'version': said[2] | string, 'classification': said[3], 'tables': []
      }).tables.append(lineage_audit._short_name(lineage, table)) %}
    {% endif %}
  {% endfor %}
  {% set ordered = [] %}
  {% for key in scopes | sort %}
    {% do ordered.append(scopes[key]) %}
  {% endfor %}
  {% do return(ordered) %}
{% endmacro %}

{#- The datasets outside of dbt, with what stands in `upstream` of the sources' meta; where data come from an API, field_mapping says so. -#}
{% macro _systems_of_map(lineage) %}
  {% set told = {} %}
  {% for table in lineage.order if lineage.tables[table].kind == 'source' %}
    {% set upstream = (lineage_audit._graph_meta(lineage_audit._dbt_node(lineage.tables[table].node_id) or {'config': {}}).get('upstream')) or [] %}
    {% for step in upstream if step is mapping and step.get('namespace') %}
      {% do told.setdefault((step.namespace | string).rstrip('/') ~ '/' ~ step.get('name'), {
        'method': step.get('method'), 'frequency': step.get('frequency')
      }) %}
    {% endfor %}
  {% endfor %}
  {% set systems = [] %}
  {% for table in lineage.order if lineage.tables[table].kind == 'external' and table in lineage.below %}
    {% set feeds = [] %}
    {% for edge in lineage.below[table] %}
      {% do feeds.append(lineage_audit._short_name(lineage, edge.downstream_table)) %}
    {% endfor %}
    {% set said = told.get(table) or {} %}
    {% do systems.append({
      'dataset': table, 'method': said.get('method') or ('API' if table.startswith('api://') else none), 'frequency': said.get('frequency'), 'feeds': feeds | unique | sort
    }) %}
  {% endfor %}
  {% do return(systems) %}
{% endmacro %}

{#- Layers in the order in which data go through them; tables that nothing connects are a list of their own. -#}
{% macro _layers_of_map(lineage) %}
  {% set depths = lineage_audit._table_depths(lineage) %}
  {% set layers = {} %}
  {% for table in lineage.order if lineage.tables[table].kind not in ['external', 'exposure'] %}
    {% set node = lineage.tables[table] %}
    {% set meta = lineage_audit._meta_of_table(lineage, table) %}
    {% set connected = table in lineage.below or table in lineage.above %}
    {% set layer = layers.setdefault((node.layer or '') if connected else '\n', {
      'layer': node.layer if connected else none, 'connected': connected, 'depth': depths.get(table, 0) if connected else lineage.edges | length, 'tables': []
    }) %}
    {% do layer.update({'depth': [layer.depth, depths.get(table, 0)] | min}) if connected %}
    {% do layer.tables.append({
      'name': lineage_audit._short_name(lineage, table), 'kind': node.kind, 'owner': node.owner, 'classification': meta.get('classification'),
      'retention': meta.get('retention'), 'description': (lineage_audit._dbt_node(node.node_id) or {}).get('description')
    }) %}
  {% endfor %}
  {% set keyed = [] %}
  {% for layer in layers.values() %}
    {% do keyed.append({'name': layer.layer or '', 'depth': layer.depth, 'layer': layer}) %}
  {% endfor %}
  {% set ordered = [] %}
  {% for each in keyed | sort(attribute='name') | sort(attribute='depth') %}
    {% do ordered.append({'layer': each.layer.layer, 'connected': each.layer.connected, 'tables': each.layer.tables}) %}
  {% endfor %}
  {% do return(ordered) %}
{% endmacro %}

{#- How many tables lie at most between a table and what it begins with. Where tables depend on each other in a circle, they come last. -#}
{% macro _table_depths(lineage) %}
  {% set parents = {} %}
  {% set children = {} %}
  {% for edge in lineage.edges if edge.downstream_table != edge.upstream_table and lineage.tables.get(edge.upstream_table, {}).get('kind') != 'external' %}
    {% set above = parents.setdefault(edge.downstream_table, {}) %}
    {% if edge.upstream_table not in above %}
      {% do above.update({edge.upstream_table: true}) %}
      {% do children.setdefault(edge.upstream_table, []).append(edge.downstream_table) %}
    {% endif %}
  {% endfor %}
  {% set depths = {} %}
  {% set waits = {} %}
  {% set state = namespace(frontier=[]) %}
  {% for table in lineage.tables %}
    {% do waits.update({table: parents.get(table, {}) | length}) %}
    {% do state.frontier.append(table) if waits[table] == 0 %}
  {% endfor %}
  {% for level in range(lineage.tables | length) if state.frontier %}
    {% set next = [] %}
    {% for table in state.frontier %}
      {% do depths.update({table: level}) %}
      {% for child in children.get(table, []) %}
        {% do waits.update({child: waits.get(child, 0) - 1}) %}
        {% do next.append(child) if waits[child] == 0 %}
      {% endfor %}
    {% endfor %}
    {% set state.frontier = next %}
  {% endfor %}
  {% for table in lineage.tables if table not in depths %}
    {% do depths.update({table: lineage.tables | length}) %}
  {% endfor %}
  {% do return(depths) %}
{% endmacro %}

{#- The tables whose columns are explained: those of the layer; where there is no such layer, those that no other table is made of. -#}
{% macro _tables_of_layer(lineage, layer) %}
  {% set layers = ([layer] if layer is string else layer) | map('lower') | list %}
  {% set found = [] %}
  {% set last = [] %}
  {% for table in lineage.order if lineage.tables[table].kind == 'model' %}
    {% do found.append(table) if (lineage.tables[table].layer or '') | lower in layers %}
    {% set kinds = [] %}
    {% for edge in lineage.below.get(table, []) if edge.downstream_table != table %}
      {% do kinds.append(lineage.tables.get(edge.downstream_table, {}).get('kind')) %}
    {% endfor %}
    {% do last.append(table) if table in lineage.above and kinds | reject('equalto', 'exposure') | list | length == 0 %}
  {% endfor %}
  {% do return(found or last) %}
{% endmacro %}

{#- Of each column of the tables the way up to where it begins, and of each table what decides which rows it has. -#}
{% macro _chains_of_map(lineage, tables) %}
  {% set chains = [] %}
  {% for table in tables %}
    {#- The edges that lie above the table: with them alone a walk is short. -#}
    {% set closure = [] %}
    {% for above in lineage_audit._walk(lineage.edges, [{'table': table, 'column': none}], 'upstream', ways=lineage.above).steps if not above.again %}
      {% do closure.extend(lineage.above.get(above.table, [])) %}
    {% endfor %}
    {% set columns = [] %}
    {% for column in lineage.columns.get(table, []) if not column.name.startswith('_lineage_') %}
      {% set walk = lineage_audit._walk(closure, [{'table': table, 'column': column.name}], 'upstream', indirect=false, ways=lineage.above) %}
      {% set steps = [] %}
      {% for step in walk.steps %}
        {% do steps.append({
          'name': lineage_audit._short_name(lineage, step.table), 'column': step.column, 'kind': lineage.tables.get(step.table, {}).get('kind'), 'depth': step.depth,
          'parent': step.parent, 'again': step.again, 'edges': lineage_audit._steps_of_map(step.edges)
        }) %}
      {% endfor %}
      {% do columns.append({'column': column.name, 'description': column.description, 'steps': steps}) %}
    {% endfor %}
    {% set rows = {} %}
    {% for edge in lineage.above.get(table, []) if edge.downstream_column is none and edge.transformation_type == 'INDIRECT' %}
      {% set row = rows.setdefault((edge.transformation_subtype or '') ~ '\n' ~ (edge.expression or ''), {
        'transformation_subtype': edge.transformation_subtype, 'expression': edge.expression, 'columns': []
      }) %}
      {% do row.columns.append(lineage_audit._short_name(lineage, edge.upstream_table) ~ ('.' ~ edge.upstream_column if edge.upstream_column is not none else '')) %}
    {% endfor %}
    {% set ordered = [] %}
    {% for key in rows | sort %}
      {% do ordered.append(dict(rows[key], columns=rows[key].columns | unique | sort)) %}
    {% endfor %}
    {% do chains.append({'table': lineage_audit._short_name(lineage, table), 'columns': columns, 'rows': ordered}) %}
  {% endfor %}
  {% do return(chains) %}
{% endmacro %}

{% macro _steps_of_map(edges) %}
  {% set shown = {} %}
  {% for edge in edges %}
    {% do shown.update({(edge.transformation_subtype or '') ~ '\n' ~ (edge.expression or '') ~ '\n' ~ (edge.problem or ''): {
      'transformation_subtype': edge.transformation_subtype, 'expression': edge.expression, 'origin': edge.origin, 'problem': edge.problem
    }}) %}
  {% endfor %}
  {% set ordered = [] %}
  {% for key in shown | sort %}
    {% do ordered.append(shown[key]) %}
  {% endfor %}
  {% do return(ordered) %}
{% endmacro %}

{% macro _consumers_of_map(lineage) %}
  {% set consumers = [] %}
  {% for table in lineage.order if lineage.tables[table].kind == 'exposure' %}
    {% set node = lineage_audit._dbt_node(lineage.tables[table].node_id) or {} %}
    {% set owner = node.get('owner') or {} %}
    {% set fields = [] %}
    {% set reads = [] %}
    {% for edge in lineage.above.get(table, []) %}
      {% do fields.append(edge.downstream_column) if edge.downstream_column is not none %}
      {% do reads.append(lineage_audit._short_name(lineage, edge.upstream_table)) %}
    {% endfor %}
    {% do consumers.append({
      'name': lineage.tables[table].name, 'type': node.get('type'), 'owner': owner.get('name'), 'email': owner.get('email'),
      'refresh': lineage_audit._meta_of_table(lineage, table).get('refresh'), 'reads': reads | unique | sort, 'fields': fields | unique | sort
    }) %}
  {% endfor %}
  {% do return(consumers) %}
{% endmacro %}

{#- Of each column of a source or seed: the columns of the shown tables that are made of it, who uses those, and who else is reached through
    joins, filters and the like. -#}
{% macro _impact_of_map(lineage, shown) %}
  {% set sources = [] %}
  {% for table in lineage.order if lineage.tables[table].kind in ['source', 'seed'] and table in lineage.below %}
    {% set columns = [] %}
    {% for column in lineage.columns.get(table, []) %}
      {% set asked = [{'table': table, 'column': column.name}] %}
      {% set made = [] %}
      {% set users = [] %}
      {% for step in lineage_audit._walk(lineage.edges, asked, 'downstream', indirect=false, ways=lineage.below).steps %}
        {% if step.table in shown and step.column is not none and not step.column.startswith('_lineage_') %}
          {% do made.append(lineage_audit._short_name(lineage, step.table) ~ '.' ~ step.column) %}
        {% elif lineage.tables.get(step.table, {}).get('kind') == 'exposure' %}
          {% do users.append(lineage.tables[step.table].name) %}
        {% endif %}
      {% endfor %}
      {% set others = [] %}
      {% for step in lineage_audit._walk(lineage.edges, asked, 'downstream', ways=lineage.below).steps %}
        {% if lineage.tables.get(step.table, {}).get('kind') == 'exposure' and lineage.tables[step.table].name not in users %}
          {% do others.append(lineage.tables[step.table].name) %}
        {% endif %}
      {% endfor %}
      {% do columns.append({
        'column': column.name, 'columns': made | unique | sort, 'consumers': users | unique | sort, 'consumers_by_rows': others | unique | sort
      }) %}
    {% endfor %}
    {% do sources.append({'table': lineage_audit._short_name(lineage, table), 'columns': columns}) %}
  {% endfor %}
  {% do return(sources) %}
{% endmacro %}
