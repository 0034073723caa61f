{#- on-run-end: what the run executed, for the lineage graph. A model whose compiled SQL is as it was costs no row. -#}
{% macro write_model_versions(results) %}
  {% if not execute or flags.WHICH not in ['run', 'build'] or not lineage_audit._has_graph() or lineage_audit._is_partial_run() %}
    {% do return('') %}
  {% endif %}
  {% set versions = [] %}
  {% for result in results %}
    {% if result.status == 'success' and lineage_audit._is_in_graph(result.node) %}
      {% do versions.append(lineage_audit._model_version(result.node)) %}
    {% endif %}
  {% endfor %}
  {% do lineage_audit._remember('model versions', versions) %}
  {% set written = lineage_audit._last_versions() if versions else {} %}
  {% set rows = [] %}
  {% for version in versions %}
    {% if written.get(version.target_relation ~ ' ' ~ version.form) != version.model_version %}
      {% do rows.append(lineage_audit._store_row('model_version', version)) %}
    {% endif %}
  {% endfor %}
  {% if not rows %}
    {% do return('') %}
  {% endif %}
  {% set table = lineage_audit._store('model_version') %}
  {% do log(
    'lineage_audit: writes the compiled SQL of ' ~ lineage_audit._counted(rows | length, 'model') ~ ' into ' ~ table
    ~ ', for the lineage graph. If the engine refuses: the models are built; grant the right to insert, or set the var lineage_audit_graph to false.', info=true
  ) %}
  {% do return(lineage_audit._insert_rows('model_version', rows)) %}
{% endmacro %}

{#- Writes rows as _store_row gives them, but for the last insert: dbt itself sends what a hook returns, and where it fails, says
    so and still writes its results. An insert is one statement text: about a megabyte of it, whatever the number of rows. -#}
{% macro _insert_rows(table, rows) %}
  {% set inserts = [] %}
  {% for batch in lineage_audit._batches(rows, 1000, 1000000) %}
    {% do inserts.append(
      'insert into ' ~ lineage_audit._store(table) ~ ' (\n  ' ~ lineage_audit._columns_of_store(table) | join(',\n  ') ~ '\n)\n' ~ batch | join('\nunion all\n')
    ) %}
  {% endfor %}
  {% for insert in inserts[:-1] %}
    {% do run_query(insert) %}
  {% endfor %}
  {% do return(inserts | last) %}
{% endmacro %}

{#- Is there a lineage graph? dbt-spark runs no Python models, and nothing else reads what would be written. -#}
{% macro _has_graph() %}
  {% do return(lineage_audit.settings().graph and target.type != 'spark') %}
{% endmacro %}

{#- Under --empty and --sample compiled SQL isn't that of the model. -#}
{% macro _is_partial_run() %}
  {% do return(true if flags.EMPTY or flags.SAMPLE else false) %}
{% endmacro %}

{#- The package's own views and the graph itself say nothing of the project's data. -#}
{% macro _is_in_graph(node) %}
  {% if node.resource_type not in ['model', 'snapshot'] %}
    {% do return(false) %}
  {% endif %}
  {% do return(node.package_name != 'lineage_audit' or node.fqn[1] not in ['audit', 'graph']) %}
{% endmacro %}

{#- Before the run: which of its incremental models will be built incrementally, by dbt's own conditions. -#}
{% macro _remember_forms() %}
  {% if not lineage_audit._has_graph() %}
    {% do return('') %}
  {% endif %}
  {% set incremental = [] %}
  {% for id in selected_resources %}
    {% set node = graph.nodes.get(id) %}
    {% if node and node.resource_type == 'model' and node.config.materialized == 'incremental' %}
      {% set full_refresh = node.config.get('full_refresh') %}
      {% if not (flags.FULL_REFRESH if full_refresh is none else full_refresh) %}
        {% set built = adapter.get_relation(database=node.database, schema=node.schema, identifier=node.alias) %}
        {% if built is not none and built.type == 'table' %}
          {% do incremental.append(id) %}
        {% endif %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {% do lineage_audit._remember('incremental forms', incremental) %}
{% endmacro %}

{#- {column of model_version: value} of a node that was built. -#}
{% macro _model_version(node) %}
  {% set plan = lineage_audit._remembered(node.unique_id) or {} %}
  {% set version = {
    'node_id': node.unique_id, 'target_relation': lineage_audit._node_relation(node),
    'form': 'incremental' if plan.get('incremental') or node.unique_id in (lineage_audit._remembered('incremental forms') or []) else 'full',
    'code_version': node.checksum.checksum, 'language': node.language, 'dialect': 'duckdb' if target.type == 'duckdb' else 'databricks',
    'compiled_sql': lineage_audit._stable_sql(node, plan), 'depends_on': lineage_audit._relations_read_by(node.depends_on.nodes) | unique | sort | list,
    'mapping_json': tojson(lineage_audit._declared_lineage(plan)) if plan else none
  } %}
  {% do return(dict(version, model_version=local_md5(tojson(version)))) %}
{% endmacro %}

{#- Compiled SQL with a name in place of each value that is another in every run. -#}
{% macro _stable_sql(node, plan) %}
  {#- A run_id that a scheduler gives may be as short as 7: it counts as a whole literal alone. -#}
  {% set run_id = lineage_audit.text_literal(lineage_audit.settings().run_id) %}
  {% set values = {invocation_id: ':run_id', run_id: lineage_audit.text_literal(':run_id'), run_started_at | string: ':run_started_at', run_started_at.isoformat(): ':run_started_at'} %}
  {% set sql = namespace(text=node.compiled_code or '') %}
  {% if plan %}
    {#- A version of the source, or the copy of it that this run read. -#}
    {% do values.update({plan.source_sql: plan.unstaged_sql}) if plan.source_sql != plan.unstaged_sql %}
    {% if plan.watermark and plan.watermark['from'] is not none %}
      {% do values.update({
        lineage_audit._watermark_literal(plan.watermark['from'], plan.watermark.type): 'cast(' ~ lineage_audit.text_literal(':watermark_from') ~ ' as ' ~ plan.watermark.type ~ ')'
      }) %}
    {% endif %}
  {% endif %}
  {% for value, name in values.items() if value %}
    {% set sql.text = sql.text.replace(value, name) %}
  {% endfor %}
  {% if node.config.get('incremental_strategy') == 'microbatch' %}
    {#- dbt puts the batch's bounds beside each relation that has an event_time. -#}
    {% set sql.text = modules.re.sub("(>=|<) '[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][^']*'", "\\1 ':batch'", sql.text) %}
  {% endif %}
  {% do return(sql.text) %}
{% endmacro %}

{#- The relations behind unique ids; what an ephemeral model reads stands for it. -#}
{% macro _relations_read_by(ids) %}
  {% set names = [] %}
  {% for id in ids %}
    {% set node = graph.sources.get(id) or graph.nodes.get(id) %}
    {% if node and node.resource_type == 'source' %}
      {% do names.append(lineage_audit._relation_text(api.Relation.create(database=node.database, schema=node.schema, identifier=node.identifier))) %}
    {% elif node and node.config.materialized == 'ephemeral' %}
      {% do names.extend(lineage_audit._relations_read_by(node.depends_on.nodes)) %}
    {% elif node %}
      {% do names.append(lineage_audit._node_relation(node)) %}
    {% endif %}
  {% endfor %}
  {% do return(names) %}
{% endmacro %}

{#- What the config tables say of a mapped model. -#}
{% macro _declared_lineage(plan) %}
  {% set columns = [] %}
  {% for column in plan.columns %}
    {% do columns.append({
      'target_column': column.name, 'source_columns': column.source_columns, 'expression': column.shown_expression, 'is_plain': column.identity,
      'api_field_name': column.row.api_field_name, 'api_json_path': column.row.api_json_path, 'sensitivity': column.mark
    }) %}
  {% endfor %}
  {% do return({
    'endpoint_name': plan.endpoint_name, 'source_system': plan.source_system, 'target_layer': plan.columns[0].row.target_layer,
    'source_relation': plan.source_relation, 'columns': columns
  }) %}
{% endmacro %}

{#- {target relation and form: the version written last}. -#}
{% macro _last_versions() %}
  {% set versions = {} %}
  {% for row in run_query(lineage_audit._last_versions_sql()).rows %}
    {% do versions.update({row[0] ~ ' ' ~ row[1]: row[2]}) %}
  {% endfor %}
  {% do return(versions) %}
{% endmacro %}

{% macro _last_versions_sql() %}
  {% do return(
    'select\n  target_relation,\n  form,\n  model_version\nfrom (\n  select\n    target_relation,\n    form,\n    model_version,\n'
    ~ '    row_number() over (partition by target_relation, form order by created_ts desc, model_version) as newest_first\n  from '
    ~ lineage_audit._store('model_version') ~ '\n) as versions\nwhere newest_first = 1'
  ) %}
{% endmacro %}

{#- A row of literals for a table of the store, with its types; created_ts is now. -#}
{% macro _store_row(table, values) %}
  {% set expressions = {} %}
  {% for column, kind in lineage_audit._store_tables()[table].items() %}
    {% if column == 'created_ts' %}
      {% set value = lineage_audit._utc_now() %}
    {% elif kind == 'texts' %}
      {% set value = lineage_audit.list_of_texts(values[column]) %}
    {% elif kind == 'timestamp' %}
      {% set value = lineage_audit.timestamp_literal(values[column]) %}
    {% else %}
      {% set value = lineage_audit.text_literal(values[column]) %}
    {% endif %}
    {% do expressions.update({column: value}) %}
  {% endfor %}
  {% do return(lineage_audit._select_row(table, expressions)) %}
{% endmacro %}
