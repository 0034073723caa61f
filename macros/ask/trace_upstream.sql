{#- How `trace` goes on upstream: from a cell along the direct edges of the lineage graph, with the rows of each table that the
    cell is made of, found by a query that lineage_row's keys and filters give. -#}

{#- The graph where it is there and holds the rows; else none. -#}
{% macro _graph_for_trace() %}
  {% if not lineage_audit._has_graph() %}
    {% do return(none) %}
  {% endif %}
  {% set relations = {} %}
  {% for name in ['lineage_edge', 'lineage_node', 'lineage_row', 'current_model_version'] %}
    {% set node = graph.nodes.get('model.lineage_audit.' ~ name) %}
    {% set relation = load_relation(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)) if node else none %}
    {% if relation is none %}
      {% do return(none) %}
    {% endif %}
    {% do relations.update({name: relation}) %}
  {% endfor %}
  {% do return(dict(lineage_audit._lineage_graph(), lineage_row=relations.lineage_row, current_model_version=relations.current_model_version)) %}
{% endmacro %}

{#- {table: [columns in lower case]} whose values are not shown: those that a mapping marks, or of which an earlier version of the
    package noted no mark, their source columns, what these are made of and what is made of them. A column that is none: all of the
    table. -#}
{% macro _marked_columns(lineage) %}
  {% set places = [] %}
  {% for row in lineage_audit._json_rows(
    'select\n  target_relation,\n  mapping_json\nfrom ' ~ lineage.current_model_version ~ '\nwhere mapping_json is not null'
  ) %}
    {% set mapping = fromjson(row.mapping_json) %}
    {% for column in mapping.columns if column.get('sensitivity') != 'none' %}
      {% do places.append({'table': row.target_relation, 'column': column.target_column}) %}
      {% for name in column.source_columns %}
        {% do places.append({'table': mapping.source_relation, 'column': name}) %}
      {% endfor %}
    {% endfor %}
  {% endfor %}
  {% set marked = {} %}
  {% for direction in ['upstream', 'downstream'] %}
    {% for step in lineage_audit._walk(lineage.edges, places, direction, indirect=false).steps %}
      {% set columns = marked.setdefault(step.table, []) %}
      {% set column = step.column | lower if step.column is not none else none %}
      {% do columns.append(column) if column not in columns %}
    {% endfor %}
  {% endfor %}
  {% do return(marked) %}
{% endmacro %}

{% macro _is_marked(marked, table, column) %}
  {% set columns = marked.get(table, []) %}
  {% do return(none in columns or (column is not none and (column | lower) in columns)) %}
{% endmacro %}

{#- The steps upstream of a cell, nearest first. key: {column: text}; marked: as _marked_columns gives them. -#}
{% macro _upstream_steps(lineage, table, column, key, marked, is_mapped=false) %}
  {% set ways = lineage_audit._edges_by_table(lineage.edges, 'upstream') %}
  {% set state = namespace(is_hidden=false, frontier=[]) %}
  {% for name in key.keys() | list + [column] if lineage_audit._is_marked(marked, table, name) %}
    {% set state.is_hidden = true %}
  {% endfor %}
  {% set cell = lineage_audit._asked_rows(lineage, table, none if state.is_hidden else column, key) %}
  {% do cell.update({'column': column, 'is_hidden': state.is_hidden, 'is_marked': false}) %}
  {#- Which source rows a mapped row is made of its key says; the conditions that refuse the others are long. -#}
  {% do cell.update({'is_mapped': is_mapped}) %}
  {% set state.frontier = [cell] %}
  {% set seen = [lineage_audit._place(table, column)] %}
  {% set steps = [] %}
  {% for level in range(1, lineage.edges | length + 2) if state.frontier %}
    {% set next = [] %}
    {% for below in state.frontier %}
      {% set readings = lineage_audit._readings_of(lineage, below.table) %}
      {% for way in lineage_audit._ways_up(ways, below, readings) %}
        {% if lineage_audit._place(way.table, way.column) not in seen and way.table != below.table %}
          {% do seen.append(lineage_audit._place(way.table, way.column)) %}
          {% for reading in lineage_audit._fitting_readings(readings, way.table, below.column) or [none] %}
            {% set step = lineage_audit._rows_step(lineage, below, way, reading, marked) %}
            {% do steps.append(step) %}
            {% do next.append(step) %}
          {% endfor %}
        {% endif %}
      {% endfor %}
    {% endfor %}
    {% set state.frontier = next %}
  {% endfor %}
  {% do return(steps) %}
{% endmacro %}

{#- The tables and columns that follow one step: by direct edges; where no column is counted on (`count(*)`), the tables whose rows are. -#}
{% macro _ways_up(ways, below, readings) %}
  {% set found = lineage_audit._onward(ways.get(below.table, []), below, 'upstream', false).steps.values() | list %}
  {% if below.column is not none %}
    {% for reading in readings if (below.column | lower) in reading.expressions and reading.upstream_table not in found | map(attribute='table') %}
      {% do found.append({'table': reading.upstream_table, 'column': none, 'edges': []}) %}
    {% endfor %}
  {% endif %}
  {% do return(found) %}
{% endmacro %}

{#- What lineage_row says of a table, {upstream_table, keys, filters, expressions, problem}. -#}
{% macro _readings_of(lineage, table) %}
  {% set known = lineage.setdefault('readings', {}) %}
  {% if table not in known %}
    {% set readings = [] %}
    {% for row in lineage_audit._json_rows(
      'select\n  upstream_table,\n  reading,\n  keys_json,\n  filters_json,\n  expressions_json,\n  problem\nfrom ' ~ lineage.lineage_row ~ '\nwhere downstream_table = ' ~ lineage_audit.text_literal(table)
    ) | sort(attribute='reading') %}
      {% do readings.append({
        'upstream_table': row.upstream_table, 'keys': fromjson(row.keys_json), 'filters': fromjson(row.filters_json), 'expressions': fromjson(row.expressions_json), 'problem': row.problem
      }) %}
    {% endfor %}
    {% do known.update({table: readings}) %}
  {% endif %}
  {% do return(known[table]) %}
{% endmacro %}

{#- The places where a table is read; of several, those that the column is computed by. -#}
{% macro _fitting_readings(readings, table, column) %}
  {% set all = readings | selectattr('upstream_table', 'equalto', table) | list %}
  {% set of_column = [] %}
  {% for reading in all if column is not none and (column | lower) in reading.expressions %}
    {% do of_column.append(reading) %}
  {% endfor %}
  {% do return(of_column or all) %}
{% endmacro %}

{#- The relation behind a table of the graph; none outside of dbt, or where it is not built. -#}
{% macro _relation_of_table(lineage, table) %}
  {% set id = (lineage.tables.get(table) or {}).get('node_id') or '' %}
  {% set node = graph.nodes.get(id) or graph.sources.get(id) %}
  {% if not node %}
    {% do return(none) %}
  {% endif %}
  {% do return(load_relation(api.Relation.create(database=node.database, schema=node.schema, identifier=node.get('alias') or node.identifier))) %}
{% endmacro %}

{#- {column in lower case: {name, quoted, type}}. -#}
{% macro _columns_by_name(relation) %}
  {% set columns = {} %}
  {% for column in lineage_audit.columns_of(relation) %}
    {% do columns.update({column.name | lower: {'name': column.name, 'quoted': lineage_audit.quote_name(column.name), 'type': column.type}}) %}
  {% endfor %}
  {% do return(columns) %}
{% endmacro %}

{#- The rows that the question names, as a step has them. -#}
{% macro _asked_rows(lineage, table, column, key) %}
  {% set relation = lineage_audit._relation_of_table(lineage, table) %}
  {% if relation is none %}
    {% do return({'table': table, 'column': column, 'is_asked': true, 'depth': 0, 'relation': none, 'known': {}, 'conditions': [], 'filters': [], 'columns': {}, 'row_count': none}) %}
  {% endif %}
  {% set columns = lineage_audit._columns_by_name(relation) %}
  {% set known = {} %}
  {% set conditions = [] %}
  {% for name, text in key.items() if (name | lower) in columns %}
    {% set each = columns[name | lower] %}
    {% set literal = none if text is none else lineage_audit.value_of(lineage_audit.text_literal(text), each.type) %}
    {% do known.update({name | lower: literal}) %}
    {% do conditions.append(lineage_audit._equals(each.quoted, literal)) %}
  {% endfor %}
  {% set rows = {'table': table, 'column': column, 'is_asked': true, 'depth': 0, 'relation': relation, 'known': known, 'conditions': conditions, 'filters': [], 'columns': columns} %}
  {% do rows.update(lineage_audit._measured(rows, none, none)) %}
  {% do return(rows) %}
{% endmacro %}

{% macro _equals(expression, literal) %}
  {% do return(expression ~ (' is null' if literal is none else ' = ' ~ literal)) %}
{% endmacro %}

{#- One table further up: which of its rows, how many, what their values give, and why no more is known. -#}
{% macro _rows_step(lineage, below, way, reading, marked) %}
  {% set node = lineage.tables.get(way.table) or {} %}
  {% set expressions = way.edges | map(attribute='expression') | select | unique | list %}
  {% set step = {
    'table': way.table, 'name': lineage_audit._short_name(lineage, way.table), 'column': way.column, 'kind': node.get('kind') or 'external', 'depth': below.depth + 1, 'downstream_table': below.table,
    'downstream_column': below.column, 'expression': expressions | join('; ') or none, 'relation': none, 'known': {}, 'conditions': [], 'filters': [], 'columns': {},
    'query': none, 'row_count': none, 'column_sum': none, 'column_value': none, 'proof': none, 'rows': [], 'is_hidden': below.is_hidden,
    'is_marked': lineage_audit._is_marked(marked, way.table, way.column), 'not_followed': none
  } %}
  {% if step.kind in ['external', 'exposure'] %}
    {% do return(step) %}
  {% endif %}
  {% set relation = lineage_audit._relation_of_table(lineage, way.table) %}
  {% if step.is_hidden %}
    {% do step.update({'not_followed': 'the column or the key that is traced is marked mask or hash, or made of such: no rows are looked up'}) %}
  {% elif relation is none %}
    {% do step.update({'not_followed': 'the table is not in the warehouse'}) %}
  {% elif below.relation is none or below.row_count is none %}
    {% do step.update({'not_followed': 'which rows of ' ~ lineage_audit._short_name(lineage, below.table) ~ ' count is not known'}) %}
  {% elif reading is none %}
    {% do step.update({'not_followed': 'the SQL of ' ~ lineage_audit._short_name(lineage, below.table) ~ ' does not say which rows'}) %}
  {% else %}
    {% do step.update({'relation': relation, 'columns': lineage_audit._columns_by_name(relation)}) %}
    {% do step.update(lineage_audit._conditions_up(below, reading, step.depth)) %}
    {% if not step.conditions %}
      {% do step.update({
        'relation': none, 'not_followed': 'no column of ' ~ lineage_audit._short_name(lineage, below.table) ~ ' that tells these rows is a column of this table' ~ ('; ' ~ reading.problem if reading.problem else '')
      }) %}
    {% else %}
      {% set made = reading.expressions.get(below.column | lower) if below.column is not none and not below.is_marked else none %}
      {% set type = below.columns[below.column | lower].type if made and (below.column | lower) in below.columns else none %}
      {% do step.update(lineage_audit._measured(dict(step, column=none) if step.is_marked else step, made if type else none, type)) %}
      {% do step.update({'proof': lineage_audit._proof_of(step, below, made) if made and type else none}) %}
      {% if step.is_marked %}
        {% do step.update({'not_followed': [step.not_followed, 'its values are not shown: columns that are made of it are marked mask or hash'] | select | join('; ')}) %}
      {% elif step.column is not none and not made and not below.is_marked and not below.get('is_mapped') %}
        {% do step.update({'not_followed': [step.not_followed, 'these rows alone do not give the value' ~ (': ' ~ step.expression if step.expression else '')] | select | join('; ')}) %}
      {% endif %}
      {% do step.update(lineage_audit._first_rows(lineage, step, reading, made, marked)) %}
    {% endif %}
  {% endif %}
  {% do return(step) %}
{% endmacro %}

{#- {conditions, known, filters, not_followed} of a table's rows: by the values that are known of the rows below, where they are columns or
    expressions of this table, and where one is not, by the columns that both have. -#}
{% macro _conditions_up(below, reading, depth) %}
  {% set conditions = [] %}
  {% set known = {} %}
  {% set covered = [] %}
  {% for column, literal in below.known.items() %}
    {% set made = reading.expressions.get(column) or {} %}
    {% set same = reading['keys'].get(column) or (made.sql if made and not made.is_aggregate else none) %}
    {% if same %}
      {% do covered.append(column) %}
      {% do conditions.append(lineage_audit._equals(same, literal)) %}
      {#- A plain column is known in its turn. -#}
      {% do known.update({lineage_audit._plain_name(same) | lower: literal}) if lineage_audit._plain_name(same) %}
    {% endif %}
  {% endfor %}
  {% set tied = [] %}
  {% if covered | length < below.known | length or not conditions %}
    {% for column, same in reading['keys'].items() if column in below.columns and column not in covered and lineage_audit._plain_name(same) %}
      {% do tied.append('row_' ~ below.depth ~ '.' ~ below.columns[column].quoted ~ ' is not distinct from row_' ~ depth ~ '.' ~ same) %}
    {% endfor %}
  {% endif %}
  {% if tied %}
    {% do conditions.append(
      'exists (select 1 from ' ~ below.relation ~ ' as row_' ~ below.depth ~ ' where ' ~ (tied + below.conditions + below.filters) | join(' and ') ~ ')'
    ) %}
  {% endif %}
  {% set notes = [reading.problem] | select | list if not below.get('is_mapped') else [] %}
  {% if conditions and covered | length < below.known | length or (conditions and not below.known) %}
    {% do notes.append('not all that tells the rows below is in this table: rows of others may be among these') %}
  {% endif %}
  {% do return({
    'conditions': conditions, 'known': known, 'filters': reading.filters if conditions and not below.get('is_mapped') else [], 'not_followed': notes | join('; ') or none
  }) %}
{% endmacro %}

{#- The name of a column that stands alone, quoted or not; else none. -#}
{% macro _plain_name(sql) %}
  {% set found = modules.re.match('^(?:([A-Za-z_][A-Za-z0-9_]*)|"([^"]+)"|`([^`]+)`)$', sql) %}
  {% do return((found.group(1) or found.group(2) or found.group(3)) if found else none) %}
{% endmacro %}

{#- {row_count, column_sum, column_value: the one value that all rows have, made: what the expression gives over them, made_sum}, as texts. -#}
{% macro _measured(rows, made, type) %}
  {% set text = lineage_audit.store_types().text %}
  {% set items = ['count(*) as row_count'] %}
  {% set column = rows.columns.get(rows.column | lower) if rows.column is not none else none %}
  {% if column and not lineage_audit._is_nested_type(column.type) %}
    {% do items.append('case when min(' ~ column.quoted ~ ') = max(' ~ column.quoted ~ ') then ' ~ lineage_audit.text_of('min(' ~ column.quoted ~ ')', column.type) ~ ' end as column_value') %}
    {% do items.append('cast(sum(' ~ column.quoted ~ ') as ' ~ text ~ ') as column_sum') if lineage_audit._is_number_type(column.type) %}
  {% endif %}
  {% if made and not lineage_audit._is_nested_type(type) %}
    {% set value = 'cast(' ~ made.sql ~ ' as ' ~ type ~ ')' %}
    {% if made.is_aggregate %}
      {% do items.append(lineage_audit.text_of(value, type) ~ ' as made') %}
    {% else %}
      {% do items.append('case when min(' ~ value ~ ') = max(' ~ value ~ ') then ' ~ lineage_audit.text_of('min(' ~ value ~ ')', type) ~ ' end as made') %}
      {% do items.append('cast(sum(' ~ value ~ ') as ' ~ text ~ ') as made_sum') if lineage_audit._is_number_type(type) %}
    {% endif %}
  {% endif %}
  {% set row = lineage_audit._json_rows('select\n  ' ~ items | join(',\n  ') ~ '\nfrom ' ~ rows.relation ~ ' as row_' ~ rows.depth ~ '\n' ~ lineage_audit._where(rows.conditions + rows.filters, ''))[0] %}
  {% do return({
    'row_count': row.row_count | int, 'column_value': row.get('column_value'), 'column_sum': row.get('column_sum'), 'made': row.get('made'), 'made_sum': row.get('made_sum')
  }) %}
{% endmacro %}

{#- Do the rows give the value below again? {expression, value, expected, verdict: agrees, differs or not_compared, reason}. -#}
{% macro _proof_of(step, below, made) %}
  {% set proof = {'expression': made.sql, 'value': step.made, 'expected': below.column_value, 'verdict': 'not_compared', 'reason': none} %}
  {% set one = below.row_count == 1 or below.get('is_asked') %}
  {% if step.row_count == 0 and not made.is_aggregate %}
    {% do proof.update({'reason': 'no_rows'}) %}
  {% elif below.row_count == 0 %}
    {% do proof.update({'reason': 'no_rows_downstream'}) %}
  {% elif one and below.column_value is none and below.row_count > 1 %}
    {% do proof.update({'reason': 'several_values'}) %}
  {% elif one and not made.is_aggregate and step.made is none and step.row_count > 1 and below.column_value is not none %}
    {% do proof.update({'reason': 'several_values'}) %}
  {% elif one and step.made == below.column_value %}
    {% do proof.update({'verdict': 'agrees'}) %}
  {#- Several rows that were asked for may be several groups. -#}
  {% elif one and not (made.is_aggregate and below.row_count > 1) %}
    {% do proof.update({'verdict': 'differs'}) %}
  {% elif not made.is_aggregate and step.made_sum is not none %}
    {% do proof.update({'value': step.made_sum, 'expected': below.column_sum, 'verdict': 'agrees' if step.made_sum == below.column_sum else 'differs'}) %}
  {% else %}
    {% do proof.update({'reason': 'several_rows'}) %}
  {% endif %}
  {% do return(proof) %}
{% endmacro %}

{#- The first rows: what tells them, what ties them to the tables further up, and the column. -#}
{% macro _first_rows(lineage, step, reading, made, marked) %}
  {% set ties = [] %}
  {% for each in lineage_audit._readings_of(lineage, step.table) %}
    {% do ties.extend(each['keys'].keys()) %}
  {% endfor %}
  {% set taken_on = [] %}
  {% for same in reading['keys'].values() %}
    {% do taken_on.append(lineage_audit._plain_name(same) | lower) if lineage_audit._plain_name(same) %}
  {% endfor %}
  {% set names = ((step.known.keys() | list + (ties or taken_on)) | unique | list)[:4] %}
  {% for name, column in step.columns.items() if made and modules.re.search('(?i)(?<![\\w.])' ~ modules.re.escape(name) ~ '(?!\\w)', made.sql) %}
    {% do names.append(name) %}
  {% endfor %}
  {% do names.append(step.column | lower) if step.column is not none %}
  {% set shown = [] %}
  {% for name in names | unique if name in step.columns and not lineage_audit._is_marked(marked, step.table, name) %}
    {% do shown.append(step.columns[name]) %}
  {% endfor %}
  {% set items = [] %}
  {% for column in shown %}
    {% do items.append(lineage_audit.text_of(column.quoted, column.type) ~ ' as ' ~ column.quoted) %}
  {% endfor %}
  {% set source = '\nfrom ' ~ step.relation ~ (' as row_' ~ step.depth if 'exists (' in step.conditions | join(' ') else '') ~ '\n' ~ lineage_audit._where(step.conditions + step.filters, '') %}
  {% set rows = lineage_audit._json_rows('select\n  ' ~ items | join(',\n  ') ~ source ~ '\norder by ' ~ range(1, items | length + 1) | join(', ') ~ '\nlimit 5') if items and step.row_count else [] %}
  {% do return({
    'query': 'select ' ~ (shown | map(attribute='quoted') | join(', ') or 'count(*)') ~ source.replace('\n  and ', ' and ').replace('\n', ' '), 'rows': rows
  }) %}
{% endmacro %}

{#- The steps as the JSON has them. -#}
{% macro _shown_upstream(steps) %}
  {% set shown = [] %}
  {% for step in steps %}
    {% set each = {} %}
    {% for name in ['depth', 'table', 'name', 'column', 'kind', 'downstream_table', 'downstream_column', 'expression', 'query', 'row_count', 'column_sum', 'proof', 'rows', 'not_followed'] %}
      {% do each.update({name: step[name]}) %}
    {% endfor %}
    {% do shown.append(each) %}
  {% endfor %}
  {% do return(shown) %}
{% endmacro %}

{#- The steps as a tree: each before what lies upstream of it. -#}
{% macro _steps_as_tree(steps, table, column) %}
  {% set ordered = [] %}
  {% set followed = [] %}
  {% for step in steps if step.downstream_table == table and step.downstream_column == column %}
    {% do ordered.append(step) %}
    {% if lineage_audit._place(step.table, step.column) not in followed %}
      {% do followed.append(lineage_audit._place(step.table, step.column)) %}
      {% do ordered.extend(lineage_audit._steps_as_tree(steps, step.table, step.column)) %}
    {% endif %}
  {% endfor %}
  {% do return(ordered) %}
{% endmacro %}

{% macro _upstream_text(upstream) %}
  {% set lines = ['  made of, table by table'] %}
  {% for step in lineage_audit._steps_as_tree(upstream, upstream[0].downstream_table, upstream[0].downstream_column) %}
    {% set place = step.name ~ ('.' ~ step.column if step.column is not none else ' (rows)') %}
    {% set found = [] %}
    {% if step.row_count is not none %}
      {% do found.append(lineage_audit._counted(step.row_count, 'row')) %}
      {% do found.append('sum ' ~ step.column_sum) if step.column_sum is not none and step.row_count > 1 %}
    {% elif step.expression and step.kind == 'external' %}
      {% do found.append(step.expression) %}
    {% endif %}
    {% do lines.append('  ' ~ '  ' * step.depth ~ place ~ (': ' ~ found | join(', ') if found else '')) %}
    {% set indent = '  ' * step.depth ~ '      ' %}
    {% if step.proof %}
      {% do lines.append(indent ~ lineage_audit._shortened(step.proof.expression) ~ lineage_audit._proof_text(step)) %}
    {% endif %}
    {% if step.not_followed %}
      {% do lines.append(indent ~ step.not_followed) %}
    {% endif %}
    {% if step.query %}
      {% do lines.append(indent ~ step.query) %}
    {% endif %}
    {% if step.rows %}
      {% set names = step.rows[0].keys() | list %}
      {% set cells = [] %}
      {% for row in step.rows %}
        {% set each = [] %}
        {% for name in names %}
          {% do each.append(lineage_audit._shortened(lineage_audit._value_text(row[name]))) %}
        {% endfor %}
        {% do cells.append(each) %}
      {% endfor %}
      {% for line in lineage_audit._table_text(names, cells).split('\n') %}
        {% do lines.append(indent ~ line) %}
      {% endfor %}
      {% do lines.append(indent ~ '  … ' ~ (step.row_count - step.rows | length) ~ ' more') if step.row_count > step.rows | length %}
    {% endif %}
  {% endfor %}
  {% do return(lines | join('\n')) %}
{% endmacro %}

{% macro _proof_text(step) %}
  {% set proof = step.proof %}
  {% if proof.verdict == 'agrees' %}
    {% do return(' gives ' ~ lineage_audit._value_text(proof.value) ~ ', as above') %}
  {% elif proof.verdict == 'differs' %}
    {% do return(' gives ' ~ lineage_audit._value_text(proof.value) ~ ', and above it is ' ~ lineage_audit._value_text(proof.expected)) %}
  {% endif %}
  {% do return({
    'no_rows': ': there is no such row', 'no_rows_downstream': ': there is no row above', 'several_values': ': the rows have several values', 'several_rows': ': not compared, it is one value for each of several rows'
  }[proof.reason]) %}
{% endmacro %}
