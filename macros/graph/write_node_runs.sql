{#- on-run-end: what became of every model, snapshot and test of the run, for the events that catalogs are told. -#}
{% macro write_node_runs(results) %}
  {% if not execute or flags.WHICH not in ['run', 'build'] or not lineage_audit._has_graph() or lineage_audit._is_partial_run() %}
    {% do return('') %}
  {% endif %}
  {% set rows = [] %}
  {% for result in results if result.status in ['success', 'error', 'pass', 'fail', 'warn'] %}
    {% for run in lineage_audit._node_runs(result) %}
      {% do rows.append(lineage_audit._store_row('node_run', run)) %}
    {% endfor %}
  {% endfor %}
  {% do return(lineage_audit._insert_rows('node_run', rows) if rows else '') %}
{% endmacro %}

{#- {column of node_run: value}: one of a model, one of a test for each table that it looks at. -#}
{% macro _node_runs(result) %}
  {% set node = result.node %}
  {% set is_test = node.resource_type == 'test' %}
  {% if is_test and result.status != 'error' %}
    {% set tested = [node.attached_node] if node.attached_node else node.depends_on.nodes %}
    {% set relations = lineage_audit._relations_read_by(tested) | unique | list %}
  {% elif lineage_audit._is_in_graph(node) %}
    {% set relations = [lineage_audit._node_relation(node)] %}
  {% else %}
    {% do return([]) %}
  {% endif %}
  {% set versions = {} %}
  {% for version in lineage_audit._remembered('model versions') or [] %}
    {% do versions.update({version.node_id: version.model_version}) %}
  {% endfor %}
  {% set affected = (result.adapter_response or {}).get('rows_affected') %}
  {% set run = dict(lineage_audit._times_of(result), **{
    'invocation_id': invocation_id, 'run_id': lineage_audit.settings().run_id, 'node_id': node.unique_id, 'resource_type': node.resource_type,
    'status': result.status | string, 'row_count': affected if not is_test and affected is number and affected >= 0 else none,
    'error_message': lineage_audit._node_error(result) if result.status == 'error' else none, 'model_version': versions.get(node.unique_id),
    'test_name': (node.test_metadata or {}).name or node.name if is_test else none,
    'column_name': node.column_name or none if is_test else none, 'severity': node.config.severity | upper if is_test else none,
    'failure_count': result.failures if is_test else none, 'description': node.description or none if is_test else none
  }) %}
  {% set runs = [] %}
  {% for relation in relations %}
    {% do runs.append(dict(run, target_relation=relation)) %}
  {% endfor %}
  {% do return(runs) %}
{% endmacro %}

{#- When the node's work began and ended, in UTC; dbt knows less of one that failed early. -#}
{% macro _times_of(result) %}
  {% set started = [] %}
  {% set ended = [] %}
  {% for timing in result.timing or [] %}
    {% do started.append(timing.started_at) if timing.started_at %}
    {% do ended.append(timing.completed_at) if timing.completed_at %}
  {% endfor %}
  {% set first = (started | min) if started else modules.datetime.datetime.now(modules.pytz.utc) %}
  {% set last = (ended | max) if ended else first %}
  {% do return({'started_ts': first.strftime('%Y-%m-%d %H:%M:%S.%f'), 'ended_ts': last.strftime('%Y-%m-%d %H:%M:%S.%f')}) %}
{% endmacro %}

{#- What an engine says of a failure may quote data. Which columns of a model without mapping hold what a mapping marks
    can't be told by then: where the project marks any, only the class of the error is kept. -#}
{% macro _node_error(result) %}
  {% set message = result.message or 'failed' %}
  {% set plan = lineage_audit._remembered(result.node.unique_id) %}
  {% if plan or 'lineage_audit:' in message %}
    {% do return(lineage_audit._error_text(message, plan or {}, result.node)) %}
  {% elif lineage_audit._marks_any_column() %}
    {% do return(lineage_audit._error_classes(message) ~ ' (the message is not kept: the project has columns marked mask or hash)') %}
  {% endif %}
  {% do return(message) %}
{% endmacro %}

{#- Asked once in a run, and only where a model failed. -#}
{% macro _marks_any_column() %}
  {% set known = lineage_audit._remembered('marks any column') %}
  {% if known is not none %}
    {% do return(known) %}
  {% endif %}
  {% set found = namespace(marks=false) %}
  {% for node in graph.nodes.values() if node.name == 'field_mapping' and node.resource_type in ['seed', 'model'] %}
    {% set relation = adapter.get_relation(database=node.database, schema=node.schema, identifier=node.alias) %}
    {% if relation is not none %}
      {% set marked = "select 1 as found\nfrom " ~ relation ~ "\nwhere lower(trim(sensitivity)) in ('mask', 'hash')\nlimit 1" %}
      {% set found.marks = found.marks or run_query(marked).rows | length > 0 %}
    {% endif %}
  {% endfor %}
  {% do lineage_audit._remember('marks any column', found.marks) %}
  {% do return(found.marks) %}
{% endmacro %}
