{#- Operation: the properties of mapped models, from the config tables, as a .yml for the project. See _ask.yml for the arguments. -#}
{% macro generate_properties(target_table=none, contract=true, data_tests=none) %}
  {% if not execute %}
    {% do return('') %}
  {% endif %}
  {% set wanted = lineage_audit._wanted_tests(data_tests) %}
  {% set tables = lineage_audit._config_tables(lineage_audit._loaded_config_relations()) %}
  {% set problems = [] %}
  {% set plans = [] %}
  {% for node in lineage_audit._nodes_to_describe(target_table) %}
    {% set request = lineage_audit._request_of_node(node, tables) %}
    {% set found = lineage_audit._problems_of_properties(node, request) %}
    {% do problems.extend(found) %}
    {% do plans.append(lineage_audit._described_plan(node, request)) if not found %}
  {% endfor %}
  {% if problems %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: no properties, since of ' ~ lineage_audit._counted(problems | length, 'problem') ~ ':\n' ~ lineage_audit._numbered(lineage_audit._distinct(problems))
    ) %}
  {% endif %}
  {% set models = [] %}
  {% for plan in plans %}
    {% do models.append(lineage_audit._properties_of(plan, (contract | string | lower) == 'true', wanted)) %}
  {% endfor %}
  {% do print(
    '# Written by the operation generate_properties from the config tables: edit those, not this file.\n'
    ~ lineage_audit._yaml({'models': models})
  ) %}
{% endmacro %}

