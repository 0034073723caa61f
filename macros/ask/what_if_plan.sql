{#- The changed config made ready to be evaluated over what is stored; what can't be is told, all at once. -#}

{#- A plan such as _judged takes it, and: written, groups, needed: the source columns that are evaluated, held_columns: what gold holds,
    evaluated_filters, passed_filters: unchanged ones over what isn't stored, which every stored record has passed, blind_rules, compared, warning_ids,
    config_changes, notes, config_schema. A column that is held keeps the value that gold holds: it is made as it was, of values that can't be had. -#}
{% macro _what_if_plan(target_table, changes, config_schema, endpoint_name) %}
  {% set node = lineage_audit._what_if_node(target_table, endpoint_name) %}
  {% set registered = node.config.meta.lineage_audit %}
  {% set changed = lineage_audit._what_if_config(node, changes, config_schema) %}
  {% set gold = api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) %}
  {% set written = lineage_audit._gold_as_written(gold) %}
  {% if written is none %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: what_if looks at the rows of ' ~ lineage_audit._relation_text(gold) ~ ', and there is no such table, or no successful run of it. Build it first: dbt run --select ' ~ node.name ~ '.'
    ) %}
  {% endif %}
  {% set groups = lineage_audit._stored_groups(written) %}
  {% set last = groups[0] %}
  {% set request = lineage_audit._request_of_stored(node, changed.tables, written, last) %}
  {% set problems = changed.problems | list %}
  {% do problems.extend(lineage_audit._config_problems(dict(request, source_known=false))) %}
  {% do problems.extend(lineage_audit._not_stored(request, last)) %}
  {% set asked = lineage_audit._problems_of_engine(request) | rejectattr('severity', 'equalto', 'warning') | list %}
  {% set planned = {'columns': [], 'filters': [], 'validations': []} %}
  {% if not problems %}
    {% for row in request.rows %}
      {% do planned.columns.append(lineage_audit._planned_column(row, request)) %}
    {% endfor %}
    {% do planned.update(lineage_audit._acting_rules(request)) %}
  {% endif %}
  {% do problems.extend(lineage_audit._refused_by_engine(request, asked, last)) %}
  {% set plan = {
    'target_table': registered.target_table, 'endpoint_name': registered.endpoint_name, 'target_relation': written.target_relation, 'gold': written.gold, 'written': written,
    'keeps_refused': written.keeps_refused, 'groups': groups, 'config_schema': changed.config_schema, 'notes': [], 'needed': [], 'held_columns': [], 'columns': [],
    'filters': [], 'evaluated_filters': [], 'passed_filters': [], 'validations': [], 'blind_rules': [], 'compared': [], 'rule_rows': request.named_rules,
    'config_changes': lineage_audit._config_changes(changed.loaded, changed.tables, registered)
  } %}
  {% do lineage_audit._plan_columns(plan, planned.columns, request, last, problems) %}
  {% if planned.columns %}
    {% do lineage_audit._check_same_key(plan, planned.columns, request, last, problems) %}
  {% endif %}
  {% do lineage_audit._plan_filters(plan, planned.filters, last, asked | map(attribute='key') | list, problems) %}
  {% if problems %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: ' ~ lineage_audit._counted(problems | length, 'problem') ~ ' in what_if of ' ~ registered.target_table ~ ':\n' ~ lineage_audit._numbered(lineage_audit._distinct(problems))
    ) %}
  {% endif %}
  {% do lineage_audit._plan_rules(plan, planned.validations, request, last) %}
  {% do lineage_audit._plan_comparison(plan, last) %}
  {% if request.latest_by is not none %}
    {% do plan.notes.append('Records that share a key are not weighed against each other again (latest_by): those that lost are not looked at.') %}
  {% endif %}
  {% set carried = ['_lineage_place', '_lineage_record_key', '_lineage_target_pk', '_lineage_reasons_before', '_lineage_warnings_before', '_lineage_mapped_json', '_lineage_unknown', '_lineage_is_in'] %}
  {% do plan.update({
    'carried': carried + plan.held_columns | map(attribute='held_name') | list, 'latest_by': none, 'reread': 'none', 'staged': none,
    'struct_fields': [{'name': 'no_source_column', 'column': none, 'field_type': lineage_audit.store_types().text}]
  }) %}
  {% do plan.update({'reads': plan.needed | map(attribute='name') | list + plan.carried}) %}
  {% do plan.update({'source_sql': lineage_audit._what_if_source(plan)}) %}
  {% do return(plan) %}
{% endmacro %}

