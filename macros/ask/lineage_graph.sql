{#- The lineage graph as operations read it. -#}

{#- {tables: {table: {name, kind, layer, owner}}, edges: [{upstream_table, …}]} of the store in a schema; default, this project's.
    The edges come by one statement, those into one table as one text: a row each would take dbt many times as long. -#}
{% macro _lineage_graph(schema=none) %}
  {% set relations = lineage_audit._graph_relations(schema) %}
  {% set tables = {} %}
  {% for row in lineage_audit._json_rows(
    'select\n  table_name,\n  kind,\n  layer,\n  owner,\n  name,\n  node_id\nfrom ' ~ relations.lineage_node ~ '\nwhere column_name is null'
  ) | sort(attribute='table_name') %}
    {% do tables.update({row.table_name: row}) %}
  {% endfor %}
  {% set edges = [] %}
  {% for row in run_query(lineage_audit._edges_sql(relations.lineage_edge)).rows %}
    {% do edges.extend(fromjson(row[0])) %}
  {% endfor %}
  {% do return({'tables': tables, 'edges': edges, 'lineage_node': relations.lineage_node}) %}
{% endmacro %}

{% macro _edges_sql(lineage_edge) %}
  {% do return(
    'select ' ~ lineage_audit.json_array_of_rows('edge') ~ ' as edges\nfrom (\n  select\n    upstream_table,\n    upstream_column,\n    downstream_table,\n    downstream_column,\n'
    ~ '    transformation_type,\n    transformation_subtype,\n    expression,\n    masking,\n    origin,\n    problem\n  from ' ~ lineage_edge ~ '\n) as edge\ngroup by edge.downstream_table\norder by edge.downstream_table'
  ) %}
{% endmacro %}

{#- The tables of the graph; says what to do where there are none. -#}
{% macro _graph_relations(schema=none) %}
  {% if target.type == 'spark' %}
    {% do exceptions.raise_compiler_error(
      "lineage_audit: there is no lineage graph on target '" ~ target.name ~ "': Python models make it, and dbt-spark runs none. Ask on a target of type duckdb or databricks."
    ) %}
  {% elif not lineage_audit._has_graph() %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: there is no lineage graph, since the var lineage_audit_graph is false. Set it to true in dbt_project.yml, then run dbt build and dbt run --select lineage_audit.graph.'
    ) %}
  {% endif %}
  {% set relations = {} %}
  {% for name in ['lineage_edge', 'lineage_node'] %}
    {% set node = graph.nodes.get('model.lineage_audit.' ~ name) %}
    {% if not node %}
      {% do exceptions.raise_compiler_error('lineage_audit: the package model ' ~ name ~ ' is disabled, which holds the lineage graph. Enable it again.') %}
    {% endif %}
    {% set relation = load_relation(api.Relation.create(database=node.database, schema=schema or node.schema, identifier=node.alias)) %}
    {% if relation is none %}
      {% do exceptions.raise_compiler_error(
        'lineage_audit: the lineage graph is not in ' ~ api.Relation.create(database=node.database, schema=schema or node.schema)
        ~ ' yet: there is no ' ~ node.alias ~ '. Build the project, then the graph: dbt build, dbt run --select lineage_audit.graph.'
      ) %}
    {% endif %}
    {% do relations.update({name: relation}) %}
  {% endfor %}
  {% do return(relations) %}
{% endmacro %}

{#- The table that is meant by the name of a model, source, seed or exposure, or by as much of the relation's as tells it. The name
    in dbt goes before the last part of a relation's; outside of dbt the last part alone says nothing. -#}
{% macro _graph_table(lineage, asked) %}
  {% set wanted = asked | string | lower %}
  {% set found = {} %}
  {% set names = [] %}
  {% for table, node in lineage.tables.items() %}
    {% set parts = (table | lower).split('.') %}
    {% set known = [table | lower, node.name | lower, parts[-2:] | join('.'), parts[-1] if node.kind != 'external' else table | lower] %}
    {% for each in known %}
      {% do found.setdefault(loop.index, []).append(table) if each == wanted %}
    {% endfor %}
    {% do names.append(lineage_audit._short_name(lineage, table)) %}
  {% endfor %}
  {% set best = found[found | list | min] if found else [] %}
  {% if best | length == 1 %}
    {% do return(best[0]) %}
  {% elif best %}
    {% do exceptions.raise_compiler_error("lineage_audit: '" ~ asked ~ "' can be several tables: " ~ best | join(', ') ~ '. Write more of the name.') %}
  {% endif %}
  {% do exceptions.raise_compiler_error(
    "lineage_audit: the lineage graph has no table or exposure '" ~ asked ~ "'. "
    ~ lineage_audit._did_you_mean(asked | string, names | unique | list, 'It has ' ~ names | length ~ '; dbt run --select lineage_audit.graph brings it up to date.')
  ) %}
{% endmacro %}

{#- What people call a table: the name of the model or source, the label of an exposure. -#}
{% macro _short_name(lineage, table) %}
  {% set node = lineage.tables.get(table) %}
  {% do return(node.name.split('.')[-1] if node and node.kind == 'source' else (node.name if node else table)) %}
{% endmacro %}

{#- The column as the graph spells it. -#}
{% macro _graph_column(lineage, table, asked) %}
  {% set names = [] %}
  {% for row in lineage_audit._json_rows(
    'select column_name\nfrom ' ~ lineage.lineage_node ~ '\nwhere column_name is not null and table_name = ' ~ lineage_audit.text_literal(table)
  ) | sort(attribute='column_name') %}
    {% if (row.column_name | lower) == (asked | string | lower) %}
      {% do return(row.column_name) %}
    {% endif %}
    {% do names.append(row.column_name) %}
  {% endfor %}
  {% do exceptions.raise_compiler_error(
    'lineage_audit: ' ~ table ~ " has no column '" ~ asked ~ "'. "
    ~ lineage_audit._did_you_mean(asked | string, names, 'It has: ' ~ (names | join(', ') or 'none that the graph knows') ~ '.')
  ) %}
{% endmacro %}
