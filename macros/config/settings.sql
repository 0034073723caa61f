{#- All settings of the package: flat vars, every one optional. -#}
{% macro settings() %}
  {% do return({
    'database': var('lineage_audit_database', none),
    'schema': var('lineage_audit_schema', 'audit'),
    'capture': var('lineage_audit_capture', 'exploded'),
    'pipeline_name': var('lineage_audit_pipeline_name', none) or project_name,
    'run_id': (var('lineage_audit_run_id', none) or invocation_id) | string,
    'reprocess': (var('lineage_audit_reprocess', false) | string | lower) == 'true',
    'code_version': var('lineage_audit_code_version', none),
    'graph': (var('lineage_audit_graph', project_name == 'lineage_audit') | string | lower) == 'true',
    'recorded_days': var('lineage_audit_recorded_days', 30),
    'secret_scope': var('lineage_audit_secret_scope', 'lineage_audit'),
    'secret_key': var('lineage_audit_secret_key', 'hash_key')
  }) %}
{% endmacro %}
