{#- The lineage map as Markdown. -#}
{% macro _lineage_map_text(answer) %}
  {% set blocks = ['# Lineage map of ' ~ answer.project, 'Printed by the operation `lineage_map` from the lineage graph and the properties of the project: edit those, not this file.'] %}
  {% if answer.scopes %}
    {% do blocks.extend(['## Scope', lineage_audit._markdown_table(
      ['scope', 'owner', 'version', 'classification', 'tables'], answer.scopes, ['scope', 'owner', 'version', 'classification', 'tables'], ['tables']
    )]) %}
  {% endif %}
  {% if answer.source_systems %}
    {% do blocks.extend(['## Source systems', lineage_audit._markdown_table(
      ['dataset', 'method', 'frequency', 'feeds'], answer.source_systems, ['dataset', 'method', 'frequency', 'feeds'], ['dataset', 'feeds']
    )]) %}
  {% endif %}
  {% do blocks.append('## Tables by layer') %}
  {% for layer in answer.layers %}
    {% do blocks.append('### ' ~ ((layer.layer or 'no layer') if layer.connected else 'in no chain')) %}
    {% do blocks.append(lineage_audit._markdown_table(
      ['table', 'kind', 'owner', 'classification', 'retention', 'description'], layer.tables, ['name', 'kind', 'owner', 'classification', 'retention', 'description'], ['name']
    )) %}
  {% endfor %}
  {% do blocks.append('## Where each column comes from') %}
  {% for chain in answer.chains %}
    {% do blocks.append('### ' ~ chain.table) %}
    {% set lines = [] %}
    {% for column in chain.columns %}
      {% for line in lineage_audit._tree_lines(column.steps) %}
        {% set ends = loop.last or loop.nextitem.step.depth <= line.step.depth %}
        {% do lines.append('  ' * line.step.depth ~ '- ' ~ lineage_audit._map_step_text(line.step, ends)) %}
      {% endfor %}
    {% endfor %}
    {% do blocks.append(lines | join('\n')) if lines %}
    {% set rows = [] %}
    {% for row in chain.rows %}
      {% do rows.append({'kind': lineage_audit._row_kind(row.transformation_subtype), 'expression': row.expression, 'columns': row.columns}) %}
    {% endfor %}
    {% if rows %}
      {% do blocks.extend(['What decides which rows it has:', lineage_audit._markdown_table(['by', 'expression', 'over'], rows, ['kind', 'expression', 'columns'], ['expression', 'columns'])]) %}
    {% endif %}
  {% endfor %}
  {% do blocks.append('## Consumers') %}
  {% do blocks.append(lineage_audit._markdown_table(
    ['consumer', 'type', 'owner', 'contact', 'refresh', 'reads', 'fields'], answer.consumers, ['name', 'type', 'owner', 'email', 'refresh', 'reads', 'fields'], ['reads', 'fields']
  ) if answer.consumers else 'None is known: dbt knows consumers as exposures.') %}
  {% do blocks.append('## Impact of each source column') %}
  {% for source in answer.impact %}
    {% do blocks.append('### ' ~ source.table) %}
    {% do blocks.append(lineage_audit._markdown_table(
      ['column', 'made of it', 'consumers', 'consumers through joins, filters and the like'], source.columns, ['column', 'columns', 'consumers', 'consumers_by_rows'], ['column', 'columns']
    )) %}
  {% endfor %}
  {% if answer.problems %}
    {% do blocks.extend(['## What is not known', lineage_audit._markdown_table(['table', 'problem'], answer.problems, ['table', 'problem'], ['table'])]) %}
  {% endif %}
  {% if answer.changes is not none %}
    {% do blocks.append(lineage_audit._map_changes_text(answer.changes)) %}
  {% endif %}
  {% do return(blocks | join('\n\n')) %}
{% endmacro %}

{#- A table of Markdown; columns that are code hold names or expressions. A column without any value is left out. -#}
{% macro _markdown_table(header, rows, keys, code) %}
  {% set kept = [] %}
  {% set heads = [] %}
  {% for key in keys %}
    {% if loop.first or rows | map(attribute=key) | select | list %}
      {% do kept.append(key) %}
      {% do heads.append(header[loop.index0]) %}
    {% endif %}
  {% endfor %}
  {% set lines = ['| ' ~ heads | join(' | ') ~ ' |', '|' ~ ' --- |' * (kept | length)] %}
  {% for row in rows %}
    {% set cells = [] %}
    {% for key in kept %}
      {% set texts = [] %}
      {% for value in ([row[key]] if row[key] is string or row[key] is not iterable else row[key]) if value is not none and (value | string) != '' %}
        {% do texts.append(lineage_audit._markdown_cell(lineage_audit._code(value) if key in code else value)) %}
      {% endfor %}
      {% do cells.append(texts | join(', ')) %}
    {% endfor %}
    {% do lines.append('| ' ~ cells | join(' | ') ~ ' |') %}
  {% endfor %}
  {% do return(lines | join('\n')) %}
{% endmacro %}

{#- In a table a bar ends the cell, in code too, and a line break the row. -#}
{% macro _markdown_cell(text) %}
  {% do return((modules.re.sub('\\s+', ' ', text | string) | trim).replace('\\|', '|').replace('|', '\\|')) %}
{% endmacro %}

{#- A step, and how what is above it in the tree is made of it. A model's column with which the way ends is made of no column. -#}
{% macro _map_step_text(step, ends) %}
  {% if step.depth == 0 %}
    {% do return('**' ~ lineage_audit._code(step.column) ~ '**' ~ (': of no column, such as a constant' if ends else '')) %}
  {% endif %}
  {% set name = lineage_audit._code(step.name ~ ('.' ~ step.column if step.column is not none else '')) %}
  {% set notes = [] %}
  {% for edge in step.edges %}
    {% if edge.expression and step.kind == 'external' %}
      {% do notes.append('field ' ~ lineage_audit._code(edge.expression) if step.name.startswith('api://') else edge.expression) %}
    {% elif edge.transformation_subtype == 'IDENTITY' %}
      {% do notes.append('as it is') %}
    {% elif edge.expression %}
      {% do notes.append(lineage_audit._code(edge.expression) ~ (', aggregated' if edge.transformation_subtype == 'AGGREGATION' else '')) %}
    {% endif %}
    {% do notes.append('only the table is known: ' ~ edge.problem) if edge.problem %}
  {% endfor %}
  {% do notes.append('itself of no column, such as a constant') if ends and not step.again and step.kind == 'model' and step.column is not none %}
  {% do return(
    ('the rows of ' if step.column is none and step.kind != 'external' else '') ~ name ~ (': ' ~ notes | unique | join('; ') if notes else '') ~ (' (see there)' if step.again else '')
  ) %}
{% endmacro %}

{% macro _row_kind(subtype) %}
  {% do return({'JOIN': 'join', 'FILTER': 'filter', 'GROUP_BY': 'group by', 'SORT': 'order by'}.get(subtype, subtype)) %}
{% endmacro %}

{% macro _map_changes_text(changes) %}
  {% set blocks = ['## What changed since ' ~ changes.since] %}
  {% if not changes.tables and not changes.config %}
    {% do blocks.append('Nothing.') %}
  {% endif %}
  {% if changes.tables %}
    {% do blocks.append(lineage_audit._markdown_table(['table', 'change'], changes.tables, ['name', 'change'], ['name'])) %}
  {% endif %}
  {% if changes.config %}
    {% do blocks.extend(['In the config of mapped tables:', lineage_audit._markdown_table(
      ['table', 'kind', 'name', 'change', 'cell', 'from', 'to'], changes.config, ['table', 'kind', 'name', 'change', 'cell', 'from_value', 'to_value'], ['table', 'name', 'from_value', 'to_value']
    )]) %}
  {% endif %}
  {% if changes.tables %}
    {% do blocks.append('Consumers downstream of them: ' ~ (changes.consumers | join(', ') or 'none') ~ '.') %}
  {% endif %}
  {% do return(blocks | join('\n\n')) %}
{% endmacro %}
