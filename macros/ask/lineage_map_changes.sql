{#- What changed in the project since a run or a time: {since, tables: [{name, change}], config: [{table, kind, name, …}], consumers: names}. -#}
{% macro _changes_since(lineage, since) %}
  {% set until = lineage_audit._time_of_state(since) %}
  {% set changed = {} %}
  {% set places = {} %}
  {% for table, node in lineage.tables.items() if node.node_id %}
    {% do places.update({node.node_id: table}) %}
  {% endfor %}
  {% if until is not none %}
    {% set versions = {} %}
    {% for row in lineage_audit._json_rows(lineage_audit._versions_around_sql(until)) %}
      {% do versions.setdefault(row.node_id, []).append(row) %}
    {% endfor %}
    {% for node_id in versions if node_id in places %}
      {% set change = lineage_audit._change_of_versions(versions[node_id]) %}
      {% do changed.update({places[node_id]: change}) if change %}
    {% endfor %}
  {% endif %}
  {% set tables = [] %}
  {% set asked = [] %}
  {% for table in lineage.order if table in changed %}
    {% do tables.append({'name': lineage_audit._short_name(lineage, table), 'change': changed[table]}) %}
    {% do asked.append({'table': table, 'column': none}) %}
  {% endfor %}
  {% set consumers = [] %}
  {% for step in (lineage_audit._walk(lineage.edges, asked, 'downstream', ways=lineage.below).steps if asked else []) %}
    {% do consumers.append(lineage.tables[step.table].name) if lineage.tables.get(step.table, {}).get('kind') == 'exposure' %}
  {% endfor %}
  {% do return({
    'since': since | string, 'tables': tables, 'config': lineage_audit._config_changed_since(until) if until is not none else [], 'consumers': consumers | unique | sort
  }) %}
{% endmacro %}

{#- The time up to which all belongs to the state that is compared with: a time as it is; of a run, when the next one began, since compiled
    SQL is written when a run is over. none: no run came after. -#}
{% macro _time_of_state(since) %}
  {% set events = lineage_audit._store('run_event') %}
  {% set known = load_relation(events) is not none %}
  {% set rows = lineage_audit._json_rows(
    'select max(event_ts) is not null as found from ' ~ events ~ ' where run_id = ' ~ lineage_audit.text_literal(since | string)
  ) if known else [] %}
  {% if rows and rows[0].found %}
    {% set of_run = 'run_id = ' ~ lineage_audit.text_literal(since | string) %}
    {% set rows = lineage_audit._json_rows(
      'select ' ~ lineage_audit.text_of('min(event_ts)', 'timestamp') ~ ' as next_ts\nfrom ' ~ events ~ '\nwhere not ' ~ of_run
      ~ '\n  and event_ts > (select max(event_ts) from ' ~ events ~ ' where ' ~ of_run ~ ')'
    ) %}
    {% do return(rows[0].next_ts.replace('T', ' ') if rows[0].next_ts else none) %}
  {% elif modules.re.match('^[0-9]{4}-[0-9]{2}-[0-9]{2}', since | string) %}
    {% do return(lineage_audit._time_asked(since, 'since')) %}
  {% endif %}
  {% set names = [] %}
  {% for row in (lineage_audit._json_rows('select distinct run_id from ' ~ events) if known else []) %}
    {% do names.append(row.run_id) %}
  {% endfor %}
  {% do exceptions.raise_compiler_error(
    "lineage_audit: since '" ~ since ~ "' is no run that the audit store knows, and no time. "
    ~ lineage_audit._did_you_mean(since | string, names, 'Write a run_id of ingestion_run, or a time in UTC, like 2024-03-01 06:00:00.')
  ) %}
{% endmacro %}

{#- Of each model and form the version that was current at a time, and the last one since. -#}
{% macro _versions_around_sql(until) %}
  {% set is_later = 'created_ts >= ' ~ lineage_audit.timestamp_literal(until) %}
  {% do return(
    'select\n  node_id,\n  form,\n  is_later,\n  model_version,\n  code_version\nfrom (\n  select\n    node_id,\n    form,\n    ' ~ is_later ~ ' as is_later,\n    model_version,\n    code_version,\n'
    ~ '    row_number() over (partition by target_relation, form, ' ~ is_later ~ ' order by created_ts desc, model_version) as newest_first\n  from '
    ~ lineage_audit._store('model_version') ~ '\n) as versions\nwhere newest_first = 1'
  ) %}
{% endmacro %}

{#- `new`, `changed` or none. The first incremental run of a model that was built before is no change. -#}
{% macro _change_of_versions(versions) %}
  {% set before = versions | rejectattr('is_later') | list %}
  {% set later = versions | selectattr('is_later') | list %}
  {% if not later %}
    {% do return(none) %}
  {% elif not before %}
    {% do return('new') %}
  {% endif %}
  {% for version in later %}
    {% set same_form = before | selectattr('form', 'equalto', version.form) | list %}
    {% if same_form and same_form[0].model_version != version.model_version %}
      {% do return('changed') %}
    {% elif not same_form and version.code_version not in before | map(attribute='code_version') | list %}
      {% do return('changed') %}
    {% endif %}
  {% endfor %}
  {% do return(none) %}
{% endmacro %}

{#- The cells of the config that differ between the last run of each mapped model up to a time and its last run at all. -#}
{% macro _config_changed_since(until) %}
  {% set events = lineage_audit._store('run_event') %}
  {% set differences = [] %}
  {% if load_relation(events) is none %}
    {% do return(differences) %}
  {% endif %}
  {% set hashes = {} %}
  {% set earlier = 'event_ts < ' ~ lineage_audit.timestamp_literal(until) %}
  {% for row in lineage_audit._json_rows(
    'select\n  target_relation,\n  is_earlier,\n  config_hash\nfrom (\n  select\n    target_relation,\n    ' ~ earlier ~ ' as is_earlier,\n    config_hash,\n'
    ~ '    row_number() over (partition by target_relation, ' ~ earlier ~ ' order by event_ts desc) as newest_first\n  from ' ~ events
    ~ "\n  where event_type = 'SUCCESS'\n) as runs\nwhere newest_first = 1"
  ) %}
    {% do hashes.setdefault(row.target_relation, {}).update({'earlier' if row.is_earlier else 'later': row.config_hash}) %}
  {% endfor %}
  {% for node in lineage_audit._mapped_nodes(none) | sort(attribute='name') %}
    {% set found = hashes.get(lineage_audit._node_relation(node)) or {} %}
    {% if found.get('earlier') and found.get('later') %}
      {% for each in lineage_audit._config_differences({'from_run': {'config_hash': found.earlier}, 'to_run': {'config_hash': found.later}}) %}
        {% do differences.append(dict(each, table=node.name)) %}
      {% endfor %}
    {% endif %}
  {% endfor %}
  {% do return(differences) %}
{% endmacro %}
