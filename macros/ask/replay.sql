{#- The recomputation of gold's cells from logged texts, as config_version has pinned expression, cast, default and types. -#}

{#- What config_version has pinned of the mapping rows under some config hashes (what `in` takes), by their places. -#}
{% macro _pinned_rows(config_hashes) %}
  {% do return(lineage_audit._json_rows(
    'select distinct\n  config_hash,\n  column_position,\n  target_column,\n  source_columns,\n  source_types,\n  source_positions,\n  transform_expr,\n  default_expr,\n  data_type,\n  sensitivity,\n  is_primary_key,\n  api_json_path\nfrom '
    ~ lineage_audit._store('config_version') ~ "\nwhere kind = 'mapping' and config_hash in " ~ config_hashes
  ) | sort(attribute='column_position') | list) %}
{% endmacro %}

{#- A mapping row of config_version as _cast takes it; its value and default stand inline. unprovable: why the row can't be
    recomputed from what is logged, or none. -#}
{% macro _pinned_column(row, gold_columns=[]) %}
  {% set is_plain = row.source_columns and row.transform_expr == row.source_columns[0] %}
  {% set same_type = is_plain and row.data_type and lineage_audit._same_type(row.data_type, row.source_types[0]) %}
  {% set casts = row.data_type and not same_type %}
  {% set can_fail = (casts or (row.data_type and row.default_expr)) and not lineage_audit._is_text_type(row.data_type) %}
  {% set type = row.data_type or (row.source_types[0] if is_plain else none) %}
  {% set in_gold = lineage_audit._find_column(gold_columns, row.target_column) %}
  {% do return({
    'name': row.target_column, 'position': row.column_position | int, 'source_columns': row.source_columns, 'source_types': row.source_types,
    'value': '(' ~ (lineage_audit.quote_name(row.transform_expr) if is_plain else lineage_audit.sql_expression(row.transform_expr)) ~ ')',
    'default_expression': row.default_expr, 'default': '(' ~ (row.default_expr or '') ~ ')',
    'data_type': row.data_type if casts else none, 'declared_type': row.data_type, 'type': type,
    'gold_type': in_gold.type if in_gold and type is none else none,
    'from_text': is_plain and lineage_audit._is_text_type(row.source_types[0] or ''),
    'nested': can_fail and lineage_audit._is_nested_type(row.data_type),
    'unprovable': lineage_audit._why_unprovable(row)
  }) %}
{% endmacro %}

{% macro _why_unprovable(row) %}
  {% if row.sensitivity in ['mask', 'hash'] %}
    {% do return('masked_value') %}
  {% endif %}
  {% for type in row.source_types %}
    {% if type is none or not lineage_audit.is_readable_type(type) %}
      {% do return('unreadable_type') %}
    {% endif %}
  {% endfor %}
  {% set is_plain = row.source_columns and row.transform_expr == row.source_columns[0] %}
  {% set code = [] %}
  {% for expression in [none if is_plain else row.transform_expr, row.default_expr] %}
    {% for part in modules.re.split(lineage_audit.literal_pattern(), expression or '') %}
      {% if loop.index0 % 2 == 0 %}
        {% do code.append(part | lower) %}
      {% endif %}
    {% endfor %}
  {% endfor %}
  {% set words = modules.re.findall('[a-z_][a-z0-9_]*', code | join(' ')) %}
  {% set names = row.source_columns | map('lower') | list %}
  {% for word in words %}
    {% if word in lineage_audit.changing_functions() and word not in names %}
      {% do return('non_deterministic') %}
    {% elif word in ['select', 'over'] and word not in names %}
      {% do return('reads_other_rows') %}
    {% endif %}
  {% endfor %}
  {% do return(none) %}
{% endmacro %}

{#- Each reason for which a cell can't be proved, as a sentence. -#}
{% macro _unprovable_sentences() %}
  {% do return({
    'masked_value': 'its source values are logged masked or hashed',
    'unreadable_type': 'a source type can not be read back from its text',
    'non_deterministic': 'the expression gives another value at another time or to another user',
    'reads_other_rows': 'the expression reads more than its own row',
    'key_not_unique': 'several rows of the run share the key',
    'not_in_gold': 'gold does not hold the row as this run wrote it',
    'column_not_in_gold': 'gold has no such column now',
    'not_one_source_column': 'it is made of several source columns or none, and its path is not that of one of them',
    'other_array': 'its path goes through an array, and the key does not say which element is meant',
    'path_not_followed': 'under the config of its run no payload could be found by the paths'
  }) %}
{% endmacro %}

{#- A SELECT of cells recomputed under one config. cells: a relation with _lineage_position, _lineage_values (the source values
    as a list of texts) and kept, further columns, which go through as they are. Beside those come replayed_value as text,
    and is_unreadable: a text that is no value of its pinned type. -#}
{% macro _replayed_cells(cells, kept, columns) %}
  {% set typed = {} %}
  {% set replayed = [] %}
  {% set unreadable = [] %}
  {% for column in columns %}
    {% set lost = [] %}
    {% for name in column.source_columns %}
      {% set text = lineage_audit.item_at('_lineage_values', loop.index) %}
      {% do typed.setdefault(name, []).append('when ' ~ column.position ~ ' then ' ~ lineage_audit.value_of(text, column.source_types[loop.index0])) %}
      {% do lost.append('(' ~ text ~ ' is not null and ' ~ lineage_audit.quote_name(name) ~ ' is null)') %}
    {% endfor %}
    {% do replayed.append('when ' ~ column.position ~ ' then ' ~ lineage_audit._replayed_text(column)) %}
    {% if lost %}
      {% do unreadable.append('when ' ~ column.position ~ ' then ' ~ lost | join(' or ')) %}
    {% endif %}
  {% endfor %}
  {% set items = kept + ['_lineage_position', '_lineage_values'] %}
  {% for name, whens in typed.items() %}
    {% do items.append(lineage_audit._case_of_position(whens, '      ') ~ ' as ' ~ lineage_audit.quote_name(name)) %}
  {% endfor %}
  {% do return(
    'select\n    ' ~ (kept + ['_lineage_position as column_position']) | join(',\n    ')
    ~ ',\n    ' ~ lineage_audit._case_of_position(replayed, '      ') ~ ' as replayed_value'
    ~ ',\n    ' ~ (lineage_audit._case_of_position(unreadable, '      ') if unreadable else 'false') ~ ' as is_unreadable'
    ~ '\n  from (\n    select\n      ' ~ items | join(',\n      ') ~ '\n    from ' ~ cells ~ '\n  ) as typed'
  ) %}
{% endmacro %}

{#- A pinned column recomputed from its source columns, as a value and as text. -#}
{% macro _replayed_value(column) %}
  {% set value = lineage_audit._cast(column) %}
  {% do return('try_cast(' ~ value ~ ' as ' ~ column.gold_type ~ ')' if column.gold_type else '(' ~ value ~ ')') %}
{% endmacro %}

{% macro _replayed_text(column) %}
  {% do return(lineage_audit.text_of_value(lineage_audit._replayed_value(column), column.type)) %}
{% endmacro %}

{% macro _case_of_position(whens, indent) %}
  {% do return('case _lineage_position\n' ~ indent ~ whens | join('\n' ~ indent) ~ '\n    end') %}
{% endmacro %}
