{#- The SELECT of a gold model, one CTE per step of the mapping. -#}
{% macro _gold_sql(plan) %}
  {% set lines = [] %}
  {% if plan.rejected == 'keep' %}
    {% set judged = lineage_audit._judged(plan) %}
    {% do lines.append(judged.ctes) %}
    {% set finish = {'from': judged.from, 'where': [], 'warnings': '_lineage_warnings', 'failed_rules': [judged.failed_rules ~ ' as _lineage_failed_rules']} %}
  {% else %}
    {% do lines.append(lineage_audit._mapped_ctes(plan)) %}
    {% set must_hold = lineage_audit._acceptance(plan) %}
    {% set finish = {'from': 'mapped', 'where': must_hold, 'warnings': lineage_audit._warnings(plan, '  ') ~ ' as _lineage_warnings', 'failed_rules': []} %}
    {% if plan.latest_by %}
      {% do lines.append(',\nranked as (\n  select\n    *,\n    ' ~ lineage_audit._rank(plan, none) ~ ' as _lineage_rank\n  from mapped\n' ~ lineage_audit._where(must_hold, '  ') ~ '\n)') %}
      {% do finish.update({'from': 'ranked', 'where': ['_lineage_rank = 1']}) %}
    {% endif %}
  {% endif %}
  {% set items = plan.columns | map(attribute='quoted') | list %}
  {% for column in plan.get('kept_columns', []) %}
    {% do items.append('cast(null as ' ~ column.type ~ ') as ' ~ lineage_audit.quote_name(column.name)) %}
  {% endfor %}
  {% do items.extend([
    lineage_audit.text_literal(plan.run_id) ~ ' as _lineage_run_id',
    lineage_audit.text_literal(invocation_id) ~ ' as _lineage_invocation_id',
    finish.warnings,
    '_lineage_source_values'
  ] + finish.failed_rules) %}
  {% do lines.append('\nselect\n  ' ~ items | join(',\n  ') ~ '\nfrom ' ~ finish.from) %}
  {% if finish.where %}
    {% do lines.append('\n' ~ lineage_audit._where(finish.where, '')) %}
  {% endif %}
  {% do return(lines | join('')) %}
{% endmacro %}

{#- Every record that was not filtered, and why it is refused: {ctes, from: the last of them, failed_rules: the list of
    reasons as an expression, refused: a predicate}. -#}
{% macro _judged(plan) %}
  {% set checked = [
    '*', lineage_audit._broken(lineage_audit._acceptance(plan), lineage_audit._reasons(plan), '    ') ~ ' as _lineage_failed_rules',
    lineage_audit._warnings(plan, '    ') ~ ' as _lineage_warnings'
  ] %}
  {% set ctes = [lineage_audit._mapped_ctes(plan), lineage_audit._cte('checked', checked, 'mapped', [])] %}
  {% set refused = lineage_audit.list_length('_lineage_failed_rules') ~ ' > 0' %}
  {% if not plan.latest_by %}
    {% do return({'ctes': ctes | join(',\n'), 'from': 'checked', 'failed_rules': '_lineage_failed_rules', 'refused': refused}) %}
  {% endif %}
  {% do ctes.append(lineage_audit._cte('ranked', ['*', lineage_audit._rank(plan, refused) ~ ' as _lineage_rank'], 'checked', [])) %}
  {% do return({
    'ctes': ctes | join(',\n'), 'from': 'ranked', 'refused': refused ~ ' or _lineage_rank > 1',
    'failed_rules': 'case when ' ~ refused ~ ' or _lineage_rank = 1 then _lineage_failed_rules else ' ~ lineage_audit.list_of_texts(['duplicate_key']) ~ ' end'
  }) %}
{% endmacro %}

{#- with source_rows → filtered → valued → mapped: steps 1 to 4 of the contract's order. -#}
{% macro _mapped_ctes(plan) %}
  {% set ctes = [] %}
  {% do ctes.append(lineage_audit._cte('source_rows', lineage_audit._quoted_names(plan.reads), plan.source_sql, lineage_audit._read_bounds(plan))) %}
  {% if plan.filters %}
    {% set predicates = [] %}
    {% for rule in plan.filters %}
      {% do predicates.append('(' ~ rule.expression ~ ')') %}
    {% endfor %}
    {% do ctes.append(lineage_audit._cte('filtered', ['*'], 'source_rows', predicates)) %}
  {% endif %}
  {% do ctes.append(lineage_audit._cte('valued', lineage_audit._value_items(plan), 'filtered' if plan.filters else 'source_rows', [])) %}
  {% do ctes.append(lineage_audit._cte('mapped', lineage_audit._mapped_items(plan), 'valued', [])) %}
  {% do return('with ' ~ ctes | join(',\n')) %}
{% endmacro %}

{% macro _cte(name, items, from, predicates) %}
  {% set where = '\n' ~ lineage_audit._where(predicates, '  ') if predicates else '' %}
  {% do return(name ~ ' as (\n  select\n    ' ~ items | join(',\n    ') ~ '\n  from ' ~ from ~ where ~ '\n)') %}
{% endmacro %}

{% macro _where(predicates, indent) %}
  {% do return(indent ~ 'where ' ~ predicates | join('\n' ~ indent ~ '  and ')) %}
{% endmacro %}

{% macro _quoted_names(names) %}
  {% set quoted = [] %}
  {% for name in names %}
    {% do quoted.append(lineage_audit.quote_name(name)) %}
  {% endfor %}
  {% do return(quoted or ['*']) %}
{% endmacro %}

{#- Which source rows this run looks at. Rows without a watermark are looked at by every run, which refuses them. -#}
{% macro _read_bounds(plan) %}
  {% if not plan.watermark or plan.watermark.from is none or plan.staged or plan.reread == 'all' %}
    {% do return([]) %}
  {% endif %}
  {% do return([lineage_audit._newer_than_mark(plan)]) %}
{% endmacro %}

{% macro _newer_than_mark(plan) %}
  {% set column = lineage_audit.quote_name(plan.watermark.column) %}
  {% set mark = lineage_audit._watermark_literal(plan.watermark.from, plan.watermark.type) %}
  {% if plan.watermark.lateness %}
    {% set mark = mark ~ " - interval '" ~ plan.watermark.lateness | trim ~ "'" %}
  {% endif %}
  {% do return('(' ~ column ~ ' > ' ~ mark ~ ' or ' ~ column ~ ' is null)') %}
{% endmacro %}

{#- Marks are kept as text in UTC; an instant says so. -#}
{% macro _watermark_literal(text, type) %}
  {% set is_instant = (type | lower) in (['timestamp', 'timestamp_ltz'] if target.type != 'duckdb' else ['timestamptz', 'timestamp with time zone']) %}
  {% do return('cast(' ~ lineage_audit.text_literal(text ~ ('Z' if is_instant else '')) ~ ' as ' ~ type ~ ')') %}
{% endmacro %}

{#- Step 2, the values; beside them the source values as lineage keeps them, and what later steps need. -#}
{% macro _value_items(plan) %}
  {% set items = [] %}
  {% for column in plan.columns %}
    {% do items.append(column.expression ~ ' as ' ~ column.value) %}
    {% if column.default_expression %}
      {% do items.append(column.default_expression ~ ' as ' ~ column.default) %}
    {% endif %}
  {% endfor %}
  {% if plan.watermark %}
    {% do items.append(lineage_audit.quote_name(plan.watermark.column) ~ ' as _lineage_watermark') %}
  {% endif %}
  {% if plan.latest_by %}
    {% set raw = [] %}
    {% for name in plan.fields | map(attribute='column') %}
      {% do raw.append({'name': name, 'expression': lineage_audit.quote_name(name)}) %}
    {% endfor %}
    {% do items.append(lineage_audit.quote_name(plan.latest_by) ~ ' as _lineage_latest_by') %}
    {% do items.append(lineage_audit.json_object(raw) ~ ' as _lineage_tie') %}
  {% endif %}
  {% do items.extend(plan.get('carried', [])) %}
  {% do items.append(lineage_audit._source_values(plan) ~ ' as _lineage_source_values') %}
  {% do return(items) %}
{% endmacro %}

{% macro _source_values(plan) %}
  {% set members = [] %}
  {% for field in plan.struct_fields %}
    {% if field.column is none %}
      {% do members.append({'name': field.name, 'expression': 'cast(null as ' ~ field.field_type ~ ')'}) %}
    {% else %}
      {% do members.append({'name': field.name, 'expression': lineage_audit._marked(lineage_audit.quote_name(field.column), field.type, field.mark)}) %}
    {% endif %}
  {% endfor %}
  {% do return(lineage_audit.struct_of(members, '    ')) %}
{% endmacro %}

{#- A value as it may be written down: as it is, as ***, or as its keyed hash. NULL stays NULL. -#}
{% macro _marked(expression, type, mark) %}
  {% if mark == 'mask' %}
    {% do return('case when ' ~ expression ~ " is not null then '***' end") %}
  {% elif mark == 'hash' %}
    {% do return(lineage_audit.keyed_hash_of(lineage_audit.text_of_value(expression, type))) %}
  {% endif %}
  {% do return(expression) %}
{% endmacro %}

{#- Steps 3 and 4: cast and default. The value before the cast is carried along where the cast may refuse it. -#}
{% macro _mapped_items(plan) %}
  {% set items = [] %}
  {% for column in plan.columns %}
    {% do items.append(lineage_audit._cast(column) ~ ' as ' ~ column.quoted) %}
    {% if column.can_fail %}
      {% do items.append(column.value) %}
      {% if column.default_expression %}
        {% do items.append(column.default) %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {% if plan.watermark %}
    {% do items.append('_lineage_watermark') %}
  {% endif %}
  {% if plan.latest_by %}
    {% do items.extend(['_lineage_latest_by', '_lineage_tie']) %}
  {% endif %}
  {% do items.extend(plan.get('carried', [])) %}
  {% do items.append('_lineage_source_values') %}
  {% do return(items) %}
{% endmacro %}

{#- A nested value that loses an element in its cast has lost it all: it holds more NULLs after than before. -#}
{% macro _cast(column) %}
  {% set value = lineage_audit._cast_or_default(column) %}
  {% if not column.nested %}
    {% do return(value) %}
  {% endif %}
  {% set nulls_before = lineage_audit.nulls_within(column.value, column.get('from_text')) %}
  {% if column.default_expression %}
    {% set nulls_before = 'coalesce(' ~ nulls_before ~ ', ' ~ lineage_audit.nulls_within(column.default) ~ ')' %}
  {% endif %}
  {% do return('case when coalesce(' ~ lineage_audit.nulls_within(value) ~ ' > ' ~ nulls_before ~ ', false) then null else ' ~ value ~ ' end') %}
{% endmacro %}

{% macro _cast_or_default(column) %}
  {% if column.data_type %}
    {% set value = 'try_cast(' ~ column.value ~ ' as ' ~ column.data_type ~ ')' %}
    {% if column.default_expression %}
      {% do return('case when ' ~ column.value ~ ' is null then try_cast(' ~ column.default ~ ' as ' ~ column.data_type ~ ') else ' ~ value ~ ' end') %}
    {% endif %}
    {% do return(value) %}
  {% elif column.default_expression %}
    {% set default = 'try_cast(' ~ column.default ~ ' as ' ~ column.declared_type ~ ')' if column.declared_type else column.default %}
    {% do return('coalesce(' ~ column.value ~ ', ' ~ default ~ ')') %}
  {% endif %}
  {% do return(column.value) %}
{% endmacro %}

{#- True where the cast of a column lost its value: NULL after and not before. -#}
{% macro _cast_failed(column) %}
  {% set given = column.value ~ ' is not null' %}
  {% if column.default_expression %}
    {% set given = '(' ~ given ~ ' or ' ~ column.default ~ ' is not null)' %}
  {% endif %}
  {% do return('(' ~ given ~ ' and ' ~ column.quoted ~ ' is null)') %}
{% endmacro %}

{#- What must hold for a record to be accepted: steps 5 and 6, the reverse of _reasons. -#}
{% macro _acceptance(plan) %}
  {% set predicates = [] %}
  {% if plan.watermark %}
    {% do predicates.append('_lineage_watermark is not null') %}
  {% endif %}
  {% for column in plan.columns %}
    {% if column.required %}
      {% do predicates.append(column.quoted ~ ' is not null') %}
    {% endif %}
    {% if column.can_fail and not column.required %}
      {% do predicates.append('not ' ~ lineage_audit._cast_failed(column)) %}
    {% endif %}
  {% endfor %}
  {% for rule in plan.validations %}
    {% if rule.severity == 'ERROR' %}
      {% do predicates.append(lineage_audit._passes(rule)) %}
    {% endif %}
  {% endfor %}
  {% do return(predicates) %}
{% endmacro %}

{#- Why a record is refused, as expressions that give a reason or NULL, in the order of the mapping. -#}
{% macro _reasons(plan) %}
  {% set reasons = [] %}
  {% if plan.watermark %}
    {% do reasons.append('case when _lineage_watermark is null then ' ~ lineage_audit.text_literal('not_null:' ~ plan.watermark.column) ~ ' end') %}
  {% endif %}
  {% for column in plan.columns %}
    {% set not_null = lineage_audit.text_literal('not_null:' ~ column.name) %}
    {% if column.can_fail %}
      {% set otherwise = ' when ' ~ column.quoted ~ ' is null then ' ~ not_null if column.required else '' %}
      {% do reasons.append('case when ' ~ lineage_audit._cast_failed(column) ~ ' then ' ~ lineage_audit.text_literal('cast:' ~ column.name) ~ otherwise ~ ' end') %}
    {% elif column.required %}
      {% do reasons.append('case when ' ~ column.quoted ~ ' is null then ' ~ not_null ~ ' end') %}
    {% endif %}
  {% endfor %}
  {% do reasons.extend(lineage_audit._violations(plan, 'ERROR')) %}
  {% do return(reasons) %}
{% endmacro %}

{% macro _violations(plan, severity) %}
  {% set violations = [] %}
  {% for rule in plan.validations %}
    {% if rule.severity == severity %}
      {% do violations.append('case when not (' ~ rule.expression ~ ') then ' ~ lineage_audit.text_literal(rule.id) ~ ' end') %}
    {% endif %}
  {% endfor %}
  {% do return(violations) %}
{% endmacro %}

{% macro _warnings(plan, indent) %}
  {% set predicates = [] %}
  {% for rule in plan.validations | selectattr('severity', 'equalto', 'WARN') %}
    {% do predicates.append(lineage_audit._passes(rule)) %}
  {% endfor %}
  {% do return(lineage_audit._broken(predicates, lineage_audit._violations(plan, 'WARN'), indent)) %}
{% endmacro %}

{#- The list of what a record breaks. Most break nothing, and no list is laid out for them. -#}
{% macro _broken(predicates, reasons, indent) %}
  {% if not reasons %}
    {% do return(lineage_audit.list_of([])) %}
  {% endif %}
  {% do return(
    'case\n' ~ indent ~ '  when ' ~ predicates | join('\n' ~ indent ~ '    and ') ~ '\n' ~ indent ~ '    then ' ~ lineage_audit.list_of([])
    ~ '\n' ~ indent ~ '  else ' ~ lineage_audit.list_without_nulls(reasons, indent ~ '  ') ~ '\n' ~ indent ~ 'end'
  ) %}
{% endmacro %}

{#- As in SQL CHECK, NULL passes. -#}
{% macro _passes(rule) %}
  {% do return('coalesce((' ~ rule.expression ~ '), true)') %}
{% endmacro %}

{#- Step 7: the place of a record among those of its key that are still in. -#}
{% macro _rank(plan, among) %}
  {% set partition = lineage_audit._key_columns(plan) | map(attribute='quoted') | list %}
  {% if among %}
    {% do partition.append(among) %}
  {% endif %}
  {% do return('row_number() over (partition by ' ~ partition | join(', ') ~ ' order by _lineage_latest_by desc nulls last, _lineage_tie desc)') %}
{% endmacro %}

{% macro _key_columns(plan) %}
  {% do return(plan.columns | selectattr('is_key') | list) %}
{% endmacro %}
