{#- The physical tables of the audit store: {table: {column: kind of type}}, kinds as in store_types. Append-only,
    written by INSERTs that never read the table they write. cell_lineage and record_lineage have a row for every gold cell
    or row, where each further column costs half a plain load (benchmarks/README.md): of the run they bear but attempt_id,
    by which run_event tells invocation, run and target relation. -#}
{% macro _store_tables() %}
  {% do return({
    'run_event': {
      'event_type': 'text', 'event_ts': 'timestamp', 'attempt_id': 'count', 'run_id': 'text', 'invocation_id': 'text', 'target_relation': 'text',
      'pipeline_name': 'text', 'endpoint_name': 'text', 'source_system': 'text', 'target_table': 'text', 'node_id': 'text',
      'whole_table': 'flag', 'input_record_count': 'count', 'output_record_count': 'count', 'rejected_record_count': 'count',
      'filtered_record_count': 'count', 'config_hash': 'text', 'code_version': 'text', 'run_by': 'text',
      'watermark_from': 'text', 'watermark_to': 'text', 'source_fields': 'text', 'error_message': 'text',
      'target_columns': 'text', 'capture': 'text', 'rejected': 'text'
    },
    'cell_lineage': {
      'attempt_id': 'count', 'target_pk': 'text', 'column_position': 'position', 'source_values': 'texts'
    },
    'record_lineage': {
      'attempt_id': 'count', 'target_pk': 'text', 'source_values': 'texts'
    },
    'rejected_record': {
      'run_id': 'text', 'invocation_id': 'text', 'target_relation': 'text', 'target_table': 'text',
      'record_key': 'text', 'target_pk': 'text', 'failed_rules': 'texts', 'warnings': 'texts',
      'mapped_values_json': 'text', 'source_values_json': 'text'
    },
    'closed_record': {
      'run_id': 'text', 'invocation_id': 'text', 'target_relation': 'text',
      'record_key': 'text', 'closed_as': 'text', 'closed_by': 'text', 'closed_ts': 'timestamp', 'reason': 'text'
    },
    'rule_violation': {
      'run_id': 'text', 'invocation_id': 'text', 'target_relation': 'text', 'target_table': 'text',
      'record_key': 'text', 'target_pk': 'text', 'business_rule_id': 'text', 'severity': 'text'
    },
    'config_version': {
      'config_hash': 'text', 'created_ts': 'timestamp', 'endpoint_name': 'text', 'target_table': 'text', 'kind': 'text',
      'column_position': 'position', 'target_column': 'text', 'target_layer': 'text', 'api_field_name': 'text', 'api_json_path': 'text',
      'source_table': 'text', 'source_columns': 'texts', 'source_types': 'texts', 'transform_expr': 'text', 'default_expr': 'text',
      'data_type': 'text', 'is_primary_key': 'text', 'nullable': 'text', 'sensitivity': 'text', 'business_rule_id': 'text',
      'rule_category': 'text', 'severity': 'text', 'message': 'text', 'source_positions': 'positions'
    },
    'model_version': {
      'model_version': 'text', 'created_ts': 'timestamp', 'node_id': 'text', 'target_relation': 'text', 'form': 'text', 'code_version': 'text',
      'language': 'text', 'dialect': 'text', 'compiled_sql': 'text', 'depends_on': 'texts', 'mapping_json': 'text'
    },
    'node_run': {
      'invocation_id': 'text', 'run_id': 'text', 'node_id': 'text', 'resource_type': 'text', 'target_relation': 'text', 'status': 'text',
      'started_ts': 'timestamp', 'ended_ts': 'timestamp', 'row_count': 'count', 'error_message': 'text', 'model_version': 'text',
      'test_name': 'text', 'column_name': 'text', 'severity': 'text', 'failure_count': 'count', 'description': 'text'
    },
    'openlineage_delivery': {
      'run_id': 'text', 'event_type': 'text', 'event_time': 'text', 'destination': 'text', 'delivered_ts': 'timestamp'
    }
  }) %}
{% endmacro %}

{#- Those that this project's runs write: without the lineage graph its tables aren't made. -#}
{% macro _tables_in_use() %}
  {% set tables = lineage_audit._store_tables().keys() | list %}
  {% if not lineage_audit._has_graph() %}
    {% set tables = tables | reject('in', ['model_version', 'node_run', 'openlineage_delivery']) | list %}
  {% endif %}
  {% do return(tables) %}
{% endmacro %}

{#- The columns that a row can't be told by without: each table has had them in every version, and one that lacks any of
    them is not the package's. -#}
{% macro _row_columns() %}
  {% do return({
    'run_event': ['event_type', 'event_ts', 'attempt_id', 'run_id', 'invocation_id', 'target_relation'],
    'cell_lineage': ['attempt_id', 'target_pk', 'column_position', 'source_values'],
    'record_lineage': ['attempt_id', 'target_pk', 'source_values'],
    'rejected_record': ['invocation_id', 'target_relation', 'record_key', 'failed_rules'],
    'closed_record': ['invocation_id', 'target_relation', 'record_key', 'closed_as', 'closed_ts'],
    'rule_violation': ['invocation_id', 'target_relation', 'record_key', 'business_rule_id'],
    'config_version': ['config_hash', 'kind', 'column_position'],
    'model_version': ['model_version', 'created_ts', 'target_relation', 'form', 'compiled_sql'],
    'node_run': ['invocation_id', 'node_id', 'target_relation', 'status', 'started_ts'],
    'openlineage_delivery': ['run_id', 'event_type', 'event_time']
  }) %}
{% endmacro %}

{#- What one looks for in the large tables: a key, in the runs of a table. -#}
{% macro _asked_for() %}
  {% do return({
    'cell_lineage': ['target_pk', 'attempt_id'],
    'record_lineage': ['target_pk', 'attempt_id'],
    'rejected_record': ['target_relation', 'record_key']
  }) %}
{% endmacro %}

{#- A table of the store lies where dbt puts the package's views. -#}
{% macro _store(table) %}
  {% if not execute %}
    {% do return(api.Relation.create(identifier=table)) %}
  {% endif %}
  {% set view = graph.nodes.get('model.lineage_audit.ingestion_run') %}
  {% if not view %}
    {% do exceptions.raise_compiler_error('lineage_audit: the package model ingestion_run is disabled; the audit store lies in its schema. Enable it again.') %}
  {% endif %}
  {% do return(api.Relation.create(database=view.database, schema=view.schema, identifier=table, type='table')) %}
{% endmacro %}

{% macro _columns_of_store(table) %}
  {% do return(lineage_audit._store_tables()[table].keys() | list) %}
{% endmacro %}

{#- A select of one row of a table of the store. Values come as {column: expression}; a column that is left out is NULL. -#}
{% macro _select_row(table, values) %}
  {% set types = lineage_audit.store_types() %}
  {% set items = [] %}
  {% for column, kind in lineage_audit._store_tables()[table].items() %}
    {% do items.append('cast(' ~ values.get(column, 'null') ~ ' as ' ~ types[kind] ~ ') as ' ~ column) %}
  {% endfor %}
  {% do return('select\n  ' ~ items | join(',\n  ')) %}
{% endmacro %}

{#- Writes `insert into` a table of the store with every column named. Values come as {column: expression}; a column
    that is left out is NULL. -#}
{% macro _insert_select(table, expressions, from_sql, ctes='') %}
  {% set kinds = lineage_audit._store_tables()[table] %}
  {% set types = lineage_audit.store_types() %}
  {% set items = [] %}
  {% for column, kind in kinds.items() %}
    {% do items.append(expressions.get(column, 'cast(null as ' ~ types[kind] ~ ')') ~ ' as ' ~ column) %}
  {% endfor %}
  {% do return(
    'insert into ' ~ lineage_audit._store(table) ~ ' (\n  ' ~ kinds.keys() | join(',\n  ') ~ '\n)\n' ~ (ctes ~ '\n' if ctes else '')
    ~ 'select\n  ' ~ items | join(',\n  ') ~ ('\n' ~ from_sql if from_sql else '')
  ) %}
{% endmacro %}

{#- A number for one invocation's work on one target relation: the day on which the invocation began, counted from 1970, in 16 bits,
    and 47 bits of a hash. What was written on earlier days is less, and no file of it is read where this attempt's rows are counted. -#}
{% macro _attempt_id(target_relation) %}
  {% set day = (run_started_at.replace(tzinfo=none) - modules.datetime.datetime(1970, 1, 1)).days %}
  {% do return((day * 2 ** 47 + (local_md5(invocation_id ~ ' ' ~ target_relation)[:12] | int(base=16)) // 2) | string) %}
{% endmacro %}

{% macro _utc_now() %}
  {% do return(lineage_audit.timestamp_literal(modules.datetime.datetime.now(modules.pytz.utc).strftime('%Y-%m-%d %H:%M:%S.%f'))) %}
{% endmacro %}
