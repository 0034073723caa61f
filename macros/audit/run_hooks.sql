{#- on-run-start: the store is there, and of this version, before a model needs it. -#}
{% macro on_run_start() %}
  {% if execute and flags.WHICH in ['run', 'build'] and lineage_audit._run_needs_store() %}
    {% set look = lineage_audit._look_at_store() %}
    {% do lineage_audit._raise_store_problems(look.problems + lineage_audit._old_tables(look.old)) %}
    {% if look.missing %}
      {% do lineage_audit._create_store_tables(look.missing) %}
      {% do lineage_audit._share_store(look.missing) %}
    {% endif %}
    {% do lineage_audit._remember_forms() %}
  {% endif %}
  {% do return('') %}
{% endmacro %}

{#- A run of other models is none of the store's business, whatever state it is in; that of the lineage graph it is. -#}
{% macro _run_needs_store() %}
  {% set writes_versions = lineage_audit._has_graph() %}
  {% for id in selected_resources %}
    {% set node = graph.nodes.get(id) %}
    {% if node and node.resource_type == 'model' and (writes_versions or node.package_name == 'lineage_audit' or lineage_audit._is_mapped(node)) %}
      {% do return(true) %}
    {% endif %}
  {% endfor %}
  {% do return(false) %}
{% endmacro %}

{#- What a model of the user's says of itself to the lineage graph stands under the same key. -#}
{% macro _is_mapped(node) %}
  {% set registered = (node.config.get('meta') or {}).get('lineage_audit') %}
  {% do return(registered is mapping and registered.get('endpoint_name') is not none) %}
{% endmacro %}

{#- on-run-end: one INSERT for all mapped models that failed. -#}
{% macro on_run_end(results) %}
  {% if not execute or flags.WHICH not in ['run', 'build'] %}
    {% do return('') %}
  {% endif %}
  {% set failed = [] %}
  {% for result in results %}
    {% if result.node.resource_type == 'model' and result.status == 'error' and lineage_audit._is_mapped(result.node) %}
      {% set hint = lineage_audit._unwritten(result) %}
      {#- Printed too: the event itself may meet the same refusal. -#}
      {% if hint %}
        {% do log(hint, info=true) %}
      {% endif %}
      {% do failed.append(lineage_audit._failed_row(result, hint)) %}
    {% endif %}
  {% endfor %}
  {% if not failed %}
    {% do return('') %}
  {% endif %}
  {% do return('insert into ' ~ lineage_audit._store('run_event') ~ ' (\n  ' ~ lineage_audit._columns_of_store('run_event') | join(',\n  ') ~ '\n)\n' ~ failed | join('\nunion all\n')) %}
{% endmacro %}

{#- What to do about a refused write, by what the engines say of one; none where the failure is of another kind. -#}
{% macro _unwritten(result) %}
  {% set remedies = {
    'No space left on device|File too large|Disk quota exceeded|max_temp_directory_size': 'There is no room left: free some, and run again.',
    'Permission denied|Read-only file system|in read-only mode|AccessControlException|PERMISSION_DENIED|INSUFFICIENT_PERMISSIONS':
      'The right to write is missing: grant it, and run again.',
    'has already modified database': 'A transaction writes to one database: let the var lineage_audit_database name that of gold.'
  } %}
  {% for pattern, remedy in remedies.items() %}
    {% if modules.re.search(pattern, result.message or '') %}
      {% do return(
        'lineage_audit: writing ' ~ lineage_audit._node_relation(result.node) ~ ', or its rows in the audit store ' ~ lineage_audit._store_name()
        ~ ', was refused. ' ~ remedy ~ ' Nothing of this run counts, and the next one loses nothing.'
      ) %}
    {% endif %}
  {% endfor %}
  {% do return(none) %}
{% endmacro %}

{% macro _node_relation(node) %}
  {% do return(lineage_audit._relation_text(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias))) %}
{% endmacro %}

{% macro _failed_row(result, hint=none) %}
  {% set node = result.node %}
  {% set registered = node.config.meta.lineage_audit %}
  {% set plan = lineage_audit._remembered(node.unique_id) or {} %}
  {% set values = lineage_audit._event_values('FAILED', {
    'pipeline_name': lineage_audit.settings().pipeline_name, 'run_id': lineage_audit.settings().run_id,
    'target_relation': lineage_audit._node_relation(node),
    'endpoint_name': registered.endpoint_name, 'target_table': registered.target_table, 'node_id': node.unique_id,
    'capture': registered.capture, 'rejected': registered.rejected,
    'source_system': plan.get('source_system'), 'config_hash': plan.get('config_hash'),
    'code_version': lineage_audit.settings().code_version or node.checksum.checksum,
    'watermark_from': plan.watermark['from'] if plan.get('watermark') else none
  }) %}
  {% set error = lineage_audit._error_text(result.message or 'failed', plan, node) %}
  {% do values.update({'error_message': lineage_audit.text_literal(error ~ ('\n' ~ hint if hint else ''))}) %}
  {% do return(lineage_audit._select_row('run_event', values)) %}
{% endmacro %}
