{#- Operation: what a changed config would make of the stored records. See _ask.yml for the arguments and the form of the JSON. -#}
{% macro what_if(target_table, changes=none, config_schema=none, endpoint_name=none, sample_rows=10, output='text') %}
  {% if not execute %}
    {% do return('') %}
  {% endif %}
  {% do lineage_audit._check_output(output) %}
  {% set plan = lineage_audit._what_if_plan(target_table, changes, config_schema, endpoint_name) %}
  {% set counts = lineage_audit._json_rows(lineage_audit._what_if_counts(plan)) %}
  {% set most = sample_rows | int %}
  {% set sample = lineage_audit._json_rows(lineage_audit._what_if_sample(plan, most)) if most > 0 else [] %}
  {% set answer = lineage_audit._what_if_answer(plan, counts, sample, most) %}
  {% do print(tojson(answer) if output == 'json' else lineage_audit._what_if_text(answer)) %}
{% endmacro %}

{% macro _what_if_answer(plan, counts, sample, sample_rows) %}
  {% set gold = {'record_count': 0, 'changed_count': 0, 'unchanged_count': 0, 'refused_count': 0, 'filtered_count': 0, 'not_evaluated_count': 0} %}
  {% set quarantine = {'record_count': 0, 'released_count': 0, 'filtered_count': 0, 'still_refused_count': 0, 'refused_otherwise_count': 0, 'not_evaluated_count': 0} %}
  {% set refused = {} %}
  {% set warned = {} %}
  {% set no_longer_warned = {} %}
  {% set unknown = {} %}
  {% set changed_cells = {} %}
  {% for row in counts %}
    {% set number = row.record_count %}
    {% set of = gold if row.place == 'gold' else quarantine %}
    {% do of.update({'record_count': of.record_count + number}) %}
    {% if row.outcome == 'not_evaluated' %}
      {% do of.update({'not_evaluated_count': of.not_evaluated_count + number}) %}
      {% do unknown.update({row.place ~ ' ' ~ row.unknown: unknown.get(row.place ~ ' ' ~ row.unknown, 0) + number}) %}
    {% elif row.outcome == 'filtered' %}
      {% do of.update({'filtered_count': of.filtered_count + number}) %}
    {% elif row.place == 'quarantine' %}
      {% if row.outcome == 'accepted' %}
        {% do of.update({'released_count': of.released_count + number}) %}
      {% else %}
        {% do of.update({'still_refused_count': of.still_refused_count + number}) %}
        {% if row.reasons_before | sort != row.reasons_after | sort %}
          {% do of.update({'refused_otherwise_count': of.refused_otherwise_count + number}) %}
        {% endif %}
      {% endif %}
    {% elif row.outcome == 'refused' %}
      {% do of.update({'refused_count': of.refused_count + number}) %}
      {% for reason in row.reasons_after %}
        {% do refused.update({reason: refused.get(reason, 0) + number}) %}
      {% endfor %}
    {% else %}
      {% do of.update({'changed_count': of.changed_count + row.changed_records, 'unchanged_count': of.unchanged_count + number - row.changed_records}) %}
      {% for cell in plan.compared %}
        {% do changed_cells.update({cell.name: changed_cells.get(cell.name, 0) + row['changed_' ~ loop.index]}) %}
      {% endfor %}
      {% for id in plan.warning_ids %}
        {% if id in row.warnings_after and id not in row.warnings_before %}
          {% do warned.update({id: warned.get(id, 0) + number}) %}
        {% elif id in row.warnings_before and id not in row.warnings_after %}
          {% do no_longer_warned.update({id: no_longer_warned.get(id, 0) + number}) %}
        {% endif %}
      {% endfor %}
    {% endif %}
  {% endfor %}
  {% set columns = [] %}
  {% for cell in plan.compared %}
    {% do columns.append({
      'target_column': cell.name, 'changed_cell_count': changed_cells.get(cell.name, 0), 'is_new': cell.is_new, 'is_gone': cell.is_gone,
      'type_before': cell.type_before, 'type_after': cell.type_after
    }) %}
  {% endfor %}
  {% set reasons = [] %}
  {% for reason, number in refused.items() %}
    {% do reasons.append({'reason': reason, 'record_count': number, 'message': (lineage_audit._find_rule(plan.rule_rows, reason) or {}).get('message')}) %}
  {% endfor %}
  {% set warnings = [] %}
  {% for id in plan.warning_ids if id in warned or id in no_longer_warned %}
    {% do warnings.append({'business_rule_id': id, 'warned_count': warned.get(id, 0), 'no_longer_warned_count': no_longer_warned.get(id, 0)}) %}
  {% endfor %}
  {% set not_evaluated = [] %}
  {% for key, number in unknown.items() %}
    {% set place = key.split(' ')[0] %}
    {% set reason = key[place | length + 1:] %}
    {% do not_evaluated.append({'place': place, 'reason': reason, 'record_count': number, 'message': lineage_audit._not_evaluated_sentence(reason)}) %}
  {% endfor %}
  {% set shown = {'cells': [], 'records': []} %}
  {% for row in sample | sort(attribute='record_key') | sort(attribute='sample_place') %}
    {% set of = shown.cells if row.change == 'changed' else shown.records %}
    {% if of | length < sample_rows %}
      {% do of.append({
        'place': row.place, 'record_key': row.record_key, 'target_pk': row.target_pk, 'change': row.change, 'target_column': row.target_column,
        'before': row.before_value if row.change == 'changed' or row.before_value is none else fromjson(row.before_value),
        'after': row.after_value if row.change == 'changed' or row.after_value is none else fromjson(row.after_value), 'reason': row.reason
      }) %}
    {% endif %}
  {% endfor %}
  {% do return({
    'schema_version': 1, 'target_table': plan.target_table, 'target_relation': plan.target_relation, 'endpoint_name': plan.endpoint_name, 'config_schema': plan.config_schema,
    'config_changes': plan.config_changes, 'changed_cell_count': changed_cells.values() | sum, 'gold': gold, 'columns': columns,
    'refused': reasons | sort(attribute='reason'), 'warnings': warnings, 'quarantine': quarantine, 'not_evaluated': not_evaluated | sort(attribute='reason') | sort(attribute='place'),
    'sample_cells': shown.cells, 'sample_records': shown.records, 'notes': plan.notes
  }) %}
{% endmacro %}

{#- Why records were not evaluated, as a sentence: the reason is a kind, and after a colon what it is about. -#}
{% macro _not_evaluated_sentence(reason) %}
  {% set kind = reason.split(':')[0] %}
  {% set what = reason[kind | length + 1:] %}
  {% do return({
    'not_stored': 'the run that wrote them did not log ' ~ what,
    'masked': 'the run that wrote them logged ' ~ what ~ ' masked or hashed',
    'other_type': what ~ ' had another type then',
    'unreadable_type': what ~ ' can not be read back from its text',
    'unreadable_value': 'the text that is stored of ' ~ what ~ ' is no value of its type',
    'other_config': what ~ ' was another then, and the values that it needs can not be had',
    'unseen': 'rule ' ~ what ~ ' needs a value that the quarantine holds masked',
    'no_lineage': 'no lineage of theirs is stored',
    'key_not_unique': 'several rows of a run share the key'
  }.get(kind, reason)) %}
{% endmacro %}
