{#- SQL of what `what_if` counts: a row per stored record and what a changed config would make of it. -#}
{% macro what_if_sql(target_table, changes=none, config_schema=none, endpoint_name=none) %}
  {% if not execute %}
    {% do return('select 1 as parsed_only from ' ~ [ref('api_endpoints'), ref('field_mapping'), ref('business_rules')][0]) %}
  {% endif %}
  {% do return(lineage_audit._what_if_details(lineage_audit._what_if_plan(target_table, changes, config_schema, endpoint_name))) %}
{% endmacro %}

{#- How a record stands under the changed config, one row per stored record: gold's, and those open in quarantine. -#}
{% macro _what_if_ctes(plan) %}
  {% set judged = lineage_audit._judged(plan) %}
  {% set items = [
    '_lineage_place as place', '_lineage_record_key as record_key', '_lineage_target_pk as target_pk', '_lineage_unknown as unknown',
    "case\n      when _lineage_unknown is not null then 'not_evaluated'\n      when not _lineage_is_in then 'filtered'\n      when " ~ judged.refused ~ " then 'refused'\n      else 'accepted'\n    end as outcome",
    '_lineage_reasons_before as reasons_before', judged.failed_rules ~ ' as reasons_after', '_lineage_warnings_before as warnings_before', '_lineage_warnings as warnings_after'
  ] %}
  {% set flags = [] %}
  {% set differs = [] %}
  {% for cell in plan.compared %}
    {% do items.extend([cell.before ~ ' as before_' ~ loop.index, cell.after ~ ' as after_' ~ loop.index]) %}
    {% set sides = [cell.before, cell.after] %}
    {% if cell.as_numbers %}
      {% set sides = [lineage_audit._plain_number(cell.before), lineage_audit._plain_number(cell.after)] %}
    {% elif cell.as_values %}
      {% set sides = cell.as_values %}
    {% endif %}
    {% do items.append(sides | join(' is distinct from ') ~ ' as differs_' ~ loop.index) %}
    {% do flags.append('case when differs_' ~ loop.index ~ ' then ' ~ lineage_audit.text_literal(cell.name) ~ ' end') %}
    {% do differs.append('differs_' ~ loop.index) %}
  {% endfor %}
  {% do return([
    judged.ctes, lineage_audit._cte('compared', items, judged.from, []),
    lineage_audit._cte('answered', ['*', "place = 'gold' and outcome = 'accepted' and (" ~ differs | join(' or ') ~ ') as is_changed', lineage_audit.list_without_nulls(flags, '      ') ~ ' as changed_columns'], 'compared', [])
  ] | join(',\n')) %}
{% endmacro %}

{#- A number without the zeros that only its type asks for. -#}
{% macro _plain_number(text) %}
  {% do return("case when " ~ text ~ " like '%.%' and lower(" ~ text ~ ") not like '%e%' then regexp_replace(" ~ text ~ ", '[.]?0+$', '') else " ~ text ~ ' end') %}
{% endmacro %}

{#- The records counted, by all that tells how they stand: few rows, however many records there are. -#}
{% macro _what_if_counts(plan) %}
  {% set facts = ['place', 'outcome', 'unknown', 'reasons_before', 'reasons_after', 'warnings_before', 'warnings_after'] %}
  {% set items = facts + ['count(*) as record_count', 'sum(case when is_changed then 1 else 0 end) as changed_records'] %}
  {% for cell in plan.compared %}
    {% do items.append('sum(case when is_changed and differs_' ~ loop.index ~ ' then 1 else 0 end) as changed_' ~ loop.index) %}
  {% endfor %}
  {% do return(lineage_audit._what_if_ctes(plan) ~ '\nselect\n  ' ~ items | join(',\n  ') ~ '\nfrom answered\ngroup by ' ~ facts | join(', ')) %}
{% endmacro %}

{#- A row per record and change; for a record that stands as it stood, none. -#}
{% macro _what_if_details(plan) %}
  {% set text = lineage_audit.store_types().text %}
  {% set before = ['when null then null'] %}
  {% set after = ['when null then null'] %}
  {% for cell in plan.compared %}
    {% set name = lineage_audit.text_literal(cell.name) %}
    {% do before.append('when ' ~ name ~ ' then ' ~ lineage_audit._shown('before_' ~ loop.index, cell.is_marked)) %}
    {% do after.append('when ' ~ name ~ ' then ' ~ lineage_audit._shown('after_' ~ loop.index, cell.is_marked)) %}
  {% endfor %}
  {% set warned = [] %}
  {% for id in plan.warning_ids %}
    {% set is_after = lineage_audit.list_holds('warnings_after', id) %}
    {% set is_before = lineage_audit.list_holds('warnings_before', id) %}
    {% do warned.append(
      'case when ' ~ is_after ~ ' and not ' ~ is_before ~ ' then ' ~ lineage_audit.text_literal('+' ~ id) ~ ' when ' ~ is_before ~ ' and not ' ~ is_after ~ ' then ' ~ lineage_audit.text_literal('-' ~ id) ~ ' end'
    ) %}
  {% endfor %}
  {% set same_reasons = lineage_audit.sorted_list('reasons_before') ~ ' = ' ~ lineage_audit.sorted_list('reasons_after') %}
  {% set facts = "case\n      when outcome = 'not_evaluated' then " ~ lineage_audit.list_of(['unknown']) ~ "\n      when place = 'gold' and outcome = 'refused' then reasons_after\n      when place = 'gold' and outcome = 'accepted' then "
    ~ lineage_audit.list_without_nulls(warned, '      ') ~ "\n      when outcome = 'refused' and " ~ same_reasons ~ ' then ' ~ lineage_audit.list_of([]) ~ '\n      else ' ~ lineage_audit.list_of_texts(['']) ~ '\n    end as facts' %}
  {% set json_before = "case when place = 'quarantine' then " ~ lineage_audit.json_array_of_list('reasons_before') ~ ' end' %}
  {% set json_after = "case when place = 'quarantine' and outcome <> 'not_evaluated' then " ~ lineage_audit.json_array_of_list("case when outcome = 'refused' then reasons_after else " ~ lineage_audit.list_of([]) ~ ' end') ~ ' end' %}
  {% do return(
    lineage_audit._what_if_ctes(plan) ~ ',\n' ~ [
      lineage_audit._cte('with_facts', ['*', facts], 'answered', []),
      lineage_audit._cte('changed_records', ['*'], 'answered', ['is_changed']),
      lineage_audit._cte('cells', ['*'], lineage_audit.unnested('changed_records', 'changed_columns', 'changed_column'), []),
      lineage_audit._cte('records', ['*'], lineage_audit.unnested('with_facts', 'facts', 'fact'), [])
    ] | join(',\n')
    ~ "\nselect\n  place,\n  record_key,\n  target_pk,\n  'changed' as change,\n  changed_column as target_column,\n  case changed_column\n    " ~ before | join('\n    ')
    ~ '\n  end as before_value,\n  case changed_column\n    ' ~ after | join('\n    ') ~ '\n  end as after_value,\n  cast(null as ' ~ text ~ ') as reason\nfrom cells'
    ~ "\nunion all\nselect\n  place,\n  record_key,\n  target_pk,\n  case\n    when outcome = 'accepted' and place = 'quarantine' then 'released'\n    when outcome = 'refused' and place = 'quarantine' then 'refused_otherwise'"
    ~ "\n    when outcome = 'accepted' and fact like '+%' then 'warned'\n    when outcome = 'accepted' then 'no_longer_warned'\n    else outcome\n  end as change,\n  cast(null as " ~ text ~ ') as target_column,\n  '
    ~ json_before ~ ' as before_value,\n  ' ~ json_after ~ " as after_value,\n  case\n    when fact = '' then null\n    when place = 'gold' and outcome = 'accepted' then substring(fact, 2)\n    else fact\n  end as reason\nfrom records"
  ) %}
{% endmacro %}

{% macro _shown(text, is_marked) %}
  {% do return(lineage_audit._marked(text, lineage_audit.store_types().text, 'mask') if is_marked else text) %}
{% endmacro %}

{#- Some rows of each kind of change, by key. -#}
{% macro _what_if_sample(plan, sample_rows) %}
  {% do return(
    'select\n  *\nfrom (\n  select\n    *,\n    row_number() over (partition by place, change, target_column, reason order by record_key) as sample_place\n  from (\n'
    ~ lineage_audit._what_if_details(plan) ~ '\n  ) as details\n) as numbered\nwhere sample_place <= ' ~ sample_rows
  ) %}
{% endmacro %}

{#- The rows that are evaluated: stored values typed as they were, what gold holds, and whether the changed filters keep the row. A row that they
    leave out goes on with NULLs, so that no expression meets what a filter spares it. -#}
{% macro _what_if_source(plan) %}
  {% set selects = [] %}
  {% for group in plan.groups | selectattr('in_gold', 'equalto', 1) %}
    {% do selects.append(lineage_audit._what_if_gold(plan, group)) %}
  {% endfor %}
  {% set ctes = [] %}
  {% set refused = lineage_audit._groups_of_quarantine(plan) %}
  {% if refused %}
    {% do ctes.append(lineage_audit._committed_ctes() | trim) %}
    {% if plan.keeps_refused %}
      {% do ctes.extend([lineage_audit._gold_runs_cte(plan.written) | trim, lineage_audit._kept_cte(plan.written)]) %}
    {% endif %}
    {% do ctes.append(lineage_audit._open_record_ctes(plan.target_relation, 'kept' if plan.keeps_refused else none) | trim) %}
    {% for groups in refused %}
      {% do selects.append(lineage_audit._what_if_quarantine(plan, groups)) %}
    {% endfor %}
  {% endif %}
  {% do ctes.append('stored as (\n  ' ~ selects | join('\n  union all\n  ') ~ '\n)') %}
  {% set keeps = ['_lineage_unknown is null'] %}
  {% for rule in plan.evaluated_filters %}
    {% do keeps.append('coalesce((' ~ rule.expression ~ '), false)') %}
  {% endfor %}
  {% do ctes.append(lineage_audit._cte('looked_at', ['*', keeps | join(' and ') ~ ' as _lineage_is_in'], 'stored', [])) %}
  {% set items = plan.carried | list %}
  {% for field in plan.needed %}
    {% set name = lineage_audit.quote_name(field.name) %}
    {% do items.append('case when _lineage_is_in then ' ~ name ~ ' end as ' ~ name if plan.evaluated_filters else name) %}
  {% endfor %}
  {% do return('(\n  with ' ~ ctes | join(',\n') ~ '\n  select\n    ' ~ items | join(',\n    ') ~ '\n  from looked_at\n) as stored_rows') %}
{% endmacro %}

{#- The groups of runs that refused records, those of equal terms together: a list of lists. -#}
{% macro _groups_of_quarantine(plan) %}
  {% set by_terms = {} %}
  {% for group in plan.groups | selectattr('has_rejected', 'equalto', 1) %}
    {% set why = lineage_audit._why_not_evaluated(plan, group, true) or lineage_audit._unseen_rule(plan, group) or '' %}
    {% do by_terms.setdefault(why, []).append(group) %}
  {% endfor %}
  {% do return(by_terms.values() | list) %}
{% endmacro %}
