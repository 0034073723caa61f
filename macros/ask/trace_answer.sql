{#- The answer of `trace` as its JSON has it, from what the store, gold and the recomputation said. -#}
{% macro _trace_answer(request, rows, replays, rules, refusals, target_column=none) %}
  {% set run = none %}
  {% set warnings = [] %}
  {% set columns = [] %}
  {% if rows %}
    {% set first = rows[0] %}
    {% set run = {
      'run_id': first.run_id, 'invocation_id': first.invocation_id, 'committed_ts': first.committed_ts, 'run_by': first.run_by,
      'config_hash': first.config_hash, 'code_version': first.code_version, 'capture': first.capture
    } %}
    {% for id in first.warnings or [] %}
      {% do warnings.append(lineage_audit._answered_rule(rules, first.config_hash, id, true)) %}
    {% endfor %}
    {% for row in rows %}
      {% if target_column is none or (row.target_column | lower) == (target_column | lower) %}
        {% do columns.append(lineage_audit._answered_column(request, row, replays.get(row.column_position), rules)) %}
      {% endif %}
    {% endfor %}
  {% endif %}
  {% set answered = [] %}
  {% for refusal in refusals %}
    {% do answered.append(lineage_audit._answered_refusal(refusal, rules)) %}
  {% endfor %}
  {% do return({
    'schema_version': 1, 'target_table': request.written.target_table, 'target_relation': request.written.target_relation,
    'target_pk': (rows + refusals)[0].target_pk or (rows + refusals)[0].record_key, 'as_of': request.as_of,
    'gold_row_count': rows[0].gold_row_count if rows else 0, 'run': run, 'warnings': warnings, 'columns': columns, 'refusals': answered
  }) %}
{% endmacro %}

{% macro _answered_column(request, row, replayed, rules) %}
  {% set sources = [] %}
  {% for name in row.source_columns %}
    {% do sources.append({'column': name, 'type': row.source_types[loop.index0], 'value': row.source_values[loop.index0]}) %}
  {% endfor %}
  {% set named = [] %}
  {% for id in (row.business_rule_id or '').split('|') | select %}
    {% do named.append(lineage_audit._answered_rule(rules, row.config_hash, id, id in (row.warnings or []))) %}
  {% endfor %}
  {% for rule in rules %}
    {% if rule.config_hash == row.config_hash and rule.rule_category == 'validation' and rule.business_rule_id not in named | map(attribute='business_rule_id')
      and lineage_audit._names_any(rule.transform_expr, [row.target_column]) %}
      {% do named.append(lineage_audit._answered_rule(rules, row.config_hash, rule.business_rule_id, rule.business_rule_id in (row.warnings or []))) %}
    {% endif %}
  {% endfor %}
  {% set replay = lineage_audit._verdict(request, row, replayed) %}
  {% set in_gold = row.gold_row_count > 0 and row.target_column in lineage_audit._gold_names(request.written) %}
  {% do return({
    'target_column': row.target_column, 'value': row.gold_value if in_gold else replay.replayed_value, 'value_is': 'gold' if in_gold else 'recomputed',
    'transform_expr': row.transform_expr, 'expression_with_values': lineage_audit._with_values(row.transform_expr, sources),
    'default_expr': row.default_expr, 'data_type': row.data_type, 'api_field_name': row.api_field_name, 'api_json_path': row.api_json_path,
    'source_table': row.source_table, 'sensitivity': row.sensitivity, 'sources': sources, 'rules': named, 'replay': replay
  }) %}
{% endmacro %}

{#- Is gold's value what the logged values give again? {verdict: replays, differs or not_provable, reason, replayed_value}. -#}
{% macro _verdict(request, row, replayed) %}
  {% set reason = lineage_audit._why_unprovable(row) %}
  {% if reason is not none %}
    {% do return({'verdict': 'not_provable', 'reason': reason, 'replayed_value': none}) %}
  {% elif replayed.is_unreadable %}
    {% do return({'verdict': 'differs', 'reason': 'unreadable_value', 'replayed_value': replayed.replayed_value}) %}
  {% elif row.gold_row_count == 0 %}
    {% set reason = 'not_in_gold' %}
  {% elif row.gold_row_count > 1 %}
    {% set reason = 'key_not_unique' %}
  {% elif row.target_column not in lineage_audit._gold_names(request.written) %}
    {% set reason = 'column_not_in_gold' %}
  {% elif row.gold_value == replayed.replayed_value %}
    {% do return({'verdict': 'replays', 'reason': none, 'replayed_value': replayed.replayed_value}) %}
  {% else %}
    {% do return({'verdict': 'differs', 'reason': 'other_value', 'replayed_value': replayed.replayed_value}) %}
  {% endif %}
  {% do return({'verdict': 'not_provable', 'reason': reason, 'replayed_value': replayed.replayed_value}) %}
{% endmacro %}

{% macro _answered_rule(rules, config_hash, id, is_violated) %}
  {% set rule = rules | selectattr('config_hash', 'equalto', config_hash) | selectattr('business_rule_id', 'equalto', id) | first or {} %}
  {% do return({
    'business_rule_id': id, 'rule_category': rule.get('rule_category'), 'severity': rule.get('severity'), 'rule_expression': rule.get('transform_expr'),
    'message': rule.get('message'), 'is_violated': is_violated
  }) %}
{% endmacro %}

{#- An expression with the texts of its source columns in the place of their names. -#}
{% macro _with_values(expression, sources) %}
  {% set shown = {} %}
  {% set patterns = [] %}
  {% for source in sources %}
    {% set value = lineage_audit._shown_value(source) %}
    {% do shown.update({source.column | lower: value, lineage_audit.quote_name(source.column) | lower: value}) %}
    {% do patterns.append(modules.re.escape(source.column)) %}
    {% if expression == source.column %}
      {% do return(value) %}
    {% endif %}
  {% endfor %}
  {% set parts = [] %}
  {% for part in modules.re.split(lineage_audit.literal_pattern(), expression) %}
    {% if loop.index0 % 2 == 1 or not patterns %}
      {% do parts.append(shown.get(part | lower, part)) %}
    {% else %}
      {% for piece in modules.re.split('(?i)(?<![\\w.])(' ~ patterns | join('|') ~ ')(?![\\w(])', part) %}
        {% do parts.append(shown.get(piece | lower, piece) if loop.index0 % 2 == 1 else piece) %}
      {% endfor %}
    {% endif %}
  {% endfor %}
  {% do return(parts | join('')) %}
{% endmacro %}

{% macro _shown_value(source) %}
  {% if source.value is none %}
    {% do return('NULL') %}
  {% elif modules.re.match('(?i)^(u?(tiny|small|big|huge)?int(eger)?|decimal|numeric|dec|double|float|real|long|short|byte|boolean)\\b', source.type or '') %}
    {% do return(source.value) %}
  {% endif %}
  {% do return("'" ~ source.value.replace("'", "''") ~ "'") %}
{% endmacro %}

{% macro _answered_refusal(refusal, rules) %}
  {% set reasons = [] %}
  {% for id in refusal.failed_rules %}
    {% set rule = lineage_audit._answered_rule(rules, refusal.config_hash, id, true) %}
    {% do reasons.append({
      'reason': id, 'message': refusal.messages[loop.index0], 'severity': rule.severity, 'rule_expression': rule.rule_expression
    }) %}
  {% endfor %}
  {% if refusal.is_open %}
    {% set state = 'open' %}
  {% elif refusal.failed_rules == ['duplicate_key'] %}
    {% set state = 'superseded' %}
  {% elif not refusal.is_last_refusal %}
    {% set state = 'refused_again' %}
  {% else %}
    {% set state = refusal.closed_as or 'superseded' %}
  {% endif %}
  {% set is_closed = state in ['accepted', 'filtered', 'dismissed'] %}
  {% do return({
    'state': state, 'reasons': reasons, 'source_values': fromjson(refusal.source_values_json or '{}'), 'mapped_values': fromjson(refusal.mapped_values_json or '{}'),
    'closed_ts': refusal.closed_ts if is_closed else none, 'closed_by': refusal.closed_by if is_closed else none,
    'closed_reason': refusal.closed_reason if is_closed else none,
    'run': {
      'run_id': refusal.run_id, 'invocation_id': refusal.invocation_id, 'committed_ts': refusal.refused_ts, 'run_by': refusal.run_by,
      'config_hash': refusal.config_hash, 'code_version': refusal.code_version
    }
  }) %}
{% endmacro %}