{#- The project's own mapped models by name: dbt takes no properties of another package's. -#}
{% macro _nodes_to_describe(target_table) %}
  {% set nodes = [] %}
  {% if target_table is not none %}
    {% for name in ([target_table] if target_table is string else target_table) %}
      {% set node = lineage_audit._mapped_node(name) %}
      {% do nodes.append(node) if node not in nodes %}
    {% endfor %}
  {% else %}
    {% for node in lineage_audit._mapped_nodes(none) if node.package_name == project_name %}
      {% do nodes.append(node) %}
    {% endfor %}
  {% endif %}
  {% do return(nodes | sort(attribute='name')) %}
{% endmacro %}

{% macro _problems_of_properties(node, request) %}
  {% set problems = lineage_audit._config_problems(request) %}
  {% if not request.source_known %}
    {% do problems.append(lineage_audit._problem(
      'model', 'source of ' ~ node.name, request.source_unknown ~ ': the types of its columns are not known.', 'Build it first, then generate again.'
    )) %}
  {% endif %}
  {% if node.get('version') %}
    {% do problems.append(lineage_audit._problem(
      'model', node.name, 'has versions, whose properties stand under `versions`, which no config tells.', 'Name the other tables as target_table, and write its properties by hand.'
    )) %}
  {% endif %}
  {% do return(problems) %}
{% endmacro %}

{#- As much of a plan as the SELECT of the model needs, over its source without a row, and what the store knows of its struct. -#}
{% macro _described_plan(node, request) %}
  {% set columns = [] %}
  {% for row in request.rows %}
    {% do columns.append(lineage_audit._planned_column(row, request)) %}
  {% endfor %}
  {% set acting = lineage_audit._acting_rules(request) %}
  {% set fields = lineage_audit._declared_fields(request, columns) %}
  {% set relation = api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) %}
  {% set plan = {
    'node': node, 'endpoint': request.tables.api_endpoints | selectattr('endpoint_name', 'equalto', request.endpoint_name) | first,
    'columns': columns, 'fields': fields, 'filters': [], 'validations': acting.validations, 'run_id': '', 'gold': relation, 'rejected': request.rejected,
    'reads': request.source_columns | map(attribute='name') | list, 'source_sql': request.built_source | string, 'staged': none, 'reread': 'all',
    'latest_by': request.latest_by, 'kept_columns': [],
    'watermark': {'column': request.watermark, 'from': none} if request.watermark else none
  } %}
  {% do plan.update({'struct_fields': lineage_audit._new_struct(fields)}) %}
  {% set written = lineage_audit._as_last_written(plan) if node.config.materialized == 'incremental' else none %}
  {% if written %}
    {% do plan.update({'struct_fields': lineage_audit._grown_struct(plan, written), 'kept_columns': lineage_audit._columns_that_stay(plan, written)}) %}
  {% endif %}
  {% do return(plan) %}
{% endmacro %}

{#- What the last successful run of an incremental model left; none where the table is not there. -#}
{% macro _as_last_written(plan) %}
  {% if load_relation(plan.gold) is none or load_relation(lineage_audit._store('run_event')) is none %}
    {% do return(none) %}
  {% endif %}
  {% do return(lineage_audit._target_history(lineage_audit._relation_text(plan.gold)).last_success) %}
{% endmacro %}

{#- The struct of the next incremental run: the fields lie as they do in gold, new ones come last. -#}
{% macro _grown_struct(plan, written) %}
  {% set grown = [] %}
  {% for field in written.source_fields if field.in_struct %}
    {% set now = lineage_audit._find_column(plan.fields, field.name) %}
    {% if now and (now.type != field.type or now.mark != field.mark) %}
      {#- The next run has to be a full refresh. -#}
      {% do return(plan.struct_fields) %}
    {% endif %}
    {% do grown.append(now or {'name': field.name, 'column': none, 'type': field.type, 'mark': field.mark, 'field_type': field.field_type}) %}
  {% endfor %}
  {% for field in plan.struct_fields %}
    {% do grown.append(field) if field.name != 'no_source_column' and not lineage_audit._find_column(grown, field.name) %}
  {% endfor %}
  {% do return(grown or plan.struct_fields) %}
{% endmacro %}

{#- Columns that are mapped no more, and stay where on_schema_change only appends. -#}
{% macro _columns_that_stay(plan, written) %}
  {% set kept = [] %}
  {% for column in written.target_columns or [] if plan.node.config.get('on_schema_change') == 'append_new_columns' %}
    {% if not lineage_audit._find_column(plan.columns, column.name) %}
      {% set type = column.type or lineage_audit._find_column(lineage_audit.columns_of(plan.gold), column.name).type %}
      {% do kept.append({'name': column.name, 'type': type, 'kept': true}) %}
    {% endif %}
  {% endfor %}
  {% do return(kept) %}
{% endmacro %}

{#- What dbt calls properties, of one model: a mapping of plain values, as it is written. -#}
{% macro _properties_of(plan, contract, wanted) %}
  {% set described = [] %}
  {#- The engine itself tells the types of what the model selects; it reads no row. -#}
  {% for column in lineage_audit.columns_of('(' ~ lineage_audit._gold_sql(plan) ~ ')') %}
    {% set planned = lineage_audit._find_column(plan.columns, column.name) %}
    {% set entry = {'name': column.name} %}
    {% do entry.update({'quote': true}) if lineage_audit.quote_name(column.name) != column.name %}
    {% do entry.update({
      'data_type': column.type,
      'description': lineage_audit._column_description(plan, planned) if planned else lineage_audit._added_column_description(column.name)
    }) %}
    {% if planned %}
      {% do entry.update({'config': {'meta': {'lineage_audit': lineage_audit._column_meta(plan, planned)}}}) %}
      {#- A table that keeps its refused rows may hold NULL in them. -#}
      {% do entry.update({'data_tests': ['not_null']}) if planned.required and 'not_null' in wanted and plan.rejected != 'keep' %}
    {% endif %}
    {% do described.append(entry) %}
  {% endfor %}
  {% set model = {'name': plan.node.name} %}
  {% do model.update({'description': lineage_audit._model_description(plan)}) %}
  {% do model.update({'config': {'contract': {'enforced': true}}}) if contract %}
  {% set tests = lineage_audit._model_tests(plan, wanted) %}
  {% do model.update({'data_tests': tests}) if tests %}
  {% do model.update({'columns': described}) %}
  {% do return(model) %}
{% endmacro %}

{% macro _wanted_tests(data_tests) %}
  {% set known = ['primary_key', 'business_rules', 'lineage_complete', 'lineage_replays', 'run_reconciles', 'not_null'] %}
  {% if data_tests is none %}
    {% do return(known) %}
  {% endif %}
  {% set wanted = [data_tests] if data_tests is string else data_tests %}
  {% for name in wanted if name not in known %}
    {% do exceptions.raise_compiler_error(
      "lineage_audit: data_tests has '" ~ name ~ "', which generate_properties does not write. " ~ lineage_audit._did_you_mean(name | string, known, 'It writes: ' ~ known | join(', ') ~ '.')
    ) %}
  {% endfor %}
  {% do return(wanted) %}
{% endmacro %}

{% macro _model_tests(plan, wanted) %}
  {% set tests = [] %}
  {% for name in ['primary_key', 'lineage_complete', 'lineage_replays', 'run_reconciles'] if name in wanted %}
    {% do tests.append('lineage_audit.' ~ name) %}
  {% endfor %}
  {% set severities = plan.validations | map(attribute='severity') | list %}
  {% if 'business_rules' in wanted and 'ERROR' in severities %}
    {% do tests.append({'lineage_audit.business_rules': {'arguments': {'endpoint_name': plan.endpoint.endpoint_name}}}) %}
  {% endif %}
  {% if 'business_rules' in wanted and 'WARN' in severities %}
    {% do tests.append({'lineage_audit.business_rules': {
      'arguments': {'endpoint_name': plan.endpoint.endpoint_name, 'rule_severity': 'WARN'}, 'config': {'severity': 'warn'}
    }}) %}
  {% endif %}
  {% do return(tests) %}
{% endmacro %}

{#- Where a column comes from, for programs. -#}
{% macro _column_meta(plan, column) %}
  {% set meta = {'endpoint_name': plan.endpoint.endpoint_name, 'target_layer': column.row.target_layer} %}
  {% do meta.update({
    'api_field_name': column.row.api_field_name, 'api_json_path': column.row.api_json_path, 'source_table': column.row.source_table, 'source_columns': column.source_columns,
    'transform_expr': column.shown_expression, 'business_rules': column.rule_ids, 'sensitivity': column.mark
  }) %}
  {% set filled = {} %}
  {% for key, value in meta.items() if value %}
    {% do filled.update({key: value}) %}
  {% endfor %}
  {% do filled.update({'is_primary_key': true}) if column.is_key %}
  {% do return(filled) %}
{% endmacro %}

{#- The mapping's own words, and where the column comes from, for the docs site. -#}
{% macro _column_description(plan, column) %}
  {% set sources = [] %}
  {% for name in column.source_columns %}
    {% do sources.append(lineage_audit._code((column.row.source_table ~ '.' if column.row.source_table else '') ~ name)) %}
  {% endfor %}
  {% set facts = [] %}
  {% set made = [] %}
  {% do made.append(lineage_audit._code(column.shown_expression)) if column.shown_expression not in column.source_columns %}
  {% do made.append('cast to ' ~ lineage_audit._code(column.data_type)) if column.data_type %}
  {% do facts.append(
    'From ' ~ (sources | join(', ') or 'no source column') ~ (': ' ~ made | join(', ') if made else '')
    ~ (', else ' ~ lineage_audit._code(column.default_expression) if column.default_expression else '') ~ '.'
  ) %}
  {% if column.row.api_field_name or column.row.api_json_path %}
    {% do facts.append(
      'API field ' ~ lineage_audit._code(column.row.api_field_name or column.row.api_json_path)
      ~ (' at ' ~ lineage_audit._code(column.row.api_json_path) if column.row.api_field_name and column.row.api_json_path else '')
      ~ ' of ' ~ lineage_audit._code(plan.endpoint.endpoint_name) ~ (' (' ~ plan.endpoint.source_system ~ ')' if plan.endpoint.source_system else '') ~ '.'
    ) %}
  {% endif %}
  {% set rules = [] %}
  {% for id in column.rule_ids %}
    {% do rules.append(lineage_audit._code(id)) %}
  {% endfor %}
  {% do facts.append(('Rules: ' if rules | length > 1 else 'Rule: ') ~ rules | join(', ') ~ '.') if rules %}
  {% do facts.append('Sensitivity: ' ~ column.mark ~ '.') if column.mark != 'none' %}
  {% set text = facts | join(' ') %}
  {% do return({'text': (column.row.description ~ '\n\n' if column.row.description else '') ~ text}) %}
{% endmacro %}

{% macro _model_description(plan) %}
  {% set origin = 'Mapped by ' ~ lineage_audit._code('field_mapping') ~ ' from endpoint ' ~ lineage_audit._code(plan.endpoint.endpoint_name)
    ~ (' of ' ~ plan.endpoint.source_system if plan.endpoint.source_system else '') ~ '.' %}
  {% do return({'text': (plan.endpoint.description ~ '\n\n' if plan.endpoint.description else '') ~ origin}) %}
{% endmacro %}

{#- A column that the package adds has a doc block; one that is mapped no more has a sentence. -#}
{% macro _added_column_description(name) %}
  {% if name in ['_lineage_run_id', '_lineage_invocation_id', '_lineage_warnings', '_lineage_source_values', '_lineage_failed_rules'] %}
    {% do return({'jinja': "{{ doc('lineage_audit', '" ~ name[1:] ~ "') }}"}) %}
  {% endif %}
  {% do return({'text': 'Mapped no more; NULL in new rows.'}) %}
{% endmacro %}
