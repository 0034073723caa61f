{#- The statements that follow the model's own SQL and copy what it wrote into the audit store. -#}

{#- What attempts without a SUCCESS left in gold and this run did not replace. Removed only now: had it gone before, and
    had this run died then, the next one would not know which keys to read again. -#}
{% macro _remove_dead_rows_sql() %}
  {% set plan = lineage_audit._plan_of_run() %}
  {% if not plan or not plan.incremental or not plan.history.dead %}
    {% do return('') %}
  {% endif %}
  {% do return('delete from ' ~ plan.gold ~ '\nwhere ' ~ lineage_audit._written_by_dead(plan)) %}
{% endmacro %}

{#- Refused records, each with every reason, its mapped values and its source values. -#}
{% macro _rejected_record_sql() %}
  {% set plan = lineage_audit._plan_of_run() %}
  {% if not plan or plan.rejected == 'keep' %}
    {% do return('') %}
  {% endif %}
  {% set judged = lineage_audit._judged(plan) %}
  {% set texts = [
    lineage_audit._target_pk(plan) ~ ' as target_pk',
    judged.failed_rules ~ ' as failed_rules',
    '_lineage_warnings as warnings',
    lineage_audit._mapped_values_json(plan) ~ ' as mapped_values_json',
    lineage_audit._source_values_json(plan.fields) ~ ' as source_values_json'
  ] %}
  {% set refused = lineage_audit._cte('refused', texts, judged.from, [judged.refused]) %}
  {% set values = lineage_audit._run_values(plan) %}
  {% do values.update({
    'record_key': 'coalesce(target_pk, ' ~ lineage_audit.sha256_of('source_values_json') ~ ')',
    'target_pk': 'target_pk', 'failed_rules': 'failed_rules', 'warnings': 'warnings',
    'mapped_values_json': 'mapped_values_json', 'source_values_json': 'source_values_json'
  }) %}
  {% do return(lineage_audit._insert_select('rejected_record', values, 'from refused', judged.ctes ~ ',\n' ~ refused)) %}
{% endmacro %}

{#- Violated validation rules: WARN rules of the rows in gold, all rules of the refused records. -#}
{% macro _rule_violation_sql() %}
  {% set plan = lineage_audit._plan_of_run() %}
  {% if not plan or not plan.validations or plan.rejected == 'keep' %}
    {% do return('') %}
  {% endif %}
  {% set error_ids = plan.validations | selectattr('severity', 'equalto', 'ERROR') | map(attribute='id') | list %}
  {% set warn_ids = plan.validations | selectattr('severity', 'equalto', 'WARN') | map(attribute='id') | list %}
  {% set selects = [] %}
  {% if warn_ids %}
    {% set predicates = [lineage_audit.list_length('_lineage_warnings') ~ ' > 0'] %}
    {% if not plan.whole_table %}
      {% do predicates.extend(lineage_audit._written_by_this_run()) %}
    {% endif %}
    {% set warned = 'select\n    ' ~ lineage_audit._target_pk(plan) ~ ' as record_key,\n    _lineage_warnings as business_rule_ids\n  from ' ~ plan.gold ~ '\n' ~ lineage_audit._where(predicates, '  ') %}
    {% do selects.append(warned.replace(' as record_key,', ' as record_key,\n    ' ~ lineage_audit._target_pk(plan) ~ ' as target_pk,', 1)) %}
    {% do selects.append('select\n    record_key,\n    target_pk,\n    warnings as business_rule_ids\n  from ' ~ lineage_audit._store('rejected_record') ~ '\n' ~ lineage_audit._where(lineage_audit._of_this_run(plan), '  ')) %}
  {% endif %}
  {% if error_ids %}
    {% do selects.append('select\n    record_key,\n    target_pk,\n    failed_rules as business_rule_ids\n  from ' ~ lineage_audit._store('rejected_record') ~ '\n' ~ lineage_audit._where(lineage_audit._of_this_run(plan), '  ')) %}
  {% endif %}
  {% set severity = lineage_audit.text_literal('ERROR') %}
  {% if warn_ids %}
    {% set severity = 'case when business_rule_id in ' ~ lineage_audit._in_list(warn_ids) ~ " then 'WARN' else 'ERROR' end" %}
  {% endif %}
  {% set values = lineage_audit._run_values(plan) %}
  {% do values.update({'record_key': 'record_key', 'target_pk': 'target_pk', 'business_rule_id': 'business_rule_id', 'severity': severity}) %}
  {% set ctes = 'with violated as (\n  ' ~ selects | join('\n  union all\n  ') ~ '\n)' %}
  {% do return(lineage_audit._insert_select(
    'rule_violation', values,
    'from ' ~ lineage_audit.unnested('violated', 'business_rule_ids', 'business_rule_id') ~ '\nwhere business_rule_id in ' ~ lineage_audit._in_list(error_ids + warn_ids),
    ctes
  )) %}
{% endmacro %}

{#- Records that earlier runs refused and this run took or filtered; a closed one is closed once more, which changes nothing. -#}
{% macro _closed_record_sql() %}
  {% set plan = lineage_audit._plan_of_run() %}
  {% set refused_before = lineage_audit._refused_before(plan) if plan else [] %}
  {% if not refused_before %}
    {% do return('') %}
  {% endif %}
  {% set taken = lineage_audit._taken_by_this_run(plan) %}
  {% set of_gold = plan.gold ~ ('\n' ~ lineage_audit._where(taken, '  ') if taken else '') %}
  {% set looked_at = [
    "select\n    " ~ lineage_audit._target_pk(plan) ~ " as record_key,\n    'accepted' as closed_as\n  from " ~ of_gold
  ] %}
  {% for fields in plan.unkeyed %}
    {% do looked_at.append(
      "select\n    " ~ lineage_audit.sha256_of(lineage_audit._source_values_json(fields)) ~ " as record_key,\n    'accepted' as closed_as\n  from " ~ of_gold
    ) %}
  {% endfor %}
  {% set ctes = ['with refused_before as (\n  ' ~ refused_before | join('\n  union all\n  ') ~ '\n)'] %}
  {% if plan.filters %}
    {% do ctes.append(lineage_audit._filtered_out_ctes(plan)) %}
    {% do looked_at.append("select\n    record_key,\n    'filtered' as closed_as\n  from filtered_records") %}
    {% for fields in plan.unkeyed %}
      {% do looked_at.append("select\n    source_key_" ~ loop.index ~ " as record_key,\n    'filtered' as closed_as\n  from filtered_records") %}
    {% endfor %}
  {% endif %}
  {% do ctes.append('looked_at as (\n  ' ~ looked_at | join('\n  union all\n  ') ~ '\n)') %}
  {% set values = lineage_audit._run_values(plan) %}
  {% do values.update({
    'record_key': 'record_key', 'closed_as': 'min(closed_as)', 'closed_by': lineage_audit.run_by(),
    'closed_ts': lineage_audit._utc_now(), 'reason': lineage_audit.text_literal('a later run')
  }) %}
  {% do return(lineage_audit._insert_select(
    'closed_record', values, 'from looked_at\nwhere record_key in (select record_key from refused_before)\ngroup by record_key', ctes | join(',\n')
  )) %}
{% endmacro %}

{#- Queries for the keys of the records that earlier runs refused, wherever they stand; none where there are none. -#}
{% macro _refused_before(plan) %}
  {% set selects = [] %}
  {% if plan.history.has_quarantined %}
    {% do selects.append('select record_key\n  from ' ~ lineage_audit._store('rejected_record') ~ '\n' ~ lineage_audit._where([
      'target_relation = ' ~ lineage_audit.text_literal(plan.target_relation), 'invocation_id <> ' ~ lineage_audit.text_literal(invocation_id)
    ], '  ')) %}
  {% endif %}
  {% if plan.rejected == 'keep' and plan.history.has_rejected and not plan.whole_table %}
    {% for kept in lineage_audit._kept_records(plan) %}
      {% do selects.append('select ' ~ kept.record_key ~ ' as record_key\n  from ' ~ plan.gold ~ '\n' ~ lineage_audit._where(
        kept.where + ['_lineage_invocation_id <> ' ~ lineage_audit.text_literal(invocation_id)], '  '
      )) %}
    {% endfor %}
  {% endif %}
  {% do return(selects) %}
{% endmacro %}

{#- The rows that the filters left out, by the keys they would have had. -#}
{% macro _filtered_out_ctes(plan) %}
  {% set predicates = [] %}
  {% for rule in plan.filters %}
    {% do predicates.append('coalesce((' ~ rule.expression ~ '), false)') %}
  {% endfor %}
  {% set keys = [lineage_audit._target_pk(plan) ~ ' as record_key'] %}
  {% for fields in plan.unkeyed %}
    {% do keys.append(lineage_audit.sha256_of(lineage_audit._source_values_json(fields)) ~ ' as source_key_' ~ loop.index) %}
  {% endfor %}
  {% do return([
    lineage_audit._cte('source_rows', lineage_audit._quoted_names(plan.reads), plan.source_sql, lineage_audit._read_bounds(plan)),
    lineage_audit._cte('filtered_out', ['*'], 'source_rows', ['not (' ~ predicates | join(' and ') ~ ')']),
    lineage_audit._cte('valued', lineage_audit._value_items(plan), 'filtered_out', []),
    lineage_audit._cte('mapped', lineage_audit._mapped_items(plan), 'valued', []),
    lineage_audit._cte('filtered_records', keys, 'mapped', [])
  ] | join(',\n')) %}
{% endmacro %}

{#- Lineage, copied from the table just written: a row per gold row and mapped column, or a row per gold row. -#}
{% macro _lineage_sql() %}
  {% set plan = lineage_audit._plan_of_run() %}
  {% if not plan or plan.capture == 'in_row' %}
    {% do return('') %}
  {% elif plan.capture == 'compact' %}
    {% set taken = lineage_audit._taken_by_this_run(plan) %}
    {% do return(lineage_audit._insert_select('record_lineage', {
      'attempt_id': lineage_audit._attempt_id(plan.target_relation), 'target_pk': lineage_audit._target_pk(plan), 'source_values': lineage_audit.list_of(lineage_audit._source_texts(plan.fields), '  ')
    }, 'from ' ~ plan.gold ~ ('\n' ~ lineage_audit._where(taken, '') if taken else ''))) %}
  {% endif %}
  {% do return(lineage_audit.exploded_insert(plan)) %}
{% endmacro %}

{#- Which rows of gold this run wrote and took. -#}
{% macro _taken_by_this_run(plan) %}
  {% set predicates = [] if plan.whole_table else lineage_audit._written_by_this_run() %}
  {% if plan.rejected == 'keep' %}
    {% do predicates.append(lineage_audit._is_accepted()) %}
  {% endif %}
  {% do return(predicates) %}
{% endmacro %}

{#- Literals that every row of a run bears. -#}
{% macro _run_values(plan) %}
  {% do return({
    'run_id': lineage_audit.text_literal(plan.run_id),
    'invocation_id': lineage_audit.text_literal(invocation_id),
    'target_relation': lineage_audit.text_literal(plan.target_relation),
    'target_table': lineage_audit.text_literal(plan.target_table)
  }) %}
{% endmacro %}

{#- The key of a row as one text: the value, or a JSON array of the values where the key has several parts. NULL where
    a part is NULL. -#}
{% macro _target_pk(plan) %}
  {% set texts = [] %}
  {% set missing = [] %}
  {% for column in lineage_audit._key_columns(plan) %}
    {% do texts.append(lineage_audit._mapped_text(column)) %}
    {% do missing.append(column.quoted ~ ' is null') %}
  {% endfor %}
  {% if texts | length == 1 %}
    {% do return(texts[0]) %}
  {% endif %}
  {% do return('case when ' ~ missing | join(' or ') ~ ' then null else ' ~ lineage_audit.json_array(texts) ~ ' end') %}
{% endmacro %}

{#- A mapped value as text, masked as its column is marked. -#}
{% macro _mapped_text(column) %}
  {% set text = lineage_audit.text_of_value(column.quoted, column.type) %}
  {% if column.mark == 'none' %}
    {% do return(text) %}
  {% endif %}
  {% do return(lineage_audit._marked(text, lineage_audit.store_types().text, column.mark)) %}
{% endmacro %}

{% macro _mapped_values_json(plan) %}
  {% set members = [] %}
  {% for column in plan.columns %}
    {% do members.append({'name': column.name, 'expression': lineage_audit._mapped_text(column)}) %}
  {% endfor %}
  {% do return(lineage_audit.json_object(members)) %}
{% endmacro %}

{% macro _source_values_json(fields) %}
  {% set members = [] %}
  {% for field in fields %}
    {% do members.append({'name': field.name, 'expression': lineage_audit._source_text(field)}) %}
  {% endfor %}
  {% do return(lineage_audit.json_object(members) if members else lineage_audit.text_literal('{}')) %}
{% endmacro %}

{#- A source value as text, as the row carries it: in a column of its own, or in the struct. -#}
{% macro _source_text(field) %}
  {% do return(lineage_audit.text_of_value(field.verbatim or '_lineage_source_values.' ~ lineage_audit.quote_name(field.name), field.field_type)) %}
{% endmacro %}

{% macro _source_texts(fields) %}
  {% set texts = [] %}
  {% for field in fields %}
    {% do texts.append(lineage_audit._source_text(field)) %}
  {% endfor %}
  {% do return(texts) %}
{% endmacro %}

{% macro _in_list(values) %}
  {% set literals = [] %}
  {% for value in values %}
    {% do literals.append(lineage_audit.text_literal(value)) %}
  {% endfor %}
  {% do return('(' ~ literals | join(', ') ~ ')') %}
{% endmacro %}
