{#- A walk through the lineage graph as a tree, with what was met at its ends. -#}
{% macro _walk_text(answer) %}
  {% set downstream = answer.direction == 'downstream' %}
  {% set lines = [] %}
  {% set by_column = answer.asked | map(attribute='column') | select | list | length > 0 %}
  {% for line in lineage_audit._tree_lines(answer.steps) %}
    {% do lines.append([line.tree ~ lineage_audit._step_name(line.step, by_column), lineage_audit._step_note(line.step)]) %}
  {% endfor %}
  {% set blocks = [lineage_audit._aligned(lines) | join('\n')] %}
  {% set notes = [] %}
  {% set ends = answer.consumers if downstream else answer.origins %}
  {% set between = answer.tables_between | length %}
  {% if downstream %}
    {% do notes.append(lineage_audit._counted(ends | length, 'consumer') ~ ', through ' ~ lineage_audit._counted(between, 'table')) %}
  {% else %}
    {% do notes.append(lineage_audit._counted(ends | length, 'origin') ~ ', through ' ~ lineage_audit._counted(between, 'table')) %}
  {% endif %}
  {% set rows = [] %}
  {% for end in ends %}
    {% do rows.append([end.name, end.kind if not downstream else end.layer, end.owner or '', end.columns | join(', ')]) %}
  {% endfor %}
  {% if rows %}
    {% do notes.append(lineage_audit._table_text(['consumer' if downstream else 'origin', 'kind', 'owner', 'columns'], rows)) %}
  {% endif %}
  {% if answer.is_cut %}
    {% do notes.append('More lies beyond depth ' ~ answer.depth ~ '.') %}
  {% endif %}
  {% if answer.indirect_edges_left_out %}
    {% do notes.append(
      'Left out: ' ~ lineage_audit._counted(answer.indirect_edges_left_out, 'indirect edge') ~ ' (joins, filters, groupings, orders, conditions); indirect: true follows them.'
    ) %}
  {% endif %}
  {% do blocks.append(notes | join('\n')) %}
  {% do return(blocks | join('\n\n')) %}
{% endmacro %}

{#- [{step, tree: what stands before it}] in the order of a tree, deepest first; without recursion, since a way may be long. -#}
{% macro _tree_lines(steps) %}
  {% set children = {} %}
  {% set stack = [] %}
  {% for step in steps %}
    {% do children.setdefault(step.parent, []).append(loop.index0) %}
  {% endfor %}
  {% for place in children.get(none, []) | reverse %}
    {% do stack.append({'place': place, 'tree': '', 'below': ''}) %}
  {% endfor %}
  {% set lines = [] %}
  {% for step in steps %}
    {% set now = stack.pop() %}
    {% do lines.append({'step': steps[now.place], 'tree': now.tree}) %}
    {% set last = children.get(now.place, []) | last %}
    {% for place in children.get(now.place, []) | reverse %}
      {% do stack.append({
        'place': place, 'tree': now.below ~ ('└─ ' if place == last else '├─ '), 'below': now.below ~ ('   ' if place == last else '│  ')
      }) %}
    {% endfor %}
  {% endfor %}
  {% do return(lines) %}
{% endmacro %}

{#- A walk from table to table names tables; one from column to column says where it leaves the column. -#}
{% macro _step_name(step, by_column) %}
  {% if step.column is not none %}
    {% do return(step.name ~ '.' ~ step.column) %}
  {% endif %}
  {% do return(step.name ~ (' (every row)' if by_column and step.kind != 'exposure' else '')) %}
{% endmacro %}

{#- How the step is made of the one before it: the direct way, if there is one. -#}
{% macro _step_note(step) %}
  {% set words = {'JOIN': 'join on', 'FILTER': 'filter', 'GROUP_BY': 'group by', 'SORT': 'order by', 'WINDOW': 'window', 'CONDITIONAL': 'condition in'} %}
  {% set direct = [] %}
  {% set others = [] %}
  {% for edge in step.edges %}
    {% set expression = lineage_audit._shortened(edge.expression or '') %}
    {% if edge.transformation_type == 'INDIRECT' %}
      {% do others.append((words.get(edge.transformation_subtype, edge.transformation_subtype | lower) ~ ' ' ~ expression) | trim) %}
    {% elif edge.transformation_type is none %}
      {% do others.append('only the table is known') %}
    {% elif expression and expression not in [edge.upstream_column, edge.downstream_column] %}
      {% do direct.append(expression) %}
    {% elif edge.transformation_subtype == 'IDENTITY' %}
      {% do direct.append('') %}
    {% endif %}
    {% do others.append(lineage_audit._shortened(edge.problem)) if edge.problem %}
  {% endfor %}
  {% set notes = direct | unique | list if direct else others | unique | list %}
  {% set note = notes | select | join('; ') %}
  {% do return(note ~ (('  ' if note else '') ~ '[' ~ step.owner ~ ']' if step.kind == 'exposure' and step.owner else '') ~ ((' ' if note else '') ~ '(see there)' if step.again else '')) %}
{% endmacro %}

{% macro _shortened(text) %}
  {% set most = 100 %}
  {% set line = modules.re.sub('\\s+', ' ', text) %}
  {% do return(line if line | length <= most else line[:most - 2] ~ ' …') %}
{% endmacro %}
