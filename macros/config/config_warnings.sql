{#- What one mapped table's config says that may be meant otherwise; only validate_config looks. -#}
{% macro _config_warnings(request) %}
  {% set warnings = [] %}
  {% for row in request.rows %}
    {% set key = lineage_audit._row_key(row) %}
    {% set rules = lineage_audit._rules_of_row(request, row) %}
    {% set derivation = (rules.get('derivation') or {}).get('rule_expression') %}
    {% if row.transform_expr and derivation and row.transform_expr.split() != derivation.split() %}
      {% do warnings.append(lineage_audit._warning(
        'field_mapping', key, 'transform_expr and derivation ' ~ rules.derivation.business_rule_id ~ ' differ (' ~ row.transform_expr ~ '; ' ~ derivation ~ '); transform_expr counts.',
        'Make them the same, or leave one of them.'
      )) %}
    {% endif %}
    {% for id in lineage_audit._split(row.business_rule_id) %}
      {% set rule = lineage_audit._find_rule(request.named_rules, id) %}
      {% if rule and rule.rule_category in ['filter', 'validation'] and 'default' in id | lower and not rules.get('default') %}
        {% do warnings.append(lineage_audit._warning(
          'field_mapping', key, "rule '" ~ id ~ "' is named like a default, and its rule_category is " ~ rule.rule_category ~ ': it replaces no NULL.',
          'Set its rule_category to default, or name another rule.'
        )) %}
      {% endif %}
    {% endfor %}
    {% if not row.transform_expr and not derivation and not rules.get('default') %}
      {% for column in lineage_audit._split(row.source_columns)[1:] %}
        {% do warnings.append(lineage_audit._unused_column(key, column)) %}
      {% endfor %}
    {% endif %}
    {% do warnings.extend(lineage_audit._check_replay('field_mapping', key, 'transform_expr', row.transform_expr)) %}
  {% endfor %}
  {% for rule in request.named_rules %}
    {% do warnings.extend(lineage_audit._check_replay('business_rules', lineage_audit._rule_key(rule), 'rule_expression', rule.rule_expression)) %}
  {% endfor %}
  {% do return(warnings) %}
{% endmacro %}

{#- Lineage is replayed from a row's own source values: what looks elsewhere, or is another value each time, can't be. -#}
{% macro _check_replay(seed, key, column, expression) %}
  {% set bare = lineage_audit._without_literals(expression or '') | lower %}
  {% set warnings = [] %}
  {% if modules.re.search('\\bselect\\b', bare) %}
    {% do warnings.append(lineage_audit._warning(
      seed, key, column ~ ' holds a subquery: what it reads is not among the source values that lineage keeps, and no replay can prove it.',
      'Join the table into the source, and map its column.'
    )) %}
  {% endif %}
  {% if modules.re.search('\\bover\\s*\\(', bare) %}
    {% do warnings.append(lineage_audit._warning(
      seed, key, column ~ ' holds a window function: it looks at other rows, and no replay can prove it.', 'Compute it in the source, and map its column.'
    )) %}
  {% endif %}
  {% set pattern = '(?<![\\w.])(?:(?:' ~ lineage_audit._unstable_names() | join('|') ~ ')\\b(?!\\s*\\.)|(?:' ~ lineage_audit._unstable_functions() | join('|') ~ ')(?=\\s*\\()|unix_timestamp(?=\\s*\\(\\s*\\)))' %}
  {% set found = modules.re.findall(pattern, bare) | unique | list %}
  {% if found %}
    {% do warnings.append(lineage_audit._warning(
      seed, key, column ~ ' uses ' ~ found | join(', ') ~ ', which may give another value each time: no replay can prove it.', 'Take the value from a source column.'
    )) %}
  {% endif %}
  {% do return(warnings) %}
{% endmacro %}

{#- Of both engines: functions that are called without parentheses too, and those that need them. -#}
{% macro _unstable_names() %}
  {% do return([
    'current_timestamp', 'current_date', 'current_time', 'localtimestamp', 'localtime', 'current_user', 'session_user', 'current_role',
    'current_catalog', 'current_schema', 'current_database'
  ]) %}
{% endmacro %}

{% macro _unstable_functions() %}
  {% do return([
    'rand', 'randn', 'random', 'uniform', 'randstr', 'uuid', 'uuidv4', 'uuidv7', 'gen_random_uuid', 'shuffle', 'now', 'today', 'curdate',
    'get_current_timestamp', 'get_current_time', 'transaction_timestamp', 'current_timezone', 'nextval',
    'currval', 'txid_current', 'monotonically_increasing_id', 'spark_partition_id', 'input_file_name', 'getenv', 'getvariable',
    'reflect', 'java_method', 'try_reflect'
  ]) %}
{% endmacro %}
