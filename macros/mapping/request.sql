{#- Everything that a check or a plan looks at, read once: the arguments, the config rows that concern this model,
    and the columns of the source. -#}
{% macro _request(arguments, tables) %}
  {#- Filters instead of loops where every row of a config table is looked at: each of many models does so. -#}
  {% set all_rows = lineage_audit._rows_of_endpoint(tables.field_mapping, arguments.endpoint_name)
    | selectattr('target_table', 'equalto', arguments.target_table) | list %}
  {% set rows = [] %}
  {% for row in all_rows %}
    {% if lineage_audit._is_true(row.active_flag, true) %}
      {% do rows.append(row) %}
    {% endif %}
  {% endfor %}
  {% set rows = lineage_audit._ordered(rows) %}
  {% set named = [] %}
  {% for row in rows %}
    {% do named.extend(lineage_audit._split(row.business_rule_id)) %}
  {% endfor %}
  {% set rules = [] %}
  {% for rule in tables.business_rules %}
    {% set acts = rule.endpoint_name == arguments.endpoint_name and rule.target_table in [none, arguments.target_table]
      and rule.rule_category not in ['derivation', 'default'] %}
    {% if lineage_audit._is_true(rule.active_flag, true) and (acts or rule.business_rule_id in named) %}
      {% do rules.append(rule) %}
    {% endif %}
  {% endfor %}
  {% set source_columns = lineage_audit.columns_of(arguments.built_source) if arguments.source_known else [] %}
  {% set unique_key = arguments.unique_key or [] %}
  {% set strategy = arguments.strategy or lineage_audit.default_strategy(unique_key) %}
  {% set request = {
    'model_name': arguments.model_name, 'endpoint_name': arguments.endpoint_name, 'target_table': arguments.target_table,
    'source': arguments.source, 'built_source': arguments.built_source, 'source_name': arguments.built_source | string,
    'source_columns': source_columns, 'source_known': arguments.source_known,
    'watermark': arguments.watermark, 'lateness': arguments.lateness, 'latest_by': arguments.latest_by,
    'capture': arguments.capture or lineage_audit.settings().capture, 'rejected': arguments.rejected,
    'not_null_columns': arguments.get('not_null_columns') or [],
    'reprocess': lineage_audit.settings().reprocess,
    'materialized': arguments.materialized, 'strategy': strategy,
    'unique_key': [unique_key] if unique_key is string else unique_key,
    'tables': tables, 'config_columns': lineage_audit._remembered('columns of config') or {}, 'all_rows': all_rows, 'rows': rows, 'named_rules': rules,
    'marks': lineage_audit._marks(lineage_audit._rows_over_same_sources(tables.field_mapping, rows))
  } %}
  {% do return(request) %}
{% endmacro %}

{#- Rows with a column_position first, by it; then the others by target_column. -#}
{% macro _ordered(rows) %}
  {% set numbered = [] %}
  {% set others = [] %}
  {% for row in rows %}
    {% if row.column_position and modules.re.match('^-?[0-9]+$', row.column_position) %}
      {% do numbered.append({'position': row.column_position | int, 'name': row.target_column or '', 'row': row}) %}
    {% else %}
      {% do others.append({'name': row.target_column or '', 'row': row}) %}
    {% endif %}
  {% endfor %}
  {% set ordered = numbered | sort(attribute='name') | sort(attribute='position') | map(attribute='row') | list %}
  {% do ordered.extend(others | sort(attribute='name') | map(attribute='row') | list) %}
  {% do return(ordered) %}
{% endmacro %}

{#- These mapping rows, and the active ones with a mark, of whichever target, that read a source table which these rows read:
    what is marked once is marked everywhere. -#}
{% macro _rows_over_same_sources(all_rows, rows) %}
  {% set source_tables = rows | map(attribute='source_table') | select | map('lower') | list %}
  {% set found = rows | list %}
  {% for row in all_rows | selectattr('sensitivity', 'in', ['mask', 'hash']) %}
    {% if row not in found and (row.source_table or '') | lower in source_tables and lineage_audit._is_true(row.active_flag, true) %}
      {% do found.append(row) %}
    {% endif %}
  {% endfor %}
  {% do return(found) %}
{% endmacro %}

{#- The strictest mark of each source column, whichever row sets it: {column in lower case: 'mask' or 'hash'}. -#}
{% macro _marks(rows) %}
  {% set marks = {} %}
  {% for mark in ['hash', 'mask'] %}
    {% for row in rows %}
      {% if row.sensitivity == mark %}
        {% for column in lineage_audit._split(row.source_columns) %}
          {% do marks.update({column | lower: mark}) %}
        {% endfor %}
      {% endif %}
    {% endfor %}
  {% endfor %}
  {% do return(marks) %}
{% endmacro %}
