{#- What is stored of a table's records, by the runs that wrote or refused them. -#}

{#- One entry for each config, layout and capture of the committed runs of a table, the last run's first: {config_hash, capture, layout,
    fields: the source columns that are stored, in_gold: may gold hold its rows?, has_rejected, mapping: {target_column in lower case: row of
    config_version}, rules: {id: row}}. -#}
{% macro _stored_groups(written) %}
  {% set events = lineage_audit._store('run_event') %}
  {% set of_gold = "event_type = 'SUCCESS' and target_relation = " ~ lineage_audit.text_literal(written.target_relation) %}
  {% set groups = lineage_audit._json_rows(
    "select\n  config_hash,\n  coalesce(capture, 'exploded') as capture,\n  source_fields,\n  md5(source_fields || target_columns) as layout,\n  "
    ~ lineage_audit.text_of('max(event_ts)', 'timestamp') ~ ' as last_ts,\n  max(case when event_ts >= rebuilt.rebuilt_ts then 1 else 0 end) as in_gold'
    ~ ',\n  max(case when rejected_record_count > 0 then 1 else 0 end) as has_rejected\nfrom ' ~ events
    ~ '\ncross join (select max(event_ts) as rebuilt_ts from ' ~ events ~ ' where ' ~ of_gold ~ ' and whole_table) as rebuilt\nwhere ' ~ of_gold
    ~ "\ngroup by config_hash, coalesce(capture, 'exploded'), source_fields, target_columns"
  ) | sort(attribute='last_ts', reverse=true) %}
  {% set pinned = {} %}
  {% for row in lineage_audit._json_rows(
    'select distinct\n  config_hash,\n  kind,\n  column_position,\n  target_column,\n  source_columns,\n  source_types,\n  transform_expr,\n  default_expr,\n  data_type'
    ~ ',\n  is_primary_key,\n  nullable,\n  sensitivity,\n  business_rule_id,\n  rule_category,\n  severity\nfrom ' ~ lineage_audit._store('config_version')
    ~ '\nwhere config_hash in ' ~ lineage_audit._in_list(groups | map(attribute='config_hash') | unique | list)
  ) | sort(attribute='column_position') %}
    {% set config = pinned.setdefault(row.config_hash, {'mapping': {}, 'rules': {}}) %}
    {% if row.kind == 'mapping' %}
      {% do config.mapping.update({row.target_column | lower: row}) %}
    {% else %}
      {% do config.rules.update({row.business_rule_id: row}) %}
    {% endif %}
  {% endfor %}
  {% set found = [] %}
  {% for group in groups %}
    {% set config = pinned.get(group.config_hash, {'mapping': {}, 'rules': {}}) %}
    {% do found.append(dict(
      group, fields=lineage_audit._recorded_fields(fromjson(group.source_fields or '[]')), mapping=config.mapping, rules=config.rules,
      layout=written.layouts | selectattr('hash', 'equalto', group.layout) | first, target_relation=written.target_relation, keeps_refused=written.keeps_refused
    )) %}
  {% endfor %}
  {% do return(found) %}
{% endmacro %}

{#- Is a planned column made as a group of stored records had it made? -#}
{% macro _is_made_as_then(column, group) %}
  {% set then = group.mapping.get(column.name | lower) %}
  {% do return(
    then and then.source_columns == column.source_columns and then.source_types == column.source_types and then.transform_expr == column.shown_expression
    and then.default_expr == column.default_expression and then.data_type == column.declared_type
  ) %}
{% endmacro %}

{% macro _is_rule_as_then(rule, category, group) %}
  {% set then = group.rules.get(rule.id) %}
  {% do return(
    then and then.rule_category == category and lineage_audit.sql_expression(then.transform_expr) == rule.expression
    and (category != 'validation' or then.severity == rule.severity)
  ) %}
{% endmacro %}

{#- Why a group of records can't be evaluated, as one of the texts that _not_evaluated_sentences explains, or none. from_texts: are its values read
    from texts? -#}
{% macro _why_not_evaluated(plan, group, from_texts) %}
  {% for field in plan.needed %}
    {% set stored = lineage_audit._find_column(group.fields, field.name) %}
    {% if not stored %}
      {% do return('not_stored:' ~ field.name) %}
    {% elif stored.mark != 'none' %}
      {% do return('masked:' ~ field.name) %}
    {% elif stored.type != field.type %}
      {% do return('other_type:' ~ field.name) %}
    {% elif from_texts and not lineage_audit.is_readable_type(stored.type) %}
      {% do return('unreadable_type:' ~ field.name) %}
    {% endif %}
  {% endfor %}
  {% for column in plan.columns | selectattr('held') %}
    {% if not lineage_audit._is_made_as_then(column.was, group) %}
      {% do return('other_config:' ~ column.name) %}
    {% endif %}
  {% endfor %}
  {% for rule in plan.passed_filters %}
    {% if not lineage_audit._is_rule_as_then(rule, 'filter', group) %}
      {% do return('other_config:' ~ rule.id) %}
    {% endif %}
  {% endfor %}
  {% do return(none) %}
{% endmacro %}

{#- A SELECT of gold's rows of a group: the items of _what_if_source. -#}
{% macro _what_if_gold(plan, group) %}
  {% set why = lineage_audit._why_not_evaluated(plan, group, group.capture != 'in_row') %}
  {% set needed = plan.needed if why is none else [] %}
  {% set copied = needed and group.capture != 'in_row' %}
  {% set items = [lineage_audit._target_pk(group.layout) ~ ' as target_pk', '_lineage_invocation_id as invocation_id', '_lineage_warnings as warnings'] %}
  {% for column in plan.held_columns %}
    {% do items.append(column.quoted_in_gold ~ ' as ' ~ column.held_name) %}
  {% endfor %}
  {% for field in needed if not copied %}
    {% do items.append('_lineage_source_values.' ~ lineage_audit.quote_name(field.name) ~ ' as ' ~ lineage_audit.quote_name(field.name)) %}
  {% endfor %}
  {% set from = '(\n    select\n      ' ~ items | join(',\n      ') ~ '\n    from ' ~ plan.gold ~ '\n    where ' ~ lineage_audit._rows_of_branch(plan, group) ~ '\n  ) as gold' %}
  {% set unknown = lineage_audit.text_literal(why) %}
  {% set values = {} %}
  {% if copied %}
    {% set logged = lineage_audit._logged_texts(plan, group) %}
    {% set from = from ~ '\n  inner join ' ~ lineage_audit._store('run_event') ~ " as events\n    on gold.invocation_id = events.invocation_id\n    and events.event_type = 'SUCCESS'\n    and events.target_relation = "
      ~ lineage_audit.text_literal(plan.target_relation) ~ '\n  left join ' ~ logged ~ ' as logged\n    on events.attempt_id = logged.attempt_id\n    and gold.target_pk = logged.target_pk' %}
    {% set whens = ["when logged.target_pk is null then 'no_lineage'", "when logged.copies > 1 then 'key_not_unique'"] %}
    {% for field in needed %}
      {% set value = lineage_audit.value_of('logged.text_' ~ loop.index, field.type) %}
      {% do values.update({field.name: value}) %}
      {% if not lineage_audit._is_text_type(field.type) %}
        {% do whens.append('when logged.text_' ~ loop.index ~ ' is not null and ' ~ value ~ ' is null then ' ~ lineage_audit.text_literal('unreadable_value:' ~ field.name)) %}
      {% endif %}
    {% endfor %}
    {% set unknown = 'case\n      ' ~ whens | join('\n      ') ~ '\n    end' %}
  {% else %}
    {% for field in needed %}
      {% do values.update({field.name: 'gold.' ~ lineage_audit.quote_name(field.name)}) %}
    {% endfor %}
  {% endif %}
  {% set held = {} %}
  {% for column in plan.held_columns %}
    {% do held.update({column.held_name: 'gold.' ~ column.held_name}) %}
  {% endfor %}
  {% do return('select\n    ' ~ lineage_audit._what_if_items(plan, {
    '_lineage_place': "'gold'", '_lineage_record_key': 'gold.target_pk', '_lineage_target_pk': 'gold.target_pk', '_lineage_reasons_before': lineage_audit.list_of([]),
    '_lineage_warnings_before': 'gold.warnings', '_lineage_mapped_json': none, '_lineage_unknown': unknown
  }, values, held) ~ '\n  from ' ~ from) %}
{% endmacro %}

{#- The logged texts that are needed, a row per key of a run: attempt_id, target_pk, text_1 …, copies: rows that share the key. -#}
{% macro _logged_texts(plan, group) %}
  {% set items = ['attempt_id', 'target_pk'] %}
  {% set attempts = 'attempt_id in (select attempt_id from ' ~ lineage_audit._store('run_event') ~ " where event_type = 'SUCCESS' and target_relation = "
    ~ lineage_audit.text_literal(plan.target_relation) ~ ' and config_hash = ' ~ lineage_audit.text_literal(group.config_hash) ~ ')' %}
  {% if group.capture == 'compact' %}
    {% for field in plan.needed %}
      {% set position = lineage_audit._find_column(group.fields, field.name).position %}
      {% do items.append('max(' ~ lineage_audit.item_at('source_values', position) ~ ') as text_' ~ loop.index) %}
    {% endfor %}
    {% do items.append('count(*) as copies') %}
    {% do return('(\n    select\n      ' ~ items | join(',\n      ') ~ '\n    from ' ~ lineage_audit._store('record_lineage') ~ '\n    where ' ~ attempts ~ '\n    group by attempt_id, target_pk\n  )') %}
  {% endif %}
  {% set positions = [] %}
  {% for field in plan.needed %}
    {% set place = namespace(position=none, item=none) %}
    {% for row in group.mapping.values() %}
      {% if field.name in row.source_columns and (place.position is none or row.column_position in positions and place.position not in positions) %}
        {% set place.position = row.column_position %}
        {% set place.item = row.source_columns.index(field.name) + 1 %}
      {% endif %}
    {% endfor %}
    {% do positions.append(place.position) if place.position not in positions %}
    {% do items.append('max(case when column_position = ' ~ place.position ~ ' then ' ~ lineage_audit.item_at('source_values', place.item) ~ ' end) as text_' ~ loop.index) %}
  {% endfor %}
  {% do items.append('count(case when column_position = ' ~ positions[0] ~ ' then 1 end) as copies') %}
  {% do return(
    '(\n    select\n      ' ~ items | join(',\n      ') ~ '\n    from ' ~ lineage_audit._store('cell_lineage') ~ '\n    where ' ~ attempts
    ~ '\n      and column_position in (' ~ positions | join(', ') ~ ')\n    group by attempt_id, target_pk\n  )'
  ) %}
{% endmacro %}

{#- A SELECT of the open records of the quarantine that some groups with equal terms refused: the items of _what_if_source. -#}
{% macro _what_if_quarantine(plan, groups) %}
  {% set group = groups[0] %}
  {% set why = lineage_audit._why_not_evaluated(plan, group, true) or lineage_audit._unseen_rule(plan, group) %}
  {% set values = {} %}
  {% set whens = [] %}
  {% for field in plan.needed if why is none %}
    {% set text = lineage_audit.member_of_json('source_values_json', field.name) %}
    {% set value = lineage_audit.value_of(text, field.type) %}
    {% do values.update({field.name: value}) %}
    {% if not lineage_audit._is_text_type(field.type) %}
      {% do whens.append('when ' ~ text ~ ' is not null and ' ~ value ~ ' is null then ' ~ lineage_audit.text_literal('unreadable_value:' ~ field.name)) %}
    {% endif %}
  {% endfor %}
  {% set held = {} %}
  {% for column in plan.columns | selectattr('held') %}
    {% if not column.is_blind and why is none %}
      {% do held.update({column.held_name: lineage_audit.value_of(lineage_audit.member_of_json('mapped_values_json', column.name), column.gold_type)}) %}
    {% endif %}
  {% endfor %}
  {% set unknown = 'case\n      ' ~ whens | join('\n      ') ~ '\n    end' if whens else lineage_audit.text_literal(why) %}
  {% do return('select\n    ' ~ lineage_audit._what_if_items(plan, {
    '_lineage_place': "'quarantine'", '_lineage_record_key': 'record_key', '_lineage_target_pk': 'target_pk', '_lineage_reasons_before': 'failed_rules',
    '_lineage_warnings_before': lineage_audit.list_of([]), '_lineage_mapped_json': 'mapped_values_json', '_lineage_unknown': unknown
  }, values, held) ~ '\n  from open_records\n  where config_hash in ' ~ lineage_audit._in_list(groups | map(attribute='config_hash') | unique | list)) %}
{% endmacro %}

{#- A rule over a value that the quarantine holds masked can be judged again only where it is the rule, over the columns, that the record was judged by. -#}
{% macro _unseen_rule(plan, group) %}
  {% for rule in plan.blind_rules if rule.severity == 'ERROR' %}
    {% set as_then = namespace(yes=lineage_audit._is_rule_as_then(rule, 'validation', group)) %}
    {% for column in plan.columns if column.name in rule.columns %}
      {% if not lineage_audit._is_made_as_then(column.was if column.held else column, group) %}
        {% set as_then.yes = false %}
      {% endif %}
    {% endfor %}
    {% if not as_then.yes %}
      {% do return('unseen:' ~ rule.id) %}
    {% endif %}
  {% endfor %}
  {% do return(none) %}
{% endmacro %}

{#- Every column of the rows that are evaluated, in one order. -#}
{% macro _what_if_items(plan, facts, values, held) %}
  {% set text = lineage_audit.store_types().text %}
  {% set items = [] %}
  {% for name, expression in facts.items() %}
    {% do items.append((expression if expression not in [none, 'null'] else 'cast(null as ' ~ text ~ ')') ~ ' as ' ~ name) %}
  {% endfor %}
  {% for field in plan.needed %}
    {% do items.append((values.get(field.name) or 'cast(null as ' ~ field.type ~ ')') ~ ' as ' ~ lineage_audit.quote_name(field.name)) %}
  {% endfor %}
  {% for column in plan.held_columns %}
    {% do items.append((held.get(column.held_name) or 'cast(null as ' ~ column.gold_type ~ ')') ~ ' as ' ~ column.held_name) %}
  {% endfor %}
  {% do return(items | join(',\n    ')) %}
{% endmacro %}
