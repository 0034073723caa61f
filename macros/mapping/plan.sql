{#- The request with every decision taken: plain lists and dicts that the rendering macros turn into SQL. -#}
{% macro _plan(request) %}
  {% set settings = lineage_audit.settings() %}
  {#- A dbt unit test has no `this`. -#}
  {% set gold = this or api.Relation.create(database=model.get('database'), schema=model.schema, identifier=model.alias) %}
  {% set incremental = this is not none and is_incremental() %}
  {% set endpoint = request.tables.api_endpoints | selectattr('endpoint_name', 'equalto', request.endpoint_name) | first %}
  {% set columns = [] %}
  {% for row in request.rows %}
    {% do columns.append(lineage_audit._planned_column(row, request)) %}
  {% endfor %}
  {% set acting = lineage_audit._acting_rules(request) %}
  {% set filters = acting.filters %}
  {% set validations = acting.validations %}
  {% set fields = lineage_audit._declared_fields(request, columns) %}
  {% set reads = fields | map(attribute='column') | list %}
  {% for name in [request.watermark, request.latest_by] %}
    {% if name is not none and lineage_audit._source_column(request, name).name not in reads %}
      {% do reads.append(lineage_audit._source_column(request, name).name) %}
    {% endif %}
  {% endfor %}
  {% for name in lineage_audit._columns_named_in(filters, request.source_columns) %}
    {% if name not in reads %}
      {% do reads.append(name) %}
    {% endif %}
  {% endfor %}
  {% set config_rows = lineage_audit._config_rows(request, columns, fields) %}
  {% set target_relation = lineage_audit._relation_text(gold) %}
  {% set config_hash = local_md5(tojson({'endpoint_name': request.endpoint_name, 'target_table': request.target_table, 'rows': config_rows})) %}
  {% set whole_table = not incremental or (request.strategy == 'insert_overwrite' and not lineage_audit.overwrites_parts(config)) %}
  {% set history = lineage_audit._target_history(target_relation) if lineage_audit._is_running() else lineage_audit._no_history() %}
  {% set replaced = incremental and not whole_table and lineage_audit._replaced_by_the_dead(gold, history) %}
  {% set last_success = history.last_success if incremental and not replaced else none %}
  {% set watermark_column = lineage_audit._source_column(request, request.watermark) if request.watermark else none %}
  {% set snapshot = lineage_audit.source_snapshot(request.source, request.built_source) %}
  {% set plan = {
    'model_name': request.model_name, 'node_id': model.unique_id, 'endpoint_name': request.endpoint_name, 'source_system': endpoint.source_system,
    'target_table': request.target_table, 'target_relation': target_relation, 'gold': gold, 'pipeline_name': settings.pipeline_name,
    'run_id': settings.run_id, 'code_version': settings.code_version or model.checksum.checksum, 'capture': request.capture, 'rejected': request.rejected,
    'incremental': incremental, 'whole_table': whole_table, 'config_hash': config_hash, 'config_rows': config_rows,
    'columns': columns, 'fields': fields, 'reads': reads if request.source_known else [], 'filters': filters, 'validations': validations,
    'source_sql': snapshot.sql, 'staged': snapshot.staged, 'unstaged_sql': request.source | string,
    'source_relation': lineage_audit._relation_text(request.built_source),
    'latest_by': request.latest_by, 'history': history,
    'watermark': none if not watermark_column else {
      'column': watermark_column.name, 'type': watermark_column.type, 'lateness': request.lateness,
      'from': last_success.watermark_to if last_success else none
    }
  } %}
  {% do lineage_audit._reconcile_with_gold(plan, last_success, request) %}
  {% set reread = lineage_audit._reread(plan, request) %}
  {% do plan.update({
    'reread': reread, 'appends': request.strategy == 'append', 'reprocesses': request.reprocess and history.has_rejected,
    'unkeyed': lineage_audit._unkeyed_fields(plan)
  }) %}
  {% if reread == 'keys' and not plan.staged %}
    {% do plan.update({'unstaged_sql': snapshot.sql, 'staged': lineage_audit._staged_source()}) %}
    {% do plan.update({'source_sql': plan.staged | string}) %}
  {% endif %}
  {% do return(plan) %}
{% endmacro %}

{#- The filters and validations that act on the target: {filters: [{id, expression}], validations: [{id, expression, severity}]}. -#}
{% macro _acting_rules(request) %}
  {% set filters = [] %}
  {% set validations = [] %}
  {#- An engine gives the rows of a table in any order; the SQL is to be the same in every run. -#}
  {% for rule in request.named_rules | sort(attribute='business_rule_id') %}
    {% set applies = rule.endpoint_name == request.endpoint_name and rule.target_table in [none, request.target_table] %}
    {% if applies and rule.rule_category == 'filter' %}
      {% do filters.append({'id': rule.business_rule_id, 'expression': lineage_audit.sql_expression(rule.rule_expression)}) %}
    {% elif applies and rule.rule_category == 'validation' %}
      {% do validations.append({'id': rule.business_rule_id, 'expression': lineage_audit.sql_expression(rule.rule_expression), 'severity': rule.severity}) %}
    {% endif %}
  {% endfor %}
  {% do return({'filters': filters, 'validations': validations}) %}
{% endmacro %}

{#- One mapped column: its value, cast and default as expressions, and what may refuse it. -#}
{% macro _planned_column(row, request) %}
  {% set source_columns = [] %}
  {% set source_types = [] %}
  {% for name in lineage_audit._split(row.source_columns) %}
    {% set column = lineage_audit._source_column(request, name) %}
    {% if column.name not in source_columns %}
      {% do source_columns.append(column.name) %}
      {% do source_types.append(column.type) %}
    {% endif %}
  {% endfor %}
  {% set rules = {} %}
  {% set rule_ids = [] %}
  {% for id in lineage_audit._split(row.business_rule_id) %}
    {% set rule = lineage_audit._find_rule(request.named_rules, id) %}
    {% if rule %}
      {% do rules.update({rule.rule_category: rule}) %}
      {% do rule_ids.append(id) %}
    {% endif %}
  {% endfor %}
  {% set plain = source_columns[0] if source_columns else none %}
  {% set written = row.transform_expr or (rules.derivation.rule_expression if rules.derivation else none) %}
  {% set expression = lineage_audit.sql_expression(written) if written else lineage_audit.quote_name(plain) %}
  {% set same_type = not written and row.data_type and lineage_audit._same_type(row.data_type, source_types[0]) %}
  {% set casts = row.data_type and not same_type %}
  {% set can_fail = (casts or (row.data_type and rules.default)) and not lineage_audit._is_text_type(row.data_type) %}
  {% set is_key = lineage_audit._is_true(row.is_primary_key, false) %}
  {% do return({
    'name': row.target_column, 'quoted': lineage_audit.quote_name(row.target_column),
    'value': lineage_audit.quote_name('_value_' ~ row.target_column), 'default': lineage_audit.quote_name('_default_' ~ row.target_column),
    'expression': expression, 'shown_expression': written or plain,
    'default_expression': lineage_audit.sql_expression(rules.default.rule_expression) if rules.default else none,
    'data_type': row.data_type if casts else none, 'declared_type': row.data_type,
    'type': row.data_type or (source_types[0] if not written else none),
    'identity': not written and not casts and not rules.default,
    'can_fail': can_fail,
    'from_text': not written and source_types and lineage_audit._is_text_type(source_types[0] or ''),
    'nested': can_fail and lineage_audit._is_nested_type(row.data_type),
    'required': is_key or not lineage_audit._is_true(row.nullable, true),
    'is_key': is_key, 'mark': lineage_audit._strictest_mark(row, request.marks),
    'source_columns': source_columns, 'source_types': source_types, 'rule_ids': rule_ids, 'row': row
  }) %}
{% endmacro %}

{#- The mark of a mapped column: its row's own, or a stricter one of its source columns. -#}
{% macro _strictest_mark(row, marks) %}
  {% set mark = namespace(name=row.sensitivity or 'none') %}
  {% for name in lineage_audit._split(row.source_columns) %}
    {% set found = marks.get(name | lower, 'none') %}
    {% if found == 'mask' or (found == 'hash' and mark.name == 'none') %}
      {% set mark.name = found %}
    {% endif %}
  {% endfor %}
  {% do return(mark.name) %}
{% endmacro %}

{#- Every declared source column once, in the order of first use: {name, column, type, mark, field_type: its type once
    marked, verbatim: the gold column that holds the value as it is}. -#}
{% macro _declared_fields(request, columns) %}
  {% set fields = [] %}
  {% for planned in columns %}
    {% for name in planned.source_columns %}
      {% if not lineage_audit._find_column(fields, name) %}
        {% set mark = request.marks.get(name | lower, 'none') %}
        {% set type = planned.source_types[loop.index0] %}
        {% do fields.append({
          'name': name, 'column': name, 'type': type, 'mark': mark,
          'field_type': type if mark == 'none' else lineage_audit.store_types().text,
          'verbatim': lineage_audit._verbatim_column(name, columns) if mark == 'none' and request.capture != 'in_row' else none
        }) %}
      {% endif %}
    {% endfor %}
  {% endfor %}
  {% do return(fields) %}
{% endmacro %}

{#- The gold column that is a source column and nothing else: no expression, no cast, no default. Where nothing is copied
    (capture in_row) the struct holds such values too: what proves a column can't be the column itself. -#}
{% macro _verbatim_column(name, columns) %}
  {% for column in columns %}
    {% if column.identity and column.source_columns[0] == name %}
      {% do return(column.quoted) %}
    {% endif %}
  {% endfor %}
  {% do return(none) %}
{% endmacro %}

{#- The lists of source columns by whose values refused records without a key are known, as fields of today. A list with
    a column that is mapped no more can't be asked for. -#}
{% macro _unkeyed_fields(plan) %}
  {% set lists = [] %}
  {% for names in plan.history.unkeyed %}
    {% set fields = [] %}
    {% for name in names %}
      {% do fields.append(lineage_audit._find_column(plan.fields, name)) %}
    {% endfor %}
    {% if none not in fields %}
      {% do lists.append(fields) %}
    {% endif %}
  {% endfor %}
  {% do return(lists) %}
{% endmacro %}

{#- A source column as the source spells it; as the mapping spells it, without a type, where the source is not known. -#}
{% macro _source_column(request, name) %}
  {% do return(lineage_audit._find_column(request.source_columns, name) or {'name': name, 'type': none}) %}
{% endmacro %}

{#- The source columns whose names stand in the filter rules; a name that only looks like one is read for nothing. -#}
{% macro _columns_named_in(filters, source_columns) %}
  {% set text = filters | map(attribute='expression') | join(' ') | lower %}
  {% set names = [] %}
  {% for column in source_columns %}
    {% set spelt = [modules.re.escape(column.name | lower), modules.re.escape(lineage_audit.quote_name(column.name) | lower)] | join('|') %}
    {% if modules.re.search('(?<![a-z0-9_])(?:' ~ spelt ~ ')(?![a-z0-9_])', text) %}
      {% do names.append(column.name) %}
    {% endif %}
  {% endfor %}
  {% do return(names) %}
{% endmacro %}

{#- What config_version keeps: every mapping row and rule of the model, the types of its source columns, and their places
    among the values of a record. -#}
{% macro _config_rows(request, columns, fields) %}
  {% set rows = [] %}
  {% set places = {} %}
  {% for field in fields %}
    {% do places.update({field.name: loop.index | string}) %}
  {% endfor %}
  {% for column in columns %}
    {% set row = column.row %}
    {% set positions = [] %}
    {% for name in column.source_columns %}
      {% do positions.append(places[name]) %}
    {% endfor %}
    {% do rows.append({
      'kind': 'mapping', 'target_column': column.name, 'column_position': loop.index, 'target_layer': row.target_layer,
      'api_field_name': row.api_field_name, 'api_json_path': row.api_json_path, 'source_table': row.source_table,
      'source_columns': column.source_columns, 'source_types': column.source_types, 'transform_expr': column.shown_expression,
      'default_expr': column.default_expression, 'data_type': row.data_type, 'is_primary_key': 'true' if column.is_key else 'false',
      'nullable': 'false' if column.required else 'true', 'sensitivity': column.mark, 'business_rule_id': column.rule_ids | join('|') or none,
      'rule_category': none, 'severity': none, 'message': row.description, 'source_positions': positions
    }) %}
  {% endfor %}
  {% for rule in request.named_rules | sort(attribute='business_rule_id') %}
    {% do rows.append({
      'kind': 'rule', 'target_column': none, 'column_position': loop.index, 'target_layer': none, 'api_field_name': none, 'api_json_path': none,
      'source_table': none, 'source_columns': [], 'source_types': [], 'transform_expr': rule.rule_expression, 'default_expr': none,
      'data_type': none, 'is_primary_key': none, 'nullable': none, 'sensitivity': none, 'business_rule_id': rule.business_rule_id,
      'rule_category': rule.rule_category, 'severity': rule.severity, 'message': rule.message, 'source_positions': []
    }) %}
  {% endfor %}
  {% do return(rows) %}
{% endmacro %}

{#- database.schema.identifier as built, without quotes. -#}
{% macro _relation_text(relation) %}
  {% set parts = [] %}
  {% for part in [relation.database, relation.schema, relation.identifier] %}
    {% if part %}
      {% do parts.append(part) %}
    {% endif %}
  {% endfor %}
  {% do return(parts | join('.')) %}
{% endmacro %}
