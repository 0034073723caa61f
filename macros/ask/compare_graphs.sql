{#- Two lineage graphs beside each other, say that of a branch's build and production's. -#}

{#- {appeared, vanished: edges, consumers: exposures downstream of them}. Tables bear other names in each; dbt's ids are the same. -#}
{% macro _compared_graphs(schema) %}
  {% set ours = lineage_audit._lineage_graph() %}
  {% set theirs = lineage_audit._lineage_graph(schema) %}
  {% set mine = lineage_audit._edges_by_id(ours) %}
  {% set others = lineage_audit._edges_by_id(theirs) %}
  {% set answer = {'schema_version': 1, 'compared_with': theirs.lineage_node.without_identifier() | string, 'appeared': [], 'vanished': []} %}
  {% set consumers = {} %}
  {% for side in [
    {'key': 'appeared', 'lineage': ours, 'has': mine, 'lacks': others}, {'key': 'vanished', 'lineage': theirs, 'has': others, 'lacks': mine}
  ] %}
    {% set asked = [] %}
    {% for key in side.has | sort if key not in side.lacks %}
      {% do answer[side.key].append(side.has[key].shown) %}
      {% set edge = side.has[key].edge %}
      {% do asked.append({'table': edge.downstream_table, 'column': edge.downstream_column}) %}
    {% endfor %}
    {% for step in lineage_audit._walk(side.lineage.edges, asked, 'downstream').steps if asked %}
      {% set node = side.lineage.tables.get(step.table) or {} %}
      {% if node.get('kind') == 'exposure' %}
        {% do consumers.update({step.table: {'table': step.table, 'name': node.name, 'layer': node.layer, 'owner': node.owner}}) %}
      {% endif %}
    {% endfor %}
  {% endfor %}
  {% set ordered = [] %}
  {% for table in consumers | sort %}
    {% do ordered.append(consumers[table]) %}
  {% endfor %}
  {% do return(dict(answer, consumers=ordered)) %}
{% endmacro %}

{#- {what an edge is the same by: {shown, edge}}. -#}
{% macro _edges_by_id(lineage) %}
  {% set keyed = {} %}
  {% for edge in lineage.edges if edge.upstream_table is not none %}
    {% set shown = {
      'upstream': lineage_audit._graph_id(lineage, edge.upstream_table), 'upstream_column': edge.upstream_column,
      'downstream': lineage_audit._graph_id(lineage, edge.downstream_table), 'downstream_column': edge.downstream_column,
      'transformation_type': edge.transformation_type, 'transformation_subtype': edge.transformation_subtype, 'expression': edge.expression
    } %}
    {#- An expression may name schemas: it is compared without them. -#}
    {% set key = [
      shown.downstream, shown.downstream_column or '', shown.upstream, shown.upstream_column or '', shown.transformation_subtype or '',
      modules.re.sub('[^ (]+\\.', '', shown.expression or '')
    ] | join('\n') %}
    {% do keyed.update({key: {'shown': shown, 'edge': edge}}) %}
  {% endfor %}
  {% do return(keyed) %}
{% endmacro %}

{% macro _graph_id(lineage, table) %}
  {% set node = lineage.tables.get(table) or {} %}
  {% do return(node.get('node_id') or table) %}
{% endmacro %}

{% macro _compared_graphs_text(answer) %}
  {% set heading = 'Column lineage compared with ' ~ answer.compared_with ~ ': ' %}
  {% if not answer.appeared and not answer.vanished %}
    {% do return(heading ~ 'the same') %}
  {% endif %}
  {% set lines = [heading ~ lineage_audit._counted(answer.appeared | length, 'edge') ~ ' appeared, ' ~ lineage_audit._counted(answer.vanished | length, 'edge') ~ ' vanished'] %}
  {% set rows = [] %}
  {% for side in [{'mark': '+', 'edges': answer.appeared}, {'mark': '-', 'edges': answer.vanished}] %}
    {% for edge in side.edges %}
      {% do rows.append([
        side.mark ~ ' ' ~ lineage_audit._id_name(edge.downstream) ~ ('.' ~ edge.downstream_column if edge.downstream_column is not none else ' (every row)'),
        '<- ' ~ lineage_audit._id_name(edge.upstream) ~ ('.' ~ edge.upstream_column if edge.upstream_column is not none else ' (rows)'),
        edge.transformation_subtype | lower if edge.transformation_subtype else '', lineage_audit._shortened(edge.expression or '')
      ]) %}
    {% endfor %}
  {% endfor %}
  {% do lines.extend(lineage_audit._aligned(rows)) %}
  {% set consumers = [] %}
  {% for each in answer.consumers %}
    {% do consumers.append([each.name, each.layer, each.owner or '']) %}
  {% endfor %}
  {% do lines.append('\nDownstream of them: ' ~ lineage_audit._counted(consumers | length, 'consumer')) %}
  {% if consumers %}
    {% do lines.append(lineage_audit._table_text(['consumer', 'kind', 'owner'], consumers)) %}
  {% endif %}
  {% do return(lines | join('\n')) %}
{% endmacro %}

{#- The name at the end of one of dbt's ids; a dataset outside of dbt has none. -#}
{% macro _id_name(id) %}
  {% do return(id.split('.')[2:] | join('.') if modules.re.match('^(model|source|seed|snapshot|exposure)\\.', id) else id) %}
{% endmacro %}
