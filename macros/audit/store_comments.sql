{#- What the columns of the store hold, for the engine's catalog. Those that the views show too are described with the views;
    here stands what they don't show, or what means something else there. -#}
{% macro _store_comments() %}
  {% set comments = {} %}
  {% for view in ['column_lineage', 'quarantine', 'ingestion_run'] %}
    {% for name, column in (graph.nodes.get('model.lineage_audit.' ~ view) or {}).get('columns', {}).items() %}
      {% do comments.update({name: column.description.split() | join(' ')}) %}
    {% endfor %}
  {% endfor %}
  {% do comments.update({
    'event_type': 'STARTED, SUCCESS or FAILED. Rows of a run count once its SUCCESS is there.',
    'event_ts': 'When it happened, in UTC.',
    'attempt_id': "A number for one dbt invocation's work on one table: run_event says which run, invocation and table it is.",
    'node_id': "The model's unique_id in dbt.",
    'whole_table': 'Whether the run wrote the table anew.',
    'source_fields': 'JSON: names, types and marks of the source columns, where gold holds each, its place among the values of a record.',
    'target_columns': 'JSON: names, types, marks and key of the mapped columns.',
    'capture': 'How lineage is kept: exploded, compact or in_row.',
    'rejected': 'Where refused records stay: quarantine, or keep for the table itself.',
    'column_position': 'The place of the mapped column among the active mapping rows of its table, counted from 1.',
    'source_values': 'The source values as texts, in the order of source_columns in config_version, in record_lineage as source_positions counts them; masked or hashed where marked.',
    'warnings': 'Ids of the violated rules of severity WARN.',
    'closed_as': 'accepted or filtered by a later run, or dismissed by a person.',
    'closed_by': 'Who dismissed the record.',
    'closed_ts': 'When the record was closed, in UTC.',
    'reason': 'Why the record was dismissed.',
    'severity': "The rule's severity: ERROR or WARN.",
    'created_ts': 'When the row was written, in UTC.',
    'kind': 'mapping or rule.',
    'target_layer': 'The layer of the target: silver, gold or api_view.',
    'source_types': 'The types of the source columns, in their order.',
    'source_positions': 'The place of each source column among the values of a record, in their order.',
    'default_expr': 'The expression of the default rule.',
    'data_type': 'The type that the value is cast to.',
    'is_primary_key': 'Whether the column is part of the key, as field_mapping says it.',
    'nullable': 'Whether the value may be NULL, as field_mapping says it.',
    'sensitivity': 'none, mask or hash.',
    'business_rule_id': 'The id of the rule; of a mapping row the rules that it names, separated by |.',
    'rule_category': 'filter, derivation, default or validation.',
    'message': "The rule's message.",
    'model_version': 'The hash of the compiled SQL and of what the model depends on.',
    'form': 'full, or incremental where the run added to what was there.',
    'language': 'sql or python.',
    'dialect': 'What the SQL is read as.',
    'compiled_sql': 'The compiled SQL, with names in place of what differs from run to run.',
    'depends_on': 'The relations that dbt says the model depends on.',
    'mapping_json': 'What the config tables say of a mapped model.'
  }) %}
  {% do return(comments) %}
{% endmacro %}
