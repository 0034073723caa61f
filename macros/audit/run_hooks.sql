{#- on-run-start: the store is there before a model needs it. -#}
{% macro on_run_start() %}
  {% if execute and flags.WHICH in ['run', 'build'] %}
    {% do lineage_audit._create_missing_tables() %}
  {% endif %}
  {% do return('') %}
{% endmacro %}

{#- on-run-end: one INSERT for all mapped models that failed. -#}
{% macro on_run_end(results) %}
  {% if not execute or flags.WHICH not in ['run', 'build'] %}
    {% do return('') %}
  {% endif %}
  {% set failed = [] %}
  {% for result in results %}
    {% if result.node.resource_type == 'model' and result.status == 'error' and result.node.config.meta.get('lineage_audit') %}
      {% do failed.append(lineage_audit._failed_row(result)) %}
    {% endif %}
  {% endfor %}
  {% if not failed %}
    {% do return('') %}
  {% endif %}
  {% do return('insert into ' ~ lineage_audit._store('run_event') ~ ' (\n  ' ~ lineage_audit._columns_of_store('run_event') | join(',\n  ') ~ '\n)\n' ~ failed | join('\nunion all\n')) %}
{% endmacro %}

{% macro _failed_row(result) %}
  {% set node = result.node %}
  {% set registered = node.config.meta.lineage_audit %}
  {% set plan = lineage_audit._remembered(node.unique_id) or {} %}
  {% set values = lineage_audit._event_values('FAILED', {
    'pipeline_name': lineage_audit.settings().pipeline_name, 'run_id': lineage_audit.settings().run_id,
    'target_relation': lineage_audit._relation_text(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)),
    'endpoint_name': registered.endpoint_name, 'target_table': registered.target_table, 'node_id': node.unique_id,
    'source_system': plan.get('source_system'), 'config_hash': plan.get('config_hash'),
    'code_version': lineage_audit.settings().code_version or node.checksum.checksum,
    'watermark_from': plan.watermark['from'] if plan.get('watermark') else none
  }) %}
  {% do values.update({'error_message': lineage_audit.text_literal(lineage_audit._error_text(result.message or 'failed', plan, node))}) %}
  {% set items = [] %}
  {% for column, kind in lineage_audit._store_tables().run_event.items() %}
    {% do items.append('cast(' ~ values.get(column, 'null') ~ ' as ' ~ lineage_audit.store_type(kind) ~ ') as ' ~ column) %}
  {% endfor %}
  {% do return('select\n  ' ~ items | join(',\n  ')) %}
{% endmacro %}
