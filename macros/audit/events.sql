{#- STARTED, before the data moves. -#}
{% macro _started_sql() %}
  {% set plan = lineage_audit._plan_of_run() %}
  {% if not plan %}
    {% do return('') %}
  {% endif %}
  {% do return(lineage_audit._insert_select('run_event', lineage_audit._event_values('STARTED', plan), none)) %}
{% endmacro %}

{#- SUCCESS, the commit of the run: counts, each counted on its own, and the failure of the run where they don't add up. They don't,
    too, where a client that got no answer sent an INSERT a second time: Databricks' connector does. -#}
{% macro _success_sql() %}
  {% set plan = lineage_audit._plan_of_run() %}
  {% if not plan %}
    {% do return('') %}
  {% endif %}
  {% set ctes = lineage_audit._count_ctes(plan) %}
  {% set kept = plan.rejected == 'keep' %}
  {% set rejected = 'kept.rejected' if kept else 'refused.rejected' %}
  {% set output = 'kept.output' if kept else 'written.output' %}
  {% set numbers = "input ' || read.input || ', filtered ' || read.filtered || ', rejected ' || " ~ rejected ~ " || ', output ' || " ~ output ~ " || '" %}
  {% set text = "'lineage_audit: records do not add up in ' || " ~ lineage_audit.text_literal(plan.target_relation) ~ " || ': " ~ numbers ~ "'" %}
  {% set outcomes = ['case', 'when read.input <> read.filtered + ' ~ rejected ~ ' + ' ~ output ~ ' then ' ~ lineage_audit.raise_in_sql(text)] %}
  {% set lineage = lineage_audit._lineage_of_run(plan) %}
  {% if lineage %}
    {% set lineage_text = "'lineage_audit: lineage does not add up in ' || " ~ lineage_audit.text_literal(plan.target_relation)
      ~ " || ': output ' || " ~ output ~ " || ', " ~ lineage.table ~ " ' || logged.lineage || ' instead of " ~ lineage.rows_of_each ~ " for each. Run it again.'" %}
    {% do outcomes.append('when logged.lineage <> ' ~ lineage.rows_of_each ~ ' * ' ~ output ~ ' then ' ~ lineage_audit.raise_in_sql(lineage_text)) %}
  {% endif %}
  {% do outcomes.append("else 'SUCCESS'") %}
  {% set values = lineage_audit._event_values('SUCCESS', plan) %}
  {% do values.update({
    'event_type': outcomes | join('\n    ') ~ '\n  end',
    'input_record_count': 'read.input', 'output_record_count': output,
    'rejected_record_count': rejected, 'filtered_record_count': 'read.filtered'
  }) %}
  {% if plan.watermark %}
    {% do values.update({'watermark_to': lineage_audit._watermark_to(plan)}) %}
  {% endif %}
  {% set counted = ['read'] + (['kept'] if kept else ['refused', 'written']) + (['logged'] if lineage else []) %}
  {% do return(lineage_audit._insert_select('run_event', values, 'from ' ~ counted | join('\ncross join '), ctes)) %}
{% endmacro %}

{#- The table that holds the lineage of this run, and how many rows of it each gold row has; none where nothing is copied. -#}
{% macro _lineage_of_run(plan) %}
  {% do return({
    'exploded': {'table': 'cell_lineage', 'rows_of_each': plan.columns | length},
    'compact': {'table': 'record_lineage', 'rows_of_each': 1}
  }.get(plan.capture)) %}
{% endmacro %}

{% macro _count_ctes(plan) %}
  {% set filtered = '0' %}
  {% if plan.filters %}
    {% set predicates = [] %}
    {% for rule in plan.filters %}
      {% do predicates.append('coalesce((' ~ rule.expression ~ '), false)') %}
    {% endfor %}
    {% set filtered = 'coalesce(sum(case when ' ~ predicates | join(' and ') ~ ' then 0 else 1 end), 0)' %}
  {% endif %}
  {% set items = ['count(*) as input', filtered ~ ' as filtered'] %}
  {% if plan.watermark %}
    {% do items.append('max(' ~ lineage_audit.quote_name(plan.watermark.column) ~ ') as highest') %}
  {% endif %}
  {% set ctes = [lineage_audit._cte('read', items, plan.source_sql, lineage_audit._read_bounds(plan))] %}
  {% set written = [] if plan.whole_table else lineage_audit._written_by_this_run() %}
  {% if plan.rejected == 'keep' %}
    {% set kept = [lineage_audit._count_where(lineage_audit._is_refused()) ~ ' as rejected', lineage_audit._count_where(lineage_audit._is_accepted()) ~ ' as output'] %}
    {% do ctes.append(lineage_audit._cte('kept', kept, plan.gold, written)) %}
  {% else %}
    {% do ctes.append(lineage_audit._cte('refused', ['count(*) as rejected'], lineage_audit._store('rejected_record'), lineage_audit._of_this_run(plan))) %}
    {% do ctes.append(lineage_audit._cte('written', ['count(*) as output'], plan.gold, written)) %}
  {% endif %}
  {% set lineage = lineage_audit._lineage_of_run(plan) %}
  {% if lineage %}
    {% do ctes.append(lineage_audit._cte(
      'logged', ['count(*) as lineage'], lineage_audit._store(lineage.table), ['attempt_id = ' ~ lineage_audit._attempt_id(plan.target_relation)]
    )) %}
  {% endif %}
  {% do return('with ' ~ ctes | join(',\n')) %}
{% endmacro %}

{% macro _count_where(predicate) %}
  {% do return('coalesce(sum(case when ' ~ predicate ~ ' then 1 else 0 end), 0)') %}
{% endmacro %}

{#- The mark never falls: an empty run keeps it. -#}
{% macro _watermark_to(plan) %}
  {% set highest = 'read.highest' %}
  {% if plan.watermark['from'] is not none %}
    {% set highest = 'greatest(read.highest, ' ~ lineage_audit._watermark_literal(plan.watermark['from'], plan.watermark.type) ~ ')' %}
  {% endif %}
  {% do return(lineage_audit.text_of(highest, plan.watermark.type)) %}
{% endmacro %}

{% macro _of_this_run(plan) %}
  {% do return([
    'invocation_id = ' ~ lineage_audit.text_literal(invocation_id),
    'target_relation = ' ~ lineage_audit.text_literal(plan.target_relation)
  ]) %}
{% endmacro %}

{% macro _written_by_this_run() %}
  {% do return(['_lineage_invocation_id = ' ~ lineage_audit.text_literal(invocation_id)]) %}
{% endmacro %}

{#- What every event says, as {column: literal}. Of gold's source values: where each is held, in the struct or in a column of
    gold, and its place among the values of a record (none: mapped no more). -#}
{% macro _event_values(event_type, plan) %}
  {% set fields = [] %}
  {% set struct_fields = plan.get('struct_fields', []) %}
  {% set places = {} %}
  {% for field in plan.get('fields', []) %}
    {% do places.update({field.name: loop.index}) %}
  {% endfor %}
  {% for field in struct_fields + plan.get('fields', []) %}
    {% if not lineage_audit._find_column(fields, field.name) %}
      {% set in_struct = lineage_audit._find_column(struct_fields, field.name) is not none %}
      {% do fields.append({
        'name': field.name, 'type': field.type, 'mark': field.mark, 'field_type': field.field_type,
        'in_struct': in_struct, 'gold_column': none if in_struct else field.verbatim, 'position': places.get(field.name)
      }) %}
    {% endif %}
  {% endfor %}
  {% set target_columns = [] %}
  {% for column in plan.get('columns', []) %}
    {% do target_columns.append({
      'name': column.name, 'type': column.type, 'is_key': column.is_key, 'mark': column.mark, 'source_field': column.source_columns[0] if column.identity else none
    }) %}
  {% endfor %}
  {% do target_columns.extend(plan.get('kept_columns', [])) %}
  {% do return({
    'event_type': lineage_audit.text_literal(event_type),
    'event_ts': lineage_audit._utc_now(),
    'attempt_id': lineage_audit._attempt_id(plan.target_relation),
    'run_id': lineage_audit.text_literal(plan.run_id),
    'invocation_id': lineage_audit.text_literal(invocation_id),
    'target_relation': lineage_audit.text_literal(plan.target_relation),
    'pipeline_name': lineage_audit.text_literal(plan.pipeline_name),
    'endpoint_name': lineage_audit.text_literal(plan.endpoint_name),
    'source_system': lineage_audit.text_literal(plan.get('source_system')),
    'target_table': lineage_audit.text_literal(plan.target_table),
    'node_id': lineage_audit.text_literal(plan.node_id),
    'whole_table': 'true' if plan.whole_table else 'false',
    'capture': lineage_audit.text_literal(plan.capture),
    'rejected': lineage_audit.text_literal(plan.rejected),
    'config_hash': lineage_audit.text_literal(plan.get('config_hash')),
    'code_version': lineage_audit.text_literal(plan.code_version),
    'run_by': lineage_audit.run_by(),
    'watermark_from': lineage_audit.text_literal(plan.watermark['from'] if plan.watermark else plan.get('watermark_from')),
    'source_fields': lineage_audit.text_literal(tojson(fields)),
    'target_columns': lineage_audit.text_literal(tojson(target_columns))
  }) %}
{% endmacro %}

{#- The plan of the model that is being built, none where nothing is to be written. -#}
{% macro _plan_of_run() %}
  {% if not execute or not lineage_audit._is_running() %}
    {% do return(none) %}
  {% endif %}
  {% do return(lineage_audit._remembered(model.unique_id)) %}
{% endmacro %}
