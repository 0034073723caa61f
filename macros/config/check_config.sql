{#- Checks of one model's config. Each check takes the request (see _request in macros/mapping) and returns problems:
    {seed, key, problem, remedy}. All checks run, so that one message names every problem. They know the config tables
    and the source's columns; what else there is to check is in validate_config.sql and ask_engine.sql. -#}
{% macro _config_problems(request) %}
  {% set problems = [] %}
  {% do problems.extend(lineage_audit._check_seed_loader(request)) %}
  {% do problems.extend(lineage_audit._check_config_columns(request)) %}
  {% if not request.get('unmapped') %}
    {% do problems.extend(lineage_audit._check_endpoint(request)) %}
  {% endif %}
  {% do problems.extend(lineage_audit._check_arguments(request)) %}
  {% do problems.extend(lineage_audit._check_mapping_rows(request)) %}
  {% do problems.extend(lineage_audit._check_source_columns(request)) %}
  {% do problems.extend(lineage_audit._check_rules(request)) %}
  {% do problems.extend(lineage_audit._check_tables_of_rules(request)) %}
  {% do problems.extend(lineage_audit._check_keys(request)) %}
  {% do problems.extend(lineage_audit._check_materialization(request)) %}
  {% do problems.extend(lineage_audit._check_hash_key(request)) %}
  {% do return(problems) %}
{% endmacro %}

{% macro _problem(seed, key, problem, remedy) %}
  {% do return({'seed': seed, 'key': key, 'problem': problem, 'remedy': remedy}) %}
{% endmacro %}

{#- What may be meant, and deserves a look: only validate_config says it, and it fails nothing. -#}
{% macro _warning(seed, key, problem, remedy) %}
  {% do return({'seed': seed, 'key': key, 'problem': problem, 'remedy': remedy, 'severity': 'warning'}) %}
{% endmacro %}

{% macro _raise_problems(model_name, problems) %}
  {% do exceptions.raise_compiler_error(
    'lineage_audit: ' ~ problems | length ~ (' problem' if problems | length == 1 else ' problems') ~ ' in the config of model ' ~ model_name
    ~ ', found before any data moved:\n' ~ lineage_audit._numbered(problems)
  ) %}
{% endmacro %}

{% macro _numbered(problems) %}
  {% set lines = [] %}
  {% for item in problems %}
    {% do lines.append('  ' ~ loop.index ~ '. ' ~ item.seed ~ ' · ' ~ item.key ~ ': ' ~ item.problem ~ ' ' ~ item.remedy) %}
  {% endfor %}
  {% do return(lines | join('\n')) %}
{% endmacro %}

{% macro _row_key(row) %}
  {% do return((row.endpoint_name or '(no endpoint)') ~ ' / ' ~ (row.target_table or '(no target_table)') ~ ' / ' ~ (row.target_column or '(no target_column)')) %}
{% endmacro %}

{% macro _did_you_mean(name, candidates, otherwise) %}
  {% set names = lineage_audit.nearest_names(name, candidates) %}
  {% if names %}
    {% do return('Did you mean ' ~ names | join(', ') ~ '?') %}
  {% endif %}
  {% do return(otherwise) %}
{% endmacro %}

{% macro _check_seed_loader(request) %}
  {% set problems = [] %}
  {% if target.type == 'spark' %}
    {% for seed, rows in request.tables.items() %}
      {% set spoilt = [] %}
      {% for name in (rows[0] if rows else []) %}
        {% if rows | selectattr(name, 'equalto', 'None') | list %}
          {% do spoilt.append(name) %}
        {% endif %}
      {% endfor %}
      {% if spoilt %}
        {% do problems.append(lineage_audit._problem(
          seed, 'column ' ~ spoilt | join(', '),
          "holds the text None: dbt-spark's own seed loader writes it for an empty cell.",
          "Add to dbt_project.yml «dispatch: [{macro_namespace: dbt, search_order: [" ~ project_name ~ ", lineage_audit, dbt]}]» and run dbt seed --full-refresh again."
        )) %}
      {% endif %}
    {% endfor %}
  {% endif %}
  {% do return(problems) %}
{% endmacro %}

{#- A misspelt column counts as empty throughout, and its cells as the user's own: nobody would see it. -#}
{% macro _check_config_columns(request) %}
  {% set problems = [] %}
  {% for seed, names in request.get('config_columns', {}).items() %}
    {% set known = lineage_audit._config_columns()[seed] %}
    {% set missing = known | reject('in', names) | list %}
    {% set explained = [] %}
    {% for name in names | reject('in', known) %}
      {% set meant = lineage_audit.nearest_names(name, missing, 1, 0.65) %}
      {% if meant %}
        {% do explained.extend(meant) %}
        {% do problems.append(lineage_audit._problem(
          seed, 'column ' ~ name, 'is not a column that the package reads, and ' ~ meant[0] ~ ' is missing.', 'Did you mean ' ~ meant[0] ~ '?'
        )) %}
      {% endif %}
    {% endfor %}
    {% for name in missing %}
      {% if name in lineage_audit._required_config_columns()[seed] and name not in explained %}
        {% do problems.append(lineage_audit._problem(seed, 'column ' ~ name, 'is missing.', 'Add it to the header: without it no row says anything.')) %}
      {% endif %}
    {% endfor %}
  {% endfor %}
  {% do return(problems) %}
{% endmacro %}

{% macro _required_config_columns() %}
  {% do return({
    'api_endpoints': ['endpoint_name'],
    'field_mapping': ['endpoint_name', 'target_table', 'target_column', 'is_primary_key'],
    'business_rules': ['business_rule_id', 'endpoint_name', 'rule_category', 'rule_expression']
  }) %}
{% endmacro %}

{% macro _check_flag(seed, key, column, text) %}
  {% if text and (text | lower) not in ['true', 'false', 't', 'f', 'yes', 'no', 'y', 'n', '1', '0'] %}
    {% do return([lineage_audit._problem(seed, key, column ~ " '" ~ text ~ "' is no boolean.", 'Write true or false.')]) %}
  {% endif %}
  {% do return([]) %}
{% endmacro %}

{% macro _check_endpoint(request) %}
  {% set names = request.tables.api_endpoints | map(attribute='endpoint_name') | select | list %}
  {% set found = request.tables.api_endpoints | selectattr('endpoint_name', 'equalto', request.endpoint_name) | list %}
  {% set key = 'endpoint ' ~ request.endpoint_name %}
  {% if not found %}
    {% do return([lineage_audit._problem(
      'api_endpoints', key, 'there is no such endpoint.',
      lineage_audit._did_you_mean(request.endpoint_name, names, 'Add a row to api_endpoints, or name one of: ' ~ (names | join(', ') or 'none is there') ~ '.')
    )]) %}
  {% elif found | length > 1 %}
    {% do return([lineage_audit._problem('api_endpoints', key, 'stands there ' ~ found | length ~ ' times.', 'Leave one row of it.')]) %}
  {% endif %}
  {% set problems = lineage_audit._check_flag('api_endpoints', key, 'active_flag', found[0].active_flag) %}
  {% if not problems and not lineage_audit._is_true(found[0].active_flag, true) %}
    {% do problems.append(lineage_audit._problem(
      'api_endpoints', key, 'is inactive (active_flag is ' ~ found[0].active_flag ~ ').', 'Set active_flag to true, or disable the model.'
    )) %}
  {% endif %}
  {% do return(problems) %}
{% endmacro %}

{% macro _check_arguments(request) %}
  {% set problems = [] %}
  {% set key = 'mapped_model in ' ~ request.model_name %}
  {% set names = request.source_columns | map(attribute='name') | list %}
  {% for argument, column in {'watermark': request.watermark, 'latest_by': request.latest_by}.items() %}
    {% if column is not none and request.source_known and not lineage_audit._find_column(request.source_columns, column) %}
      {% do problems.append(lineage_audit._problem(
        'model', key, argument ~ " names column '" ~ column ~ "', which " ~ request.source_name ~ ' does not have.',
        lineage_audit._did_you_mean(column, names, 'It has: ' ~ names | join(', ') ~ '.')
      )) %}
    {% endif %}
  {% endfor %}
  {% if request.marks.get((request.watermark or '') | lower) %}
    {% do problems.append(lineage_audit._problem(
      'model', key, "watermark '" ~ request.watermark ~ "' is a column marked " ~ request.marks[request.watermark | lower] ~ ', and marks are stored as they are.',
      'Name another watermark, or leave the column unmarked.'
    )) %}
  {% endif %}
  {% if request.lateness is not none %}
    {% if request.watermark is none %}
      {% do problems.append(lineage_audit._problem('model', key, 'lateness is given without a watermark.', 'Add watermark, or leave lateness out.')) %}
    {% endif %}
    {% if not modules.re.match('^ *[0-9]+ +(second|minute|hour|day|week|month|year)s?( +[0-9]+ +(second|minute|hour|day|week|month|year)s?)* *$', request.lateness | lower) %}
      {% do problems.append(lineage_audit._problem('model', key, "lateness '" ~ request.lateness ~ "' is no interval.", "Write it as number and unit: '3 days', '6 hours'.")) %}
    {% endif %}
    {% set column = lineage_audit._find_column(request.source_columns, request.watermark or '') %}
    {% if column and not (column.type | lower).startswith('timestamp') and (column.type | lower) != 'date' %}
      {% do problems.append(lineage_audit._problem(
        'model', key, 'lateness needs a date or timestamp as watermark; ' ~ column.name ~ ' is ' ~ column.type ~ '.', 'Leave lateness out, or name another watermark.'
      )) %}
    {% endif %}
    {% if request.materialized == 'incremental' and request.strategy not in ['merge', 'delete+insert'] %}
      {% do problems.append(lineage_audit._problem(
        'model', key, 'lateness reads rows again, and strategy ' ~ request.strategy ~ ' would write them twice.', "Set incremental_strategy to 'merge' or 'delete+insert'."
      )) %}
    {% endif %}
  {% endif %}
  {% if request.capture not in ['exploded', 'compact', 'in_row'] %}
    {% do problems.append(lineage_audit._problem('model', key, "capture '" ~ request.capture ~ "' is unknown.", 'Write exploded, compact or in_row (argument capture, or var lineage_audit_capture).')) %}
  {% endif %}
  {% if request.rejected not in ['quarantine', 'keep'] %}
    {% do problems.append(lineage_audit._problem('model', key, "rejected '" ~ request.rejected ~ "' is unknown.", 'Write quarantine or keep.')) %}
  {% elif request.rejected == 'keep' %}
    {% do problems.extend(lineage_audit._check_keep(request)) %}
  {% endif %}
  {% do return(problems) %}
{% endmacro %}

{#- Where refused records stay in the table: they must be able to, and must not replace accepted ones. -#}
{% macro _check_keep(request) %}
  {% set problems = [] %}
  {% set key = 'mapped_model in ' ~ request.model_name %}
  {% if request.materialized == 'incremental' and request.strategy not in ['append', 'insert_overwrite'] %}
    {% do problems.append(lineage_audit._problem(
      'model', key, "rejected='keep' with strategy " ~ request.strategy ~ ': a refused version of a record would replace the accepted one.',
      "Use rejected='quarantine', or set incremental_strategy to 'append' or 'insert_overwrite'."
    )) %}
  {% endif %}
  {% for column in request.get('not_null_columns', []) %}
    {% if column in request.rows | map(attribute='target_column') | select | map('lower') | list %}
      {% do problems.append(lineage_audit._problem(
        'model', key, "rejected='keep' with an enforced contract that has " ~ column ~ ' not null: a refused record may hold NULL there.',
        "Use rejected='quarantine', or take the constraint out; the data test not_null, on serving_view, does not mind refused records."
      )) %}
    {% endif %}
  {% endfor %}
  {% do return(problems) %}
{% endmacro %}

{% macro _check_mapping_rows(request) %}
  {% set problems = [] %}
  {% if not request.rows and not request.get('unmapped') %}
    {% set inactive = request.all_rows | length %}
    {% set tables = lineage_audit._tables_of_endpoint(request) %}
    {% do problems.append(lineage_audit._problem(
      'field_mapping', request.endpoint_name ~ ' / ' ~ request.target_table,
      'has no active mapping (' ~ inactive ~ ' inactive).',
      'Set active_flag of a row to true.' if inactive
      else 'Add rows, or give mapped_model the target_table that field_mapping names: ' ~ (tables | join(', ') or 'it has none for this endpoint') ~ '.'
    )) %}
  {% endif %}
  {#- A row whose flag can't be read is not active, so it is looked for among all. -#}
  {% for row in request.all_rows %}
    {% do problems.extend(lineage_audit._check_flag('field_mapping', lineage_audit._row_key(row), 'active_flag', row.active_flag)) %}
  {% endfor %}
  {% set seen = {} %}
  {% for row in request.rows %}
    {% set key = lineage_audit._row_key(row) %}
    {% if not row.target_column %}
      {% do problems.append(lineage_audit._problem('field_mapping', key, 'target_column is empty.', 'Name the column to be built.')) %}
    {% else %}
      {% set lower = row.target_column | lower %}
      {% if lower in seen %}
        {% do problems.append(lineage_audit._problem(
          'field_mapping', key, 'target column ' ~ row.target_column ~ ' is mapped twice (also by ' ~ seen[lower] ~ ').', 'Leave one active row of it.'
        )) %}
      {% endif %}
      {% do seen.update({lower: row.target_column}) %}
      {% if lower.startswith('_lineage_') or lower.startswith('_value_') or lower.startswith('_default_') %}
        {% do problems.append(lineage_audit._problem('field_mapping', key, 'names that begin with _lineage_, _value_ or _default_ are kept for the package.', 'Rename target_column.')) %}
      {% endif %}
    {% endif %}
    {% for flag in ['is_primary_key', 'nullable'] %}
      {% do problems.extend(lineage_audit._check_flag('field_mapping', key, flag, row[flag])) %}
    {% endfor %}
    {% if row.sensitivity and row.sensitivity not in ['none', 'mask', 'hash'] %}
      {% do problems.append(lineage_audit._problem('field_mapping', key, "sensitivity '" ~ row.sensitivity ~ "' is unknown.", 'Write none, mask or hash.')) %}
    {% endif %}
    {% if row.target_layer and row.target_layer not in ['silver', 'gold', 'api_view'] %}
      {% do problems.append(lineage_audit._problem('field_mapping', key, "target_layer '" ~ row.target_layer ~ "' is unknown.", 'Write silver, gold or api_view.')) %}
    {% endif %}
    {% if row.column_position and not modules.re.match('^-?[0-9]+$', row.column_position) %}
      {% do problems.append(lineage_audit._problem('field_mapping', key, "column_position '" ~ row.column_position ~ "' is no integer.", 'Write 1, 2, 3 …, or leave it empty.')) %}
    {% endif %}
    {% do problems.extend(lineage_audit._check_data_type(key, row.data_type)) %}
    {% do problems.extend(lineage_audit._check_expression('field_mapping', key, 'transform_expr', row.transform_expr)) %}
  {% endfor %}
  {% do return(problems) %}
{% endmacro %}

{% macro _check_data_type(key, data_type) %}
  {% if not data_type %}
    {% do return([]) %}
  {% endif %}
  {% set problems = lineage_audit._check_sql('field_mapping', key, 'data_type', data_type) %}
  {% if not problems and not lineage_audit._is_nested_type(data_type) %}
    {% set word = (data_type | lower).split('(')[0].split(' ')[0] | trim %}
    {% if word not in lineage_audit.scalar_types() %}
      {% do problems.append(lineage_audit._problem(
        'field_mapping', key, "data_type '" ~ data_type ~ "' is no type of " ~ target.type ~ '.',
        lineage_audit._did_you_mean(word, lineage_audit.scalar_types(), 'Write a type as in cast(… as type).')
      )) %}
    {% endif %}
  {% endif %}
  {% do return(problems) %}
{% endmacro %}

{% macro _check_expression(seed, key, column, expression) %}
  {% if not expression %}
    {% do return([]) %}
  {% endif %}
  {% set problems = lineage_audit._check_sql(seed, key, column, expression) %}
  {% if not problems %}
    {% set depth = namespace(now=0, commas=0) %}
    {% for mark in modules.re.findall('[(){},]|\\[|\\]', lineage_audit._without_literals(expression)) %}
      {% if mark == ',' and depth.now == 0 %}
        {% set depth.commas = depth.commas + 1 %}
      {% elif mark != ',' %}
        {% set depth.now = depth.now + (1 if mark in '([{' else -1) %}
      {% endif %}
    {% endfor %}
    {% if depth.commas %}
      {% do problems.append(lineage_audit._problem(seed, key, column ~ ' holds a comma outside of parentheses.', 'Write one expression.')) %}
    {% endif %}
  {% endif %}
  {% do return(problems) %}
{% endmacro %}

{% macro _without_literals(text) %}
  {% do return(modules.re.sub(lineage_audit.literal_pattern(), '', text)) %}
{% endmacro %}

{#- What would end the statement, swallow the rest of the line or reach out of the place that the text is given,
    outside its own literals and names. -#}
{% macro _check_sql(seed, key, column, text) %}
  {% set bare = lineage_audit._without_literals(text) %}
  {% set problems = [] %}
  {% for mark, name in {';': 'a semicolon', '--': 'a comment', '/*': 'a comment'}.items() %}
    {% if mark in bare %}
      {% do problems.append(lineage_audit._problem(seed, key, column ~ ' holds ' ~ name ~ ' (' ~ mark ~ ').', 'Write one expression; notes belong in description or message.')) %}
    {% endif %}
  {% endfor %}
  {% set order = namespace(open=0, broken=false) %}
  {% for mark in modules.re.findall('[()]', bare) %}
    {% set order.open = order.open + (1 if mark == '(' else -1) %}
    {% if order.open < 0 %}
      {% set order.broken = true %}
    {% endif %}
  {% endfor %}
  {% if order.open != 0 %}
    {% do problems.append(lineage_audit._problem(seed, key, column ~ ' has ' ~ bare.count('(') ~ ' opening and ' ~ bare.count(')') ~ ' closing parentheses.', 'Balance them.')) %}
  {% elif order.broken %}
    {% do problems.append(lineage_audit._problem(seed, key, column ~ ' closes a parenthesis that it has not opened.', 'Balance them.')) %}
  {% endif %}
  {% if "'" in bare or '"' in bare %}
    {% do problems.append(lineage_audit._problem(seed, key, column ~ ' has a quote that is not closed.', 'Close it; a quote within a text is written twice.')) %}
  {% endif %}
  {% if modules.re.search('\\$\\w*\\$', bare) %}
    {% do problems.append(lineage_audit._problem(seed, key, column ~ ' holds a text between dollar signs ($$ or $tag$).', "Write it between single quotes: 'text'.")) %}
  {% endif %}
  {% do return(problems) %}
{% endmacro %}

{% macro _check_source_columns(request) %}
  {% set problems = [] %}
  {% if not request.source_known %}
    {% do return(problems) %}
  {% endif %}
  {% set names = request.source_columns | map(attribute='name') | list %}
  {% for row in request.rows %}
    {% for column in lineage_audit._split(row.source_columns) %}
      {% if not lineage_audit._find_column(request.source_columns, column) %}
        {% do problems.append(lineage_audit._problem(
          'field_mapping', lineage_audit._row_key(row), "source column '" ~ column ~ "' does not exist in " ~ request.source_name ~ '.',
          lineage_audit._did_you_mean(column, names, 'It has: ' ~ names | join(', ') ~ '.')
        )) %}
      {% endif %}
    {% endfor %}
  {% endfor %}
  {% do return(problems) %}
{% endmacro %}

{% macro _check_rules(request) %}
  {% set problems = [] %}
  {% set ids = request.tables.business_rules | map(attribute='business_rule_id') | select | list %}
  {% for row in request.rows %}
    {% set key = lineage_audit._row_key(row) %}
    {% set named = {'derivation': [], 'default': []} %}
    {% set switched_off = [] %}
    {% for id in lineage_audit._split(row.business_rule_id) %}
      {% set rule = lineage_audit._find_rule(request.tables.business_rules, id) %}
      {% if not rule %}
        {% do problems.append(lineage_audit._problem(
          'field_mapping', key, "business_rule_id '" ~ id ~ "' is unknown.", lineage_audit._did_you_mean(id, ids, 'Add the rule to business_rules.')
        )) %}
      {% elif lineage_audit._is_true(rule.active_flag, true) %}
        {% if rule.rule_category in named %}
          {% do named[rule.rule_category].append(id) %}
        {% endif %}
        {% if rule.endpoint_name and rule.endpoint_name != request.endpoint_name %}
          {% do problems.append(lineage_audit._problem(
            'field_mapping', key, "rule '" ~ id ~ "' belongs to endpoint " ~ rule.endpoint_name ~ '.', 'Name a rule of ' ~ request.endpoint_name ~ '.'
          )) %}
        {% endif %}
      {% elif rule.rule_category == 'derivation' %}
        {% do switched_off.append(id) %}
      {% endif %}
    {% endfor %}
    {% for category, found in named.items() %}
      {% if found | length > 1 %}
        {% do problems.append(lineage_audit._problem('field_mapping', key, 'names ' ~ found | length ~ ' ' ~ category ~ ' rules: ' ~ found | join(', ') ~ '.', 'Leave one of them.')) %}
      {% endif %}
    {% endfor %}
    {% set source_columns = lineage_audit._split(row.source_columns) %}
    {% if not row.transform_expr and not named.derivation and (not source_columns or (switched_off and source_columns | length > 1)) %}
      {% do problems.append(lineage_audit._problem(
        'field_mapping', key, 'has no value: no transform_expr, no active derivation rule, and ' ~ (source_columns | length or 'no') ~ ' source columns.',
        'Write transform_expr, activate the derivation rule, or leave one source column.'
      )) %}
    {% endif %}
  {% endfor %}
  {% do problems.extend(lineage_audit._check_rule_rows(request.named_rules)) %}
  {% do return(problems) %}
{% endmacro %}

{#- Rules by themselves. -#}
{% macro _check_rule_rows(rules) %}
  {% set problems = [] %}
  {% set seen = [] %}
  {% for rule in rules %}
    {% set key = lineage_audit._rule_key(rule) %}
    {% if rule.business_rule_id in seen %}
      {% do problems.append(lineage_audit._problem('business_rules', key, 'stands there more than once.', 'business_rule_id is the key: leave one row of it.')) %}
    {% endif %}
    {% do seen.append(rule.business_rule_id) %}
    {% if modules.re.match('duplicate_key$|cast:|not_null:', rule.business_rule_id or '') %}
      {% do problems.append(lineage_audit._problem(
        'business_rules', key, "'duplicate_key', and what begins with 'cast:' or 'not_null:', is what the package itself gives as reason.", 'Rename it, here and in the rows that name it.'
      )) %}
    {% endif %}
    {% if rule.rule_category not in ['derivation', 'default', 'filter', 'validation'] %}
      {% do problems.append(lineage_audit._problem(
        'business_rules', key, "rule_category '" ~ (rule.rule_category or '') ~ "' is unknown.", 'Write derivation, default, filter or validation.'
      )) %}
    {% elif not rule.rule_expression %}
      {% do problems.append(lineage_audit._problem('business_rules', key, 'rule_expression is empty.', 'Write what must hold (filter, validation) or the value (derivation, default).')) %}
    {% endif %}
    {% if rule.rule_category == 'validation' and rule.severity not in ['WARN', 'ERROR'] %}
      {% do problems.append(lineage_audit._problem('business_rules', key, "severity '" ~ (rule.severity or '') ~ "' is unknown.", 'Write WARN or ERROR.')) %}
    {% endif %}
    {% do problems.extend(lineage_audit._check_expression('business_rules', key, 'rule_expression', rule.rule_expression)) %}
  {% endfor %}
  {% do return(problems) %}
{% endmacro %}

{% macro _rule_key(rule) %}
  {% do return('rule ' ~ (rule.business_rule_id or '(no business_rule_id)')) %}
{% endmacro %}

{#- A rule of this endpoint that can act nowhere, and one whose flag can't be read: neither would be applied. -#}
{% macro _check_tables_of_rules(request) %}
  {% set problems = [] %}
  {% set tables = [request.target_table] + lineage_audit._tables_of_endpoint(request) | reject('equalto', request.target_table) | list %}
  {% for rule in lineage_audit._rows_of_endpoint(request.tables.business_rules, request.endpoint_name) %}
    {% set key = lineage_audit._rule_key(rule) %}
    {% set unread = lineage_audit._check_flag('business_rules', key, 'active_flag', rule.active_flag) %}
    {% if rule.target_table in [none, request.target_table] %}
      {% do problems.extend(unread) %}
    {% elif rule.target_table not in tables and (unread or lineage_audit._is_true(rule.active_flag, true)) %}
      {% do problems.append(lineage_audit._problem(
        'business_rules', key, "target_table '" ~ rule.target_table ~ "' is unknown: field_mapping has no such table of " ~ rule.endpoint_name ~ ', so the rule acts nowhere.',
        lineage_audit._did_you_mean(rule.target_table, tables, 'It has: ' ~ tables | join(', ') ~ '. Empty means every table of the endpoint.')
      )) %}
      {% do problems.extend(unread) %}
    {% endif %}
  {% endfor %}
  {% do return(problems) %}
{% endmacro %}

{#- The tables that field_mapping names for the endpoint. -#}
{% macro _tables_of_endpoint(request) %}
  {% do return(
    lineage_audit._rows_of_endpoint(request.tables.field_mapping, request.endpoint_name) | map(attribute='target_table') | select | unique(case_sensitive=true) | list
  ) %}
{% endmacro %}

{% macro _check_keys(request) %}
  {% set problems = [] %}
  {% set keys = [] %}
  {% for row in request.rows %}
    {% if lineage_audit._is_true(row.is_primary_key, false) and row.target_column %}
      {% do keys.append(row.target_column) %}
      {% for column in lineage_audit._split(row.source_columns) %}
        {% if request.marks.get(column | lower) == 'mask' %}
          {% do problems.append(lineage_audit._problem(
            'field_mapping', lineage_audit._row_key(row), "source column '" ~ column ~ "' is marked mask, and a key is made of it: masked keys would all be one.",
            'Mark it hash wherever it is marked mask.'
          )) %}
        {% endif %}
      {% endfor %}
    {% endif %}
  {% endfor %}
  {% if request.rows and not keys %}
    {% do problems.append(lineage_audit._problem(
      'field_mapping', request.endpoint_name ~ ' / ' ~ request.target_table, 'no active row is part of a primary key.', 'Set is_primary_key to true for the key columns.'
    )) %}
  {% endif %}
  {% set wanted = [] %}
  {% for name in request.unique_key %}
    {% do wanted.append(name | replace('"', '') | replace('`', '') | lower) %}
  {% endfor %}
  {% set mapped = [] %}
  {% for name in keys %}
    {% do mapped.append(name | lower) %}
  {% endfor %}
  {% if keys and request.unique_key and wanted | sort != mapped | sort %}
    {% do problems.append(lineage_audit._problem(
      'model', 'unique_key of ' ~ request.model_name, '[' ~ wanted | join(', ') ~ '] is not the key of field_mapping, [' ~ keys | join(', ') ~ '].', 'Make the two name the same columns.'
    )) %}
  {% endif %}
  {% if keys and not request.unique_key and request.materialized == 'incremental' and request.strategy in ['merge', 'delete+insert'] %}
    {% do problems.append(lineage_audit._problem(
      'model', 'unique_key of ' ~ request.model_name, 'is missing, and strategy ' ~ request.strategy ~ ' needs it.', 'Set unique_key=[' ~ keys | join(', ') ~ '].'
    )) %}
  {% endif %}
  {% do return(problems) %}
{% endmacro %}

{% macro _check_materialization(request) %}
  {% if request.materialized == 'unit' or request.get('unmapped') %}
    {% do return([]) %}
  {% endif %}
  {% set key = 'materialized of ' ~ request.model_name %}
  {% if request.materialized not in ['table', 'incremental'] %}
    {% do return([lineage_audit._problem(
      'model', key, "a mapped model can't be '" ~ request.materialized ~ "'.", "Set materialized to 'table' or 'incremental'; for a view over it there is serving_view."
    )]) %}
  {% elif request.materialized == 'incremental' and request.strategy not in ['append', 'merge', 'delete+insert', 'insert_overwrite', 'replace_where'] %}
    {% do return([lineage_audit._problem(
      'model', key, "incremental_strategy '" ~ request.strategy ~ "' isn't supported.", "Use append, merge, delete+insert or insert_overwrite, as the adapter has them."
    )]) %}
  {% endif %}
  {% do return([]) %}
{% endmacro %}

{#- The engine is asked once per dbt invocation, and only by a run that needs the key. -#}
{% macro _check_hash_key(request) %}
  {% set hashed = request.rows | selectattr('sensitivity', 'equalto', 'hash') | list %}
  {% for row in request.rows %}
    {% for column in lineage_audit._split(row.source_columns) %}
      {% if request.marks.get(column | lower) == 'hash' %}
        {% do hashed.append(row) %}
      {% endif %}
    {% endfor %}
  {% endfor %}
  {% if not hashed or not (lineage_audit._is_running() or request.get('is_validation')) %}
    {% do return([]) %}
  {% endif %}
  {% do return(lineage_audit._hash_key_problems(hashed[0])) %}
{% endmacro %}

{% macro _hash_key_problems(row) %}
  {% set missing = lineage_audit._remembered('hash key is missing') %}
  {% if missing is none %}
    {% set missing = run_query('select case when ' ~ lineage_audit.hash_key_is_missing() ~ ' then 1 else 0 end as is_missing').rows[0][0] | int == 1 %}
    {% do lineage_audit._remember('hash key is missing', missing) %}
  {% endif %}
  {% if not missing %}
    {% do return([]) %}
  {% endif %}
  {% do return([lineage_audit._problem(
    'field_mapping', lineage_audit._row_key(row), 'sensitivity is hash, and there is no key to hash with, or an empty one.', lineage_audit.hash_key_remedy()
  )]) %}
{% endmacro %}

{% macro _find_column(columns, name) %}
  {% for column in columns %}
    {% if (column.name | lower) == (name | lower) %}
      {% do return(column) %}
    {% endif %}
  {% endfor %}
  {% do return(none) %}
{% endmacro %}

{% macro _find_rule(rules, id) %}
  {% do return((rules | selectattr('business_rule_id', 'equalto', id) | list + [none])[0]) %}
{% endmacro %}
