{#- What the engine says of the expressions of one mapped table: two batches of queries, none of which is run or names
    data. The first asks what stands for itself: each value and default over the source columns that its row declares,
    the same without each of them, and the filters. The second asks what follows from the first: validations over
    the columns that could be made, and whatever was refused once more over all source columns. -#}
{% macro _problems_of_engine(request) %}
  {% set problems = [] %}
  {% set questions = lineage_audit._questions_of_source(request) %}
  {% set refused = lineage_audit.refusals(questions) %}
  {% for question in questions %}
    {% do question.update({'refusal': refused.get(loop.index0)}) %}
  {% endfor %}
  {% set no_types = questions | selectattr('kind', 'equalto', 'type') | selectattr('refusal') | map(attribute='data_type') | list %}
  {% set further = lineage_audit._questions_of_target(request, questions, no_types) %}
  {% for question in questions %}
    {% if question.refusal and question.get('over_all_columns') %}
      {% set item = question.sql if question.get('data_type') not in no_types else question.sql_without_cast %}
      {% do further.append({
        'kind': 'over all columns', 'of': question, 'tell_why': true,
        'query': lineage_audit._question(request, request.source_columns, item ~ ' as _lineage_value', question.get('predicate'))
      }) %}
    {% endif %}
  {% endfor %}
  {% set refused = lineage_audit.refusals(further) %}
  {% for question in further %}
    {% do question.update({'refusal': refused.get(loop.index0)}) %}
    {% if question.kind == 'over all columns' %}
      {% do question.of.update({'refusal_over_all': question.refusal}) %}
    {% endif %}
  {% endfor %}
  {% set broken_rows = questions | selectattr('kind', 'in', ['value', 'default', 'cast']) | selectattr('refusal') | map(attribute='key') | list %}
  {% set broken_rules = [] %}
  {% for question in questions + further %}
    {% if question.kind == 'unused' %}
      {% if not question.refusal and question.key not in broken_rows %}
        {% do problems.append(lineage_audit._unused_column(question.key, question.column)) %}
      {% endif %}
    {% elif question.kind == 'boolean' %}
      {% if question.refusal and question.key not in broken_rules %}
        {% do problems.append(lineage_audit._warning(
          'business_rules', question.key, 'rule_expression gives no boolean, and a ' ~ question.category ~ ' states what must hold.',
          'Write a condition; what makes a value is a derivation, what replaces NULL a default.'
        )) %}
      {% endif %}
    {% elif question.refusal and question.get('data_type') in no_types and not question.get('refusal_over_all') %}
      {% if question.kind == 'type' %}
        {% for key in question.keys_of_rows %}
          {% do problems.append(lineage_audit._problem(
            'field_mapping', key, "data_type '" ~ question.data_type ~ "' does not compile: " ~ question.refusal | truncate(400, true, '…'), 'Write a type as in cast(… as type).'
          )) %}
        {% endfor %}
      {% endif %}
    {% elif question.refusal and question.kind != 'over all columns' %}
      {% if question.kind in ['filter', 'validation'] %}
        {% do broken_rules.append(question.key) %}
      {% endif %}
      {% if question.kind != 'validation' or not lineage_audit._names_any(question.text, question.unknown) %}
        {% do problems.append(lineage_audit._refused(request, question)) %}
      {% else %}
        {% do problems.append(lineage_audit._warning(
          'business_rules', question.key, 'was not compiled: it uses a column of ' ~ question.place ~ ' whose type is not known.',
          'Mend the errors of that column, build the source, or give the column a data_type.'
        )) %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {% do return(problems) %}
{% endmacro %}

{#- Data types by themselves, once each; values, defaults and filters, over typed columns that hold nothing. -#}
{% macro _questions_of_source(request) %}
  {% set questions = lineage_audit._questions_of_types(request) %}
  {% if not request.source_known %}
    {% do return(questions) %}
  {% endif %}
  {% for row in request.rows %}
    {% set made = lineage_audit._how_a_row_is_made(request, row) %}
    {% set columns = made.columns %}
    {% if made.value and made.is_sound %}
      {% set key = lineage_audit._row_key(row) %}
      {% for part in [made.value, made.default] %}
        {% if part and (part.text or made.data_type) %}
          {% set sql = lineage_audit._cast_to(part.sql, made.data_type) %}
          {% do questions.append({
            'kind': part.kind, 'key': key, 'what': part.what, 'text': part.text, 'columns': columns, 'data_type': made.data_type,
            'sql': sql, 'sql_without_cast': lineage_audit._cast_to(part.sql, none), 'over_all_columns': true,
            'query': lineage_audit._question(request, columns, sql ~ ' as _lineage_value')
          }) %}
        {% endif %}
      {% endfor %}
      {% if made.value.text or made.default %}
        {% for column in columns %}
          {% set items = ['(' ~ made.value.sql ~ ') as _lineage_value'] + (['(' ~ made.default.sql ~ ') as _lineage_default'] if made.default else []) %}
          {% do questions.append({
            'kind': 'unused', 'key': key, 'column': column.name,
            'query': lineage_audit._question(request, columns | rejectattr('name', 'equalto', column.name) | list, items | join(', '))
          }) %}
        {% endfor %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {% for rule in lineage_audit._sound_rules(request, 'filter') %}
    {% set text = lineage_audit.sql_expression(rule.rule_expression) %}
    {% set columns = [] %}
    {% for name in lineage_audit._columns_named_in([{'expression': text}], request.source_columns) %}
      {% do columns.append(lineage_audit._find_column(request.source_columns, name)) %}
    {% endfor %}
    {% set asked = {
      'key': lineage_audit._rule_key(rule), 'what': 'rule_expression', 'category': 'filter', 'text': text, 'place': request.source_name, 'sql': '1', 'predicate': text
    } %}
    {% do questions.append(dict(asked, kind='filter', over_all_columns=true, query=lineage_audit._question(request, columns, '1 as _lineage_value', text))) %}
    {% do questions.append(dict(asked, kind='boolean', query=lineage_audit._boolean_question(lineage_audit._question(request, columns, '(' ~ text ~ ') as _lineage_value')))) %}
  {% endfor %}
  {% do return(questions) %}
{% endmacro %}

{% macro _questions_of_types(request) %}
  {% set rows_of_type = {} %}
  {% for row in request.rows %}
    {% if row.data_type and not lineage_audit._check_data_type('', row.data_type) %}
      {% do rows_of_type.update({row.data_type: rows_of_type.get(row.data_type, []) + [lineage_audit._row_key(row)]}) %}
    {% endif %}
  {% endfor %}
  {% set questions = [] %}
  {% for data_type, keys in rows_of_type.items() %}
    {% do questions.append({
      'kind': 'type', 'key': none, 'data_type': data_type, 'keys_of_rows': keys, 'tell_why': true,
      'query': lineage_audit._question(request, [], 'cast(null as ' ~ data_type ~ ') as _lineage_value')
    }) %}
  {% endfor %}
  {% do return(questions) %}
{% endmacro %}

{#- Validations, over the target's columns as far as their types are known. -#}
{% macro _questions_of_target(request, answered, no_types) %}
  {% set questions = [] %}
  {% set rules = lineage_audit._sound_rules(request, 'validation') %}
  {% if not rules or not request.rows %}
    {% do return(questions) %}
  {% endif %}
  {% set items = ['_lineage_one'] %}
  {% set names = [] %}
  {% set reads = [] %}
  {% set unknown = [] %}
  {% set broken = answered | selectattr('refusal') | rejectattr('kind', 'in', ['unused', 'boolean', 'type']) | map(attribute='key') | list %}
  {% for row in request.rows %}
    {% if row.target_column and (row.target_column | lower) not in names | map('lower') %}
      {% set made = lineage_audit._how_a_row_is_made(request, row) %}
      {% set key = lineage_audit._row_key(row) %}
      {% set name = lineage_audit.quote_name(row.target_column) %}
      {% do names.append(row.target_column) %}
      {% if made.data_type and made.data_type not in no_types %}
        {% do items.append('cast(null as ' ~ made.data_type ~ ') as ' ~ name) %}
      {% elif row.data_type or not request.source_known or not made.value or not made.is_sound or key in broken %}
        {% do items.append('null as ' ~ name) %}
        {% do unknown.append(row.target_column) %}
      {% else %}
        {% for column in made.columns %}
          {% if not lineage_audit._find_column(reads, column.name) %}
            {% do reads.append(column) %}
          {% endif %}
        {% endfor %}
        {% do items.append('(' ~ made.value.sql ~ ') as ' ~ name) %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {% set target_rows = 'select ' ~ items | join(', ') ~ ' from ' ~ lineage_audit._rows_of_nothing(request, reads) %}
  {% set place = request.endpoint_name ~ ' / ' ~ request.target_table %}
  {% for rule in rules %}
    {% set text = lineage_audit.sql_expression(rule.rule_expression) %}
    {% set asked = {'key': lineage_audit._rule_key(rule), 'what': 'rule_expression', 'category': 'validation', 'text': text, 'place': place, 'names': names, 'unknown': unknown} %}
    {% do questions.append(dict(asked, kind='validation', tell_why=true, query='select 1 as _lineage_value from (' ~ target_rows ~ ') as _lineage_target where (' ~ text ~ ')')) %}
    {% do questions.append(dict(asked, kind='boolean', query=lineage_audit._boolean_question('select (' ~ text ~ ') as _lineage_value from (' ~ target_rows ~ ') as _lineage_target'))) %}
  {% endfor %}
  {% do return(questions) %}
{% endmacro %}

{#- {value, default: {kind, what, text: as written or none, sql}, columns: declared ones as the source has them,
    data_type: where it is one, is_sound: may all of it be sent to the engine?}. -#}
{% macro _how_a_row_is_made(request, row) %}
  {% set columns = [] %}
  {% set sound = namespace(yes=true) %}
  {% for name in lineage_audit._split(row.source_columns) %}
    {% set column = lineage_audit._find_column(request.source_columns, name) %}
    {% if not column %}
      {% set sound.yes = false %}
    {% elif column not in columns %}
      {% do columns.append(column) %}
    {% endif %}
  {% endfor %}
  {% set rules = lineage_audit._rules_of_row(request, row) %}
  {% set value = none %}
  {% if row.transform_expr %}
    {% set value = {'kind': 'value', 'what': 'transform_expr', 'text': row.transform_expr} %}
  {% elif rules.get('derivation') %}
    {% set value = {'kind': 'value', 'what': 'derivation ' ~ rules.derivation.business_rule_id, 'text': rules.derivation.rule_expression} %}
  {% elif columns %}
    {% set value = {'kind': 'cast', 'what': 'data_type', 'text': none, 'sql': lineage_audit.quote_name(columns[0].name)} %}
  {% endif %}
  {% set default = none %}
  {% if rules.get('default') %}
    {% set default = {'kind': 'default', 'what': 'default ' ~ rules.default.business_rule_id, 'text': rules.default.rule_expression} %}
  {% endif %}
  {% for part in [value, default] %}
    {% if part and part.kind != 'cast' %}
      {% if not part.text or lineage_audit._check_expression('', '', '', part.text) %}
        {% set sound.yes = false %}
      {% else %}
        {% do part.update({'sql': lineage_audit.sql_expression(part.text)}) %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {% do return({
    'value': value, 'default': default, 'columns': columns, 'is_sound': sound.yes,
    'data_type': row.data_type if row.data_type and not lineage_audit._check_data_type('', row.data_type) else none
  }) %}
{% endmacro %}

{#- The active derivation and default that a row names: {category: rule}. -#}
{% macro _rules_of_row(request, row) %}
  {% set rules = {} %}
  {% for id in lineage_audit._split(row.business_rule_id) %}
    {% set rule = lineage_audit._find_rule(request.named_rules, id) %}
    {% if rule and rule.rule_category not in rules %}
      {% do rules.update({rule.rule_category: rule}) %}
    {% endif %}
  {% endfor %}
  {% do return(rules) %}
{% endmacro %}

{#- The rules of a category that act on the whole table, and whose text may be sent. -#}
{% macro _sound_rules(request, category) %}
  {% set rules = [] %}
  {% for rule in request.named_rules | selectattr('rule_category', 'equalto', category) %}
    {% set acts = rule.endpoint_name == request.endpoint_name and rule.target_table in [none, request.target_table] %}
    {% if acts and rule.rule_expression and not lineage_audit._check_expression('', '', '', rule.rule_expression) %}
      {% do rules.append(rule) %}
    {% endif %}
  {% endfor %}
  {% do return(rules) %}
{% endmacro %}

{#- Beside the expression stands a plain column, or an aggregate over all rows would do. -#}
{% macro _question(request, columns, item, predicate=none) %}
  {% do return(
    'select _lineage_one, ' ~ item ~ ' from ' ~ lineage_audit._rows_of_nothing(request, columns) ~ (' where (' ~ predicate ~ ')' if predicate else '')
  ) %}
{% endmacro %}

{% macro _boolean_question(query) %}
  {% do return('select 1 as _lineage_value from (select bool_and(_lineage_value) as _lineage_value from (' ~ query ~ ') as _lineage_values) as _lineage_booleans where 1 = 0') %}
{% endmacro %}

{#- Typed columns without rows. A nested type's own name can't always be written again: then the source, where there is one, lends
    the columns. -#}
{% macro _rows_of_nothing(request, columns) %}
  {% set nested = [] %}
  {% set items = [] %}
  {% for column in columns %}
    {% if lineage_audit._is_nested_type(column.type) and request.built_source is not none %}
      {% do nested.append(column.name) %}
    {% endif %}
    {% do items.append('cast(null as ' ~ column.type ~ ') as ' ~ lineage_audit.quote_name(column.name)) %}
  {% endfor %}
  {% if nested %}
    {% set items = lineage_audit._quoted_names(columns | map(attribute='name') | list) %}
  {% endif %}
  {% do return(
    '(select ' ~ (items + ['1 as _lineage_one']) | join(', ') ~ (' from ' ~ request.source_name if nested else '') ~ ' where 1 = 0) as _lineage_rows'
  ) %}
{% endmacro %}

{% macro _cast_to(sql, data_type) %}
  {% do return('try_cast((' ~ sql ~ ') as ' ~ data_type ~ ')' if data_type else '(' ~ sql ~ ')') %}
{% endmacro %}

{% macro _names_any(text, names) %}
  {% set columns = [] %}
  {% for name in names %}
    {% do columns.append({'name': name}) %}
  {% endfor %}
  {% do return(lineage_audit._columns_named_in([{'expression': text}], columns) | length > 0) %}
{% endmacro %}

{#- A refusal as a problem: a column that is not declared, one that is nowhere, or what the engine says. -#}
{% macro _refused(request, question) %}
  {% set is_rule = question.kind in ['filter', 'validation'] %}
  {% set seed = 'business_rules' if is_rule else 'field_mapping' %}
  {% set declared = question.names if question.kind == 'validation' else question.get('columns', request.source_columns) | map(attribute='name') | list %}
  {% if not is_rule and not question.get('refusal_over_all') %}
    {% set names = [] %}
    {% for name in lineage_audit._columns_named_in([{'expression': question.text or ''}], request.source_columns) %}
      {% if name not in declared %}
        {% do names.append(name) %}
      {% endif %}
    {% endfor %}
    {% do return(lineage_audit._problem(
      seed, question.key, question.what ~ ' uses ' ~ (names | join(', ') or 'a source column') ~ ', which source_columns does not declare.',
      'Write source_columns as ' ~ (declared + names) | join('|') ~ '.'
    )) %}
  {% endif %}
  {% set message = question.get('refusal_over_all') or question.refusal or 'it uses a column that it does not name.' %}
  {% set place = question.place if is_rule else request.source_name %}
  {% set names = question.names if question.kind == 'validation' else request.source_columns | map(attribute='name') | list %}
  {% set missing = modules.re.search('(?:Referenced column|with name) ["`]([^"`]+)["`] (?:not found|cannot be resolved)', message) %}
  {% if missing %}
    {% do return(lineage_audit._problem(
      seed, question.key, question.what ~ " uses column '" ~ missing.group(1) ~ "', which " ~ place ~ ' does not have.',
      lineage_audit._did_you_mean(missing.group(1), names, 'It has: ' ~ names | join(', ') ~ '.')
    )) %}
  {% endif %}
  {% if modules.re.search('_lineage_one|MISSING_GROUP_BY|MISSING_AGGREGATION', message) %}
    {% set message = 'it aggregates, and a value is made of one row.' %}
  {% endif %}
  {% do return(lineage_audit._problem(
    seed, question.key, question.what ~ ' does not compile' ~ (' over the columns of ' ~ place if is_rule else '') ~ ': ' ~ message | truncate(400, true, '…'),
    'Mend the ' ~ ('data_type' if question.kind == 'cast' else 'expression') ~ ' (' ~ target.type ~ ').'
  )) %}
{% endmacro %}

{% macro _unused_column(key, column) %}
  {% do return(lineage_audit._warning(
    'field_mapping', key, "source column '" ~ column ~ "' is declared, and neither the value nor a default uses it.", 'Take it out of source_columns.'
  )) %}
{% endmacro %}
