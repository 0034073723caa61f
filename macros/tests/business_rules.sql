{% test business_rules(model, endpoint_name, rule_severity='ERROR') -%}
{{ lineage_audit._business_rules_test(model, endpoint_name, rule_severity) }}
{%- endtest %}

{% macro _business_rules_test(rows, endpoint_name, rule_severity) %}
  {% set relations = lineage_audit._config_relations() %}
  {% set tested = lineage_audit._tested_when_built(rows, relations) %}
  {% if tested is string %}
    {% do return(tested) %}
  {% endif %}
  {% set tables = lineage_audit._config_tables(relations) %}
  {% set rules = lineage_audit._rules_to_test(tested, tables, endpoint_name, rule_severity) %}
  {% set key = lineage_audit._key_of_tested(tested, tables) %}
  {% do return(lineage_audit._business_rules_sql(lineage_audit._accepted_of_tested(tested), key, rules, rule_severity)) %}
{% endmacro %}

{#- The active validation rules of the endpoint and the table, as they are now: {id, expression, severity, message}. -#}
{% macro _rules_to_test(tested, tables, endpoint_name, rule_severity) %}
  {% set problems = lineage_audit._check_endpoint({'endpoint_name': endpoint_name, 'tables': tables}) %}
  {% set key = 'test business_rules of ' ~ tested.name %}
  {% if not problems and endpoint_name != tested.endpoint_name %}
    {% do problems.append(lineage_audit._problem(
      'model', key, "names endpoint '" ~ endpoint_name ~ "', and the model is of endpoint " ~ tested.endpoint_name ~ '.', 'Write endpoint_name: ' ~ tested.endpoint_name ~ '.'
    )) %}
  {% endif %}
  {% if rule_severity not in ['ERROR', 'WARN'] %}
    {% do problems.append(lineage_audit._problem('model', key, "rule_severity '" ~ rule_severity ~ "' is unknown.", 'Write ERROR or WARN.')) %}
  {% endif %}
  {% set validations = [] %}
  {% for rule in tables.business_rules %}
    {% set applies = rule.endpoint_name == endpoint_name and rule.target_table in [none, tested.target_table] %}
    {% if applies and rule.rule_category == 'validation' and lineage_audit._is_true(rule.active_flag, true) %}
      {% do validations.append(rule) %}
    {% endif %}
  {% endfor %}
  {% do problems.extend(lineage_audit._check_rules({'endpoint_name': endpoint_name, 'tables': tables, 'rows': [], 'named_rules': validations})) %}
  {% if problems %}
    {% do lineage_audit._raise_problems(tested.name, problems) %}
  {% endif %}
  {% set rules = [] %}
  {% for rule in validations %}
    {% if rule.severity == rule_severity %}
      {% do rules.append({
        'id': rule.business_rule_id, 'expression': lineage_audit.sql_expression(rule.rule_expression), 'severity': rule.severity, 'message': rule.message or ''
      }) %}
    {% endif %}
  {% endfor %}
  {% do return(rules) %}
{% endmacro %}

{% macro _business_rules_sql(rows, key, rules, rule_severity) %}
  {% set text = lineage_audit.store_types().text %}
  {% if not rules %}
    {% do return(
      '-- no active validation rule has severity ' ~ rule_severity ~ '\nselect\n  cast(null as ' ~ text ~ ') as target_pk,\n  cast(null as ' ~ text
      ~ ') as business_rule_id,\n  cast(null as ' ~ text ~ ') as message\nwhere 1 = 0'
    ) %}
  {% endif %}
  {% set checked = lineage_audit._cte('checked', [
    lineage_audit._target_pk({'columns': key}) ~ ' as target_pk',
    lineage_audit.list_without_nulls(lineage_audit._violations({'validations': rules}, rule_severity), '    ') ~ ' as business_rule_ids'
  ], rows, []) %}
  {% set messages = [] %}
  {% for rule in rules %}
    {% do messages.append('when ' ~ lineage_audit.text_literal(rule.id) ~ ' then ' ~ lineage_audit.text_literal(rule.message)) %}
  {% endfor %}
  {% do return(
    'with ' ~ checked ~ '\nselect\n  target_pk,\n  business_rule_id,\n  case business_rule_id\n    ' ~ messages | join('\n    ') ~ '\n  end as message\nfrom '
    ~ lineage_audit.unnested('checked', 'business_rule_ids', 'business_rule_id')
  ) %}
{% endmacro %}
