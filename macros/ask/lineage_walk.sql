{#- The way through the lineage graph, downstream or upstream. A step stands at a column, or, where the column is none, at all
    rows of a table: what decides which rows there are reaches every column. -#}

{% macro _asked_walk(direction, table, column, depth, indirect) %}
  {% if not table %}
    {% do exceptions.raise_compiler_error("lineage_audit: name a table, and a column of it or several: --args '{table: raw_orders, column: amount}'.") %}
  {% endif %}
  {% if depth is not none and not modules.re.match('^[1-9][0-9]*$', depth | string) %}
    {% do exceptions.raise_compiler_error("lineage_audit: depth '" ~ depth ~ "' is no number of steps, as 3 is.") %}
  {% endif %}
  {% set lineage = lineage_audit._lineage_graph() %}
  {% set asked = [] %}
  {% set columns = [column] if column is none or column is string else column %}
  {% for name in ([table] if table is string else table) %}
    {% set known = lineage_audit._graph_table(lineage, name) %}
    {% for each in columns %}
      {% do asked.append({'table': known, 'column': none if each is none else lineage_audit._graph_column(lineage, known, each)}) %}
    {% endfor %}
  {% endfor %}
  {% set walk = lineage_audit._walk(lineage.edges, asked, direction, depth | int if depth is not none else none, (indirect | string | lower) == 'true') %}
  {% do return(lineage_audit._walk_answer(lineage, asked, direction, depth, walk)) %}
{% endmacro %}

{#- {steps: [{table, column, depth, parent: the step before it, by its place, again: is it walked on from elsewhere, edges}],
    is_cut: is there more beyond the depth, left_out: indirect edges that were not followed}. Breadth first, so that every step
    has its least depth; no step is walked on from twice, so that cycles end. Who walks often gives the edges by table (ways) too. -#}
{% macro _walk(edges, asked, direction, depth=none, indirect=true, ways=none) %}
  {% set ways = lineage_audit._edges_by_table(edges, direction) if ways is none else ways %}
  {% set steps = [] %}
  {% set seen = {} %}
  {% set state = namespace(frontier=[], is_cut=false, left_out=0) %}
  {% for each in asked if lineage_audit._place(each.table, each.column) not in seen %}
    {% do seen.update({lineage_audit._place(each.table, each.column): true}) %}
    {% do state.frontier.append(steps | length) %}
    {% do steps.append({'table': each.table, 'column': each.column, 'depth': 0, 'parent': none, 'again': false, 'edges': []}) %}
  {% endfor %}
  {% for level in range(1, edges | length + 2) if state.frontier %}
    {% set next = [] %}
    {% for place in state.frontier %}
      {% set onward = lineage_audit._onward(ways.get(steps[place].table, []), steps[place], direction, indirect) %}
      {% set state.left_out = state.left_out + onward.left_out %}
      {% for key, step in onward.steps.items() %}
        {% if depth is not none and level > depth %}
          {% set state.is_cut = true %}
        {% else %}
          {% do step.update({'depth': level, 'parent': place, 'again': key in seen}) %}
          {% if key not in seen %}
            {% do seen.update({key: true}) %}
            {% do next.append(steps | length) %}
          {% endif %}
          {% do steps.append(step) %}
        {% endif %}
      {% endfor %}
    {% endfor %}
    {% set state.frontier = next %}
  {% endfor %}
  {% do return({'steps': steps, 'is_cut': state.is_cut, 'left_out': state.left_out}) %}
{% endmacro %}

{% macro _place(table, column) %}
  {% do return(table ~ '\n' ~ (column or '')) %}
{% endmacro %}

{#- {table: the edges that lead on from it}. -#}
{% macro _edges_by_table(edges, direction) %}
  {% set ways = {} %}
  {% set here = 'upstream_table' if direction == 'downstream' else 'downstream_table' %}
  {% for edge in edges if edge.upstream_table is not none %}
    {% do ways.setdefault(edge[here], []).append(edge) %}
  {% endfor %}
  {% do return(ways) %}
{% endmacro %}

{#- {steps: {place: step} that follow one step, in the order of their names, left_out: indirect edges that are not followed}. -#}
{% macro _onward(edges, step, direction, indirect) %}
  {% set here = 'upstream_column' if direction == 'downstream' else 'downstream_column' %}
  {% set there = 'downstream' if direction == 'downstream' else 'upstream' %}
  {% set found = {} %}
  {% set state = namespace(left_out=0) %}
  {% for edge in edges %}
    {#- All rows of a table are all that is made of it; a column, where only the table is known, may be part of it. -#}
    {% set whole = step.column is none %}
    {% set unknown = edge[here] is none and (edge.origin == 'declared' or edge.problem is not none) %}
    {% set rows_alone = edge[here] is none and not unknown %}
    {% set follows = whole or edge[here] == step.column or unknown or (rows_alone and direction == 'upstream') %}
    {% if follows and not whole and edge.transformation_type == 'INDIRECT' and not indirect %}
      {% set state.left_out = state.left_out + 1 %}
    {% elif follows %}
      {% set column = none if whole else edge[there ~ '_column'] %}
      {% set key = lineage_audit._place(edge[there ~ '_table'], column) %}
      {% if key not in found %}
        {% do found.update({key: {'table': edge[there ~ '_table'], 'column': column, 'edges': []}}) %}
      {% endif %}
      {% do found[key].edges.append(edge) if not whole %}
    {% endif %}
  {% endfor %}
  {% set ordered = {} %}
  {% for key in found | sort %}
    {% do ordered.update({key: found[key]}) %}
  {% endfor %}
  {% do return({'steps': ordered, 'left_out': state.left_out}) %}
{% endmacro %}

{#- The walk as the JSON has it, with what the graph knows of each table. -#}
{% macro _walk_answer(lineage, asked, direction, depth, walk) %}
  {% set steps = [] %}
  {% set ends = {} %}
  {% set tables = [] %}
  {% set columns = [] %}
  {% for step in walk.steps %}
    {% set node = lineage.tables.get(step.table) or {} %}
    {% do steps.append({
      'table': step.table, 'column': step.column, 'name': lineage_audit._short_name(lineage, step.table), 'kind': node.get('kind'), 'layer': node.get('layer'),
      'owner': node.get('owner'), 'depth': step.depth, 'parent': step.parent, 'again': step.again, 'edges': lineage_audit._shown_edges(step.edges)
    }) %}
    {% if step.depth > 0 and node.get('kind') in (['exposure'] if direction == 'downstream' else ['external', 'source', 'seed']) %}
      {% set end = ends.setdefault(step.table, {
        'table': step.table, 'name': lineage_audit._short_name(lineage, step.table), 'kind': node.kind, 'layer': node.layer, 'owner': node.owner, 'columns': []
      }) %}
      {% do end.columns.append(step.column) if step.column is not none and step.column not in end.columns %}
    {% elif step.depth > 0 and step.table not in tables %}
      {% do tables.append(step.table) %}
    {% endif %}
  {% endfor %}
  {% do return({
    'schema_version': 1, 'direction': direction, 'asked': asked, 'depth': depth, 'is_cut': walk.is_cut, 'indirect_edges_left_out': walk.left_out, 'steps': steps,
    'consumers' if direction == 'downstream' else 'origins': ends.values() | list, 'tables_between': tables
  }) %}
{% endmacro %}

{% macro _shown_edges(edges) %}
  {% set shown = [] %}
  {% for edge in edges | sort(attribute='transformation_subtype') %}
    {% do shown.append({
      'upstream_table': edge.upstream_table, 'upstream_column': edge.upstream_column, 'downstream_table': edge.downstream_table, 'downstream_column': edge.downstream_column,
      'transformation_type': edge.transformation_type, 'transformation_subtype': edge.transformation_subtype, 'expression': edge.expression, 'origin': edge.origin, 'problem': edge.problem
    }) %}
  {% endfor %}
  {% do return(shown) %}
{% endmacro %}