{#- The model that builds the table; where several endpoints build one of that name, endpoint_name says which. -#}
{% macro _what_if_node(target_table, endpoint_name) %}
  {% set found = [] %}
  {% for node in lineage_audit._mapped_nodes(endpoint_name) if target_table in [node.config.meta.lineage_audit.target_table, node.name] %}
    {% do found.append(node) %}
  {% endfor %}
  {% set by_name = found | selectattr('name', 'equalto', target_table) | list %}
  {% set endpoints = [] %}
  {% for node in found %}
    {% do endpoints.append(node.config.meta.lineage_audit.endpoint_name) if node.config.meta.lineage_audit.endpoint_name not in endpoints %}
  {% endfor %}
  {% if not found %}
    {% set node = lineage_audit._mapped_node(target_table) %}
    {% do exceptions.raise_compiler_error(
      "lineage_audit: '" ~ target_table ~ "' is not built from endpoint '" ~ endpoint_name ~ "', but from " ~ node.config.meta.lineage_audit.endpoint_name ~ '. Leave endpoint_name out.'
    ) %}
  {% elif endpoints | length > 1 %}
    {% do exceptions.raise_compiler_error(
      "lineage_audit: '" ~ target_table ~ "' is built from several endpoints: " ~ endpoints | join(', ') ~ '. Name one as endpoint_name.'
    ) %}
  {% endif %}
  {% do return((by_name or found)[0]) %}
{% endmacro %}

{#- A request over the stored source columns: the source itself is not looked at. -#}
{% macro _request_of_stored(node, tables, written, last) %}
  {% set request = lineage_audit._request_as_registered(node, tables, none, false) %}
  {% do request.update({
    'source_known': true, 'source_columns': last.fields, 'source_name': 'what is stored of ' ~ written.target_relation, 'gold_columns': written.gold_columns
  }) %}
  {% do return(request) %}
{% endmacro %}

{#- Declared source columns that no run has logged. -#}
{% macro _not_stored(request, last) %}
  {% set problems = [] %}
  {% set names = last.fields | map(attribute='name') | list %}
  {% for row in request.rows %}
    {% for name in lineage_audit._split(row.source_columns) if not lineage_audit._find_column(last.fields, name) %}
      {% do problems.append(lineage_audit._problem(
        'field_mapping', lineage_audit._row_key(row), "source column '" ~ name ~ "' is not among the stored source values: no mapping row has declared it.",
        lineage_audit._did_you_mean(name, names, 'Stored are: ' ~ names | join(', ') ~ '.')
        ~ ' If the source has it, declare it in source_columns of a row, build the table once with --full-refresh, and ask again.'
      )) %}
    {% endfor %}
  {% endfor %}
  {% do return(problems) %}
{% endmacro %}

{#- What the engine refuses, but for filters that are as they were: what they need is not stored, and every stored record has passed them. -#}
{% macro _refused_by_engine(request, asked, last) %}
  {% set passed = [] %}
  {% for rule in lineage_audit._sound_rules(request, 'filter') %}
    {% do passed.append(lineage_audit._rule_key(rule)) if lineage_audit._is_rule_as_then({'id': rule.business_rule_id, 'expression': lineage_audit.sql_expression(rule.rule_expression)}, 'filter', last) %}
  {% endfor %}
  {% set problems = [] %}
  {% for problem in asked if problem.key not in passed %}
    {% if 'which ' ~ request.source_name in problem.problem %}
      {% set problem = dict(problem, remedy=problem.remedy ~ ' If the source has it, declare it in source_columns of a row, build the table once with --full-refresh, and ask again.') %}
    {% endif %}
    {% do problems.append(problem) %}
  {% endfor %}
  {% do return(problems) %}
{% endmacro %}

{#- Which columns are evaluated, of which source values, and which are held. -#}
{% macro _plan_columns(plan, planned, request, last, problems) %}
  {% for column in planned %}
    {% set in_gold = lineage_audit._find_column(request.gold_columns, column.name) %}
    {% set as_then = lineage_audit._is_made_as_then(column, last) %}
    {% set why = lineage_audit._why_not_evaluable(column, last) %}
    {% set masked = why is not none and why.reason == 'masked_value' %}
    {% set type = column.type %}
    {% if type is none and as_then and in_gold %}
      {% set type = in_gold.type %}
    {% endif %}
    {% set column = dict(column, held=false, is_blind=false, type=type, known_type=column.type, is_marked=masked or column.mark != 'none') %}
    {% if why is not none and as_then and in_gold %}
      {% set column = dict(
        column, held=true, is_blind=masked or not lineage_audit.is_readable_type(in_gold.type), was=column, type=in_gold.type, gold_type=in_gold.type, data_type=none,
        default_expression=none, can_fail=false, nested=false, required=false
      ) %}
      {% do plan.notes.append(column.name ~ ' is taken as gold holds it: ' ~ lineage_audit._unprovable_sentences()[why.reason] ~ '.') if why.reason != 'masked_value' %}
    {% elif why is not none and why.reason == 'non_deterministic' %}
      {% do plan.notes.append(column.name ~ ': ' ~ lineage_audit._unprovable_sentences()[why.reason] ~ '; a run will give others.') %}
    {% elif why is not none and not (why.reason == 'unreadable_type' and last.capture == 'in_row') %}
      {% do problems.append(lineage_audit._problem('field_mapping', lineage_audit._row_key(column.row), why.problem, why.remedy)) %}
    {% endif %}
    {% if not column.held %}
      {% for name in column.source_columns %}
        {% do lineage_audit._need_field(plan, name, last) %}
      {% endfor %}
    {% endif %}
    {% do plan.columns.append(column) %}
  {% endfor %}
  {% set watermark = lineage_audit._find_column(last.fields, request.watermark) if request.watermark else none %}
  {% if watermark and watermark.mark == 'none' %}
    {% do lineage_audit._need_field(plan, watermark.name, last) %}
  {% else %}
    {% set watermark = none %}
  {% endif %}
  {% do plan.update({'watermark': {'column': watermark.name, 'from': none} if watermark else none}) %}
{% endmacro %}

{% macro _need_field(plan, name, last) %}
  {% set field = lineage_audit._find_column(last.fields, name) %}
  {% if field and not lineage_audit._find_column(plan.needed, name) %}
    {% do plan.needed.append(field) %}
  {% endif %}
{% endmacro %}

{#- {reason, problem, remedy}: why a column can't be made of what is stored; none where it can. -#}
{% macro _why_not_evaluable(column, last) %}
  {% set leave = ' Leave the row as it is here' %}
  {% for name in column.source_columns %}
    {% set field = lineage_audit._find_column(last.fields, name) %}
    {% if field and field.mark != 'none' %}
      {% do return({
        'reason': 'masked_value', 'problem': "source column '" ~ field.name ~ "' is stored " ~ ('masked' if field.mark == 'mask' else 'hashed') ~ ', and a changed row needs its values.',
        'remedy': (leave ~ ', or take the mark out of sensitivity and build the table once with --full-refresh.') | trim
      }) %}
    {% elif field and not lineage_audit.is_readable_type(field.type) %}
      {% do return({
        'reason': 'unreadable_type', 'problem': "source column '" ~ field.name ~ "' is " ~ field.type ~ ', which can not be read back from its text.',
        'remedy': (leave ~ ", or build the table once with capture='in_row', which keeps values as they are.") | trim
      }) %}
    {% endif %}
  {% endfor %}
  {% set why = lineage_audit._why_unprovable({
    'sensitivity': none, 'source_types': [], 'source_columns': column.source_columns, 'transform_expr': column.shown_expression, 'default_expr': column.default_expression
  }) %}
  {% if why is none %}
    {% do return(none) %}
  {% endif %}
  {% do return({
    'reason': why, 'problem': lineage_audit._unprovable_sentences()[why] ~ ', and what_if has only the rows that are stored.', 'remedy': (leave ~ '.') | trim
  }) %}
{% endmacro %}

{#- Records are paired by key: one that is made otherwise pairs nothing. -#}
{% macro _check_same_key(plan, planned, request, last, problems) %}
  {% set was = [] %}
  {% for row in last.mapping.values() if row.is_primary_key == 'true' %}
    {% do was.append(row.target_column) %}
  {% endfor %}
  {% set is = [] %}
  {% set touched = namespace(column=none) %}
  {% for column in planned if column.is_key %}
    {% do is.append(column.name) %}
    {% if not lineage_audit._is_made_as_then(column, last) %}
      {% set touched.column = column %}
    {% endif %}
  {% endfor %}
  {% if was != is or touched.column is not none %}
    {% do problems.append(lineage_audit._problem(
      'field_mapping', plan.endpoint_name ~ ' / ' ~ plan.target_table,
      'the primary key would be ' ~ ('[' ~ is | join(', ') ~ '] instead of [' ~ was | join(', ') ~ ']' if was != is else 'made otherwise (' ~ touched.column.name ~ ')')
      ~ ', and what_if compares each record with itself by its key.', 'Leave the key as it is here; to change it, build the table with --full-refresh.'
    )) %}
  {% endif %}
{% endmacro %}

{#- Filters over stored source columns are evaluated; an unchanged one over others has kept every stored record. That it names no stored
    column is looked at too: DuckDB doesn't refuse "current_date" where no column has that name. -#}
{% macro _plan_filters(plan, filters, last, refused, problems) %}
  {% set ids = filters | map(attribute='id') | list %}
  {% for rule in filters %}
    {% set as_then = lineage_audit._is_rule_as_then(rule, 'filter', last) %}
    {% set masked = [] %}
    {% set names = lineage_audit._columns_named_in([rule], last.fields) %}
    {% for name in names if lineage_audit._find_column(last.fields, name).mark != 'none' %}
      {% do masked.append(name) %}
    {% endfor %}
    {% if as_then and (masked or not names or 'rule ' ~ rule.id in refused) %}
      {% do plan.passed_filters.append(rule) %}
    {% elif masked %}
      {% do problems.append(lineage_audit._problem(
        'business_rules', 'rule ' ~ rule.id, "needs source column '" ~ masked[0] ~ "', which is stored masked or hashed.",
        'Leave the rule as it is here, or take the mark out of sensitivity and build the table once with --full-refresh.'
      )) %}
    {% else %}
      {% do plan.evaluated_filters.append(rule) %}
      {% for name in names %}
        {% do lineage_audit._need_field(plan, name, last) %}
      {% endfor %}
    {% endif %}
  {% endfor %}
  {% for then in last.rules.values() if then.rule_category == 'filter' %}
    {% set now = filters | selectattr('id', 'equalto', then.business_rule_id) | first %}
    {% if not now or not lineage_audit._is_rule_as_then(now, 'filter', last) %}
      {% do plan.notes.append('Rows that filter ' ~ then.business_rule_id ~ ' left out are not stored: how many the ' ~ ('changed filter' if now else 'config without it') ~ ' would let in is not known.') %}
    {% endif %}
  {% endfor %}
{% endmacro %}

{#- The validations; and what stands for the reasons that a held column, or a watermark that is not stored, gives by itself. -#}
{% macro _plan_rules(plan, validations, request, last) %}
  {% set before = '_lineage_reasons_before' %}
  {% if request.watermark and not plan.watermark %}
    {% set reason = 'not_null:' ~ request.watermark %}
    {% do plan.validations.append({'id': reason, 'expression': 'not ' ~ lineage_audit.list_holds(before, reason), 'severity': 'ERROR'}) %}
  {% endif %}
  {% for column in plan.columns | selectattr('held') %}
    {% set cast_failed = lineage_audit.list_holds(before, 'cast:' ~ column.name) %}
    {% if column.was.can_fail %}
      {% do plan.validations.append({'id': 'cast:' ~ column.name, 'expression': 'not ' ~ cast_failed, 'severity': 'ERROR'}) %}
    {% endif %}
    {% if column.was.required %}
      {% set is_there = column.quoted ~ ' is not null' %}
      {% if column.is_blind %}
        {% set is_there = "case when _lineage_place = 'gold' then " ~ is_there ~ ' else ' ~ lineage_audit.member_of_json('_lineage_mapped_json', column.name) ~ ' is not null end' %}
      {% endif %}
      {% do plan.validations.append({'id': 'not_null:' ~ column.name, 'expression': is_there ~ ' or ' ~ cast_failed, 'severity': 'ERROR'}) %}
    {% endif %}
  {% endfor %}
  {% for rule in validations %}
    {% set names = lineage_audit._columns_named_in([rule], plan.columns) %}
    {% set blind = plan.columns | selectattr('is_blind') | selectattr('name', 'in', names) | list %}
    {% if blind %}
      {% do plan.blind_rules.append(dict(rule, columns=names)) %}
      {% set otherwise = 'not ' ~ lineage_audit.list_holds(before, rule.id) if rule.severity == 'ERROR' else 'true' %}
      {% do plan.validations.append(dict(rule, expression="case when _lineage_place = 'gold' then (" ~ rule.expression ~ ') else ' ~ otherwise ~ ' end')) %}
    {% else %}
      {% do plan.validations.append(rule) %}
    {% endif %}
  {% endfor %}
  {% set ids = validations | selectattr('severity', 'equalto', 'WARN') | map(attribute='id') | list %}
  {% for group in plan.groups | selectattr('in_gold', 'equalto', 1) %}
    {% for then in group.rules.values() if then.severity == 'WARN' and then.business_rule_id not in ids %}
      {% do ids.append(then.business_rule_id) %}
    {% endfor %}
  {% endfor %}
  {% do plan.update({'warning_ids': ids | sort}) %}
{% endmacro %}

{#- Which cells are compared: those that the changed config makes, and those that gold would have no more. -#}
{% macro _plan_comparison(plan, last) %}
  {% set columns = [] %}
  {% set gold_columns = plan.written.gold_columns %}
  {% for column in plan.columns %}
    {% set in_gold = lineage_audit._find_column(gold_columns, column.name) %}
    {% set held_name = '_lineage_held_' ~ loop.index %}
    {% if in_gold %}
      {% do plan.held_columns.append({'name': column.name, 'held_name': held_name, 'quoted_in_gold': lineage_audit.quote_name(in_gold.name), 'gold_type': in_gold.type}) %}
    {% endif %}
    {% do columns.append(dict(column, held_name=held_name, expression=held_name if column.held else column.expression)) %}
    {% set type_before = in_gold.type if in_gold else none %}
    {% do plan.compared.append({
      'name': column.name, 'is_new': not in_gold, 'is_gone': false, 'is_marked': column.is_marked, 'type_before': type_before, 'type_after': column.type,
      'before': lineage_audit.text_of(held_name, type_before) if in_gold else 'cast(null as ' ~ lineage_audit.store_types().text ~ ')',
      'after': lineage_audit.text_of_value(column.quoted, column.type),
      'as_values': [held_name, column.quoted] if in_gold and (column.held or lineage_audit._same_type(type_before, column.known_type)) and lineage_audit._is_told_by_value(type_before) else none,
      'as_numbers': in_gold and not lineage_audit._same_type(type_before, column.type) and lineage_audit._is_number_type(type_before)
        and (column.type is none or lineage_audit._is_number_type(column.type))
    }) %}
  {% endfor %}
  {% do plan.update({'columns': columns}) %}
  {% for then in last.mapping.values() %}
    {% set in_gold = lineage_audit._find_column(gold_columns, then.target_column) %}
    {% if in_gold and not lineage_audit._find_column(plan.columns, then.target_column) %}
      {% set held_name = '_lineage_held_' ~ (plan.compared | length + 1) %}
      {% do plan.held_columns.append({'name': then.target_column, 'held_name': held_name, 'quoted_in_gold': lineage_audit.quote_name(in_gold.name), 'gold_type': in_gold.type}) %}
      {% do plan.compared.append({
        'name': then.target_column, 'is_new': false, 'is_gone': true, 'is_marked': then.sensitivity in ['mask', 'hash'], 'type_before': in_gold.type, 'type_after': none,
        'before': lineage_audit.text_of(held_name, in_gold.type), 'after': 'cast(null as ' ~ lineage_audit.store_types().text ~ ')', 'as_numbers': false, 'as_values': none
      }) %}
    {% endif %}
  {% endfor %}
{% endmacro %}

{#- Is it a type of which values are equal exactly where their texts are? -#}
{% macro _is_told_by_value(type) %}
  {% do return(not lineage_audit._is_nested_type(type) and (type | lower).split('(')[0] | trim not in ['double', 'float', 'real', 'json', 'variant', 'interval']) %}
{% endmacro %}

{#- Is it a type whose text is a number? -#}
{% macro _is_number_type(type) %}
  {% do return((type | lower).split('(')[0] | trim in [
    'tinyint', 'smallint', 'integer', 'int', 'bigint', 'long', 'short', 'byte', 'hugeint', 'uhugeint', 'utinyint', 'usmallint', 'uinteger', 'ubigint', 'decimal', 'dec', 'numeric',
    'float', 'real', 'double'
  ]) %}
{% endmacro %}
