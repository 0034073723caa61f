{#- A table with aligned columns, under its names. A column without any value is left out. -#}
{% macro _table_text(header, rows) %}
  {% if not rows %}
    {% do return('  (none)') %}
  {% endif %}
  {% set places = [] %}
  {% for name in header %}
    {% set place = loop.index0 %}
    {% set filled = [] %}
    {% for row in rows %}
      {% do filled.append(true) if row[place] is not none and (row[place] | string) != '' %}
    {% endfor %}
    {% do places.append(place) if filled %}
  {% endfor %}
  {% set kept = [[], []] %}
  {% for place in places %}
    {% do kept[0].append(header[place]) %}
    {% set lengths = [header[place] | length] %}
    {% for row in rows %}
      {% do lengths.append(lineage_audit._cell_text(row[place]) | length) %}
    {% endfor %}
    {% do kept[1].append('-' * (lengths | max)) %}
  {% endfor %}
  {% for row in rows %}
    {% set cells = [] %}
    {% for place in places %}
      {% do cells.append(row[place]) %}
    {% endfor %}
    {% do kept.append(cells) %}
  {% endfor %}
  {% do return('  ' ~ lineage_audit._aligned(kept) | join('\n  ')) %}
{% endmacro %}

{#- Each row as a line, its cells as wide as the widest of their column. -#}
{% macro _aligned(rows) %}
  {% set widths = [] %}
  {% for cell in rows[0] or [] %}
    {% set place = loop.index0 %}
    {% set lengths = [] %}
    {% for row in rows %}
      {% do lengths.append(lineage_audit._cell_text(row[place]) | length) %}
    {% endfor %}
    {% do widths.append(lengths | max) %}
  {% endfor %}
  {% set lines = [] %}
  {% for row in rows %}
    {% set cells = [] %}
    {% for cell in row %}
      {% set text = lineage_audit._cell_text(cell) %}
      {% do cells.append(text ~ ' ' * (widths[loop.index0] - text | length)) %}
    {% endfor %}
    {% do lines.append((cells | join('  ')).rstrip()) %}
  {% endfor %}
  {% do return(lines) %}
{% endmacro %}

{% macro _cell_text(value) %}
  {% do return('' if value is none else (value | string).replace('\n', '\\n')) %}
{% endmacro %}
