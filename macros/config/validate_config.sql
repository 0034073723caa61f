{#- Operation: everything that can be known of the config before a model is built. -#}
{% macro validate_config(endpoint_name=none, output='text') %}
  {% if not execute %}
    {% do return('') %}
  {% endif %}
  {% do lineage_audit._check_output(output) %}
  {% set relations = lineage_audit._loaded_config_relations() %}
  {% set tables = lineage_audit._config_tables(relations) %}
  {% set problems = lineage_audit._distinct(lineage_audit._all_problems(tables, endpoint_name)) %}
  {% set errors = problems | selectattr('severity', 'equalto', 'error') | list %}
  {% if output == 'json' %}
    {% do print(tojson(problems)) %}
  {% else %}
    {% for item in problems %}
      {% if item.severity == 'warning' %}
        {% do print('warning: ' ~ item.seed ~ ' · ' ~ item.key ~ ': ' ~ item.problem ~ ' ' ~ item.remedy) %}
      {% endif %}
    {% endfor %}
    {% do print(lineage_audit._summary(tables, endpoint_name, errors | length, problems | length - errors | length)) %}
  {% endif %}
  {% if errors %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: ' ~ lineage_audit._counted(errors | length, 'error') ~ ' in the config' ~ ('.' if output == 'json' else ':\n' ~ lineage_audit._numbered(errors))
    ) %}
  {% endif %}
{% endmacro %}

{% macro _summary(tables, endpoint_name, errors, warnings) %}
  {% set counts = [] %}
  {% for seed, what in {'api_endpoints': 'endpoint', 'field_mapping': 'mapping row', 'business_rules': 'rule'}.items() %}
    {% do counts.append(lineage_audit._counted(lineage_audit._rows_of_endpoint(tables[seed], endpoint_name) | length, what)) %}
  {% endfor %}
  {% do return('config: ' ~ counts | join(', ') ~ '; ' ~ lineage_audit._counted(errors, 'error') ~ ', ' ~ lineage_audit._counted(warnings, 'warning')) %}
{% endmacro %}

{% macro _counted(count, what) %}
  {% do return(count ~ ' ' ~ what ~ ('' if count == 1 else 's')) %}
{% endmacro %}

{% macro _rows_of_endpoint(rows, endpoint_name) %}
  {% do return(rows if endpoint_name is none else rows | selectattr('endpoint_name', 'equalto', endpoint_name) | list) %}
{% endmacro %}

{#- Each problem once, with its severity, in the order of the columns that are printed. -#}
{% macro _distinct(problems) %}
  {% set seen = [] %}
  {% for item in problems %}
    {% set whole = {'severity': item.get('severity', 'error'), 'seed': item.seed, 'key': item.key, 'problem': item.problem, 'remedy': item.remedy} %}
    {% if whole not in seen %}
      {% do seen.append(whole) %}
    {% endif %}
  {% endfor %}
  {% do return(seen) %}
{% endmacro %}

{% macro _all_problems(tables, endpoint_name) %}
  {% set problems = lineage_audit._check_config_whole(tables, endpoint_name) %}
  {% set mapped = [] %}
  {% for node in lineage_audit._mapped_nodes(endpoint_name) %}
    {% set request = lineage_audit._request_of_node(node, tables) %}
    {% do mapped.append([request.endpoint_name, request.target_table]) %}
    {% do problems.extend(lineage_audit._config_problems(request)) %}
    {% do problems.extend(lineage_audit._config_warnings(request)) %}
    {% if not request.source_known %}
      {% do problems.append(lineage_audit._warning(
        'model', 'source of ' ~ request.model_name, request.source_unknown ~ ': source columns, values, defaults and filters were not checked against it.', request.source_remedy
      )) %}
    {% endif %}
    {% do problems.extend(lineage_audit._problems_of_engine(request)) %}
  {% endfor %}
  {% for endpoint, target_table in lineage_audit._mapped_tables(tables, endpoint_name) %}
    {% if [endpoint, target_table] not in mapped %}
      {% set request = lineage_audit._request({
        'model_name': target_table, 'endpoint_name': endpoint, 'target_table': target_table, 'source': none, 'built_source': none, 'source_known': false,
        'watermark': none, 'lateness': none, 'latest_by': none, 'capture': 'exploded', 'rejected': 'quarantine', 'materialized': none,
        'strategy': none, 'unique_key': none
      }, tables) %}
      {% do request.update({'unmapped': true}) %}
      {% do problems.extend(lineage_audit._config_problems(request)) %}
      {% do problems.extend(lineage_audit._config_warnings(request)) %}
      {% if request.rows %}
        {% do problems.append(lineage_audit._warning(
          'field_mapping', endpoint ~ ' / ' ~ target_table, 'no model of the project maps it; values, defaults and filters were not checked against a source.',
          "Add a model {{ lineage_audit.mapped_model('" ~ endpoint ~ "', source=…) }}, or set active_flag to false."
        )) %}
        {% do problems.extend(lineage_audit._problems_of_engine(request)) %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {% do return(problems) %}
{% endmacro %}

{#- Rows that no mapped table answers for: endpoints, and what belongs to no endpoint. -#}
{% macro _check_config_whole(tables, endpoint_name) %}
  {% set problems = [] %}
  {% set endpoints = tables.api_endpoints | map(attribute='endpoint_name') | select | list %}
  {% set mapped = tables.field_mapping | map(attribute='endpoint_name') | select | unique | list %}
  {% do problems.extend(lineage_audit._check_config_columns({'config_columns': lineage_audit._remembered('columns of config') or {}})) %}
  {% if endpoint_name is not none and endpoint_name not in endpoints and endpoint_name not in mapped %}
    {% do problems.append(lineage_audit._problem(
      'api_endpoints', 'endpoint ' ~ endpoint_name, 'there is no such endpoint.', lineage_audit._did_you_mean(endpoint_name, endpoints, 'There are: ' ~ endpoints | join(', ') ~ '.')
    )) %}
  {% endif %}
  {% set seen = [] %}
  {% for row in lineage_audit._rows_of_endpoint(tables.api_endpoints, endpoint_name) %}
    {% set key = 'endpoint ' ~ (row.endpoint_name or '(no endpoint_name)') %}
    {% if not row.endpoint_name %}
      {% do problems.append(lineage_audit._problem('api_endpoints', key, 'endpoint_name is empty.', 'Name the endpoint, or delete the row.')) %}
    {% elif row.endpoint_name in seen %}
      {% do problems.append(lineage_audit._problem(
        'api_endpoints', key, 'stands there ' ~ endpoints.count(row.endpoint_name) ~ ' times.', 'Leave one row of it.'
      )) %}
    {% elif row.endpoint_name not in mapped and lineage_audit._is_true(row.active_flag, true) %}
      {% do problems.append(lineage_audit._warning('api_endpoints', key, 'field_mapping has no row of it.', 'Add its mapping, or set active_flag to false.')) %}
    {% endif %}
    {% do seen.append(row.endpoint_name) %}
    {% do problems.extend(lineage_audit._check_flag('api_endpoints', key, 'active_flag', row.active_flag)) %}
  {% endfor %}
  {% for row in lineage_audit._rows_of_endpoint(tables.field_mapping, endpoint_name) %}
    {% set key = lineage_audit._row_key(row) %}
    {% if not row.endpoint_name or not row.target_table %}
      {% set missing = 'target_table' if row.endpoint_name else 'endpoint_name' %}
      {% do problems.append(lineage_audit._problem('field_mapping', key, missing ~ ' is empty, so no model reads the row.', 'Fill it in, or delete the row.')) %}
    {% elif row.endpoint_name not in endpoints %}
      {% do problems.append(lineage_audit._unknown_endpoint('field_mapping', row.endpoint_name ~ ' / ' ~ row.target_table, row.endpoint_name, endpoints)) %}
    {% endif %}
  {% endfor %}
  {% set named = [] %}
  {% for row in tables.field_mapping %}
    {% if lineage_audit._is_true(row.active_flag, true) %}
      {% do named.extend(lineage_audit._split(row.business_rule_id)) %}
    {% endif %}
  {% endfor %}
  {% set rules = lineage_audit._rows_of_endpoint(tables.business_rules, endpoint_name) %}
  {% set active = [] %}
  {% for rule in rules %}
    {% set key = lineage_audit._rule_key(rule) %}
    {% do problems.extend(lineage_audit._check_flag('business_rules', key, 'active_flag', rule.active_flag)) %}
    {% if not rule.business_rule_id %}
      {% do problems.append(lineage_audit._problem('business_rules', key, 'business_rule_id is empty.', 'Give the rule an id, by which the quarantine can name it.')) %}
    {% endif %}
    {% if not rule.endpoint_name %}
      {% do problems.append(lineage_audit._problem('business_rules', key, 'endpoint_name is empty, so the rule acts nowhere.', 'Name the endpoint that it is for.')) %}
    {% elif rule.endpoint_name not in endpoints %}
      {% do problems.append(lineage_audit._unknown_endpoint('business_rules', key, rule.endpoint_name, endpoints)) %}
    {% endif %}
    {% if lineage_audit._is_true(rule.active_flag, true) %}
      {% do active.append(rule) %}
      {% if rule.rule_category in ['derivation', 'default'] and rule.business_rule_id not in named %}
        {% do problems.append(lineage_audit._warning(
          'business_rules', key, 'no active mapping row names it, and a ' ~ rule.rule_category ~ ' acts through the rows that name it.', 'Name it in business_rule_id of a row, or set active_flag to false.'
        )) %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {% do problems.extend(lineage_audit._check_rule_rows(active)) %}
  {% for endpoint in endpoints | unique %}
    {% if endpoint_name in [none, endpoint] %}
      {% do problems.extend(lineage_audit._check_tables_of_rules({'endpoint_name': endpoint, 'target_table': none, 'tables': tables})) %}
    {% endif %}
  {% endfor %}
  {% do return(problems) %}
{% endmacro %}

{% macro _unknown_endpoint(seed, key, name, endpoints) %}
  {% do return(lineage_audit._problem(
    seed, key, "endpoint '" ~ name ~ "' is not in api_endpoints.",
    lineage_audit._did_you_mean(name, endpoints, 'Add a row to api_endpoints, or name one of: ' ~ (endpoints | join(', ') or 'none is there') ~ '.')
  )) %}
{% endmacro %}

{#- [[endpoint, table]] of field_mapping, in the order of the file. -#}
{% macro _mapped_tables(tables, endpoint_name) %}
  {% set found = [] %}
  {% for row in lineage_audit._rows_of_endpoint(tables.field_mapping, endpoint_name) %}
    {% if row.endpoint_name and row.target_table and [row.endpoint_name, row.target_table] not in found %}
      {% do found.append([row.endpoint_name, row.target_table]) %}
    {% endif %}
  {% endfor %}
  {% do return(found) %}
{% endmacro %}

{#- The mapped models of the project and of its packages. -#}
{% macro _mapped_nodes(endpoint_name) %}
  {% set nodes = [] %}
  {% for node in graph.nodes.values() | sort(attribute='unique_id') %}
    {% set registered = node.config.meta.get('lineage_audit') or {} if node.resource_type == 'model' else {} %}
    {% if registered is mapping and registered.get('target_table') and endpoint_name in [none, registered.endpoint_name] %}
      {% do nodes.append(node) %}
    {% endif %}
  {% endfor %}
  {% do return(nodes) %}
{% endmacro %}

{#- What mapped_model knows when the model runs, from what it registered. -#}
{% macro _request_of_node(node, tables) %}
  {% set source = lineage_audit._source_of_node(node, tables) %}
  {% set built = load_relation(source.relation) if source.relation else none %}
  {% set request = lineage_audit._request_as_registered(node, tables, source.relation, built is not none) %}
  {% do request.update({
    'is_validation': true,
    'source_unknown': source.unknown or source.relation ~ ' is not in the warehouse yet',
    'source_remedy': source.remedy or 'Build it (dbt run --select ' ~ source.name ~ ') and validate again.'
  }) %}
  {% do return(request) %}
{% endmacro %}

{#- The request of a model that is not being compiled: its arguments as it registered them, its settings as dbt has them. -#}
{% macro _request_as_registered(node, tables, source, source_known) %}
  {% set registered = node.config.meta.lineage_audit %}
  {% do return(lineage_audit._request({
    'model_name': node.name, 'endpoint_name': registered.endpoint_name, 'target_table': registered.target_table,
    'source': source, 'built_source': source, 'source_known': source_known,
    'watermark': registered.get('watermark'), 'lateness': registered.get('lateness'), 'latest_by': registered.get('latest_by'),
    'capture': registered.get('capture'), 'rejected': registered.get('rejected') or 'quarantine',
    'materialized': node.config.materialized, 'strategy': node.config.get('incremental_strategy'), 'unique_key': node.config.get('unique_key'),
    'not_null_columns': lineage_audit._not_null_columns(node)
  }, tables)) %}
{% endmacro %}

{#- When a model is parsed ref() gives the model itself, so that mapped_model can't register its source. It is what the
    model depends on besides the config tables; of several, the one that field_mapping names, or the ref before those
    that mapped_model adds. -#}
{% macro _source_of_node(node, tables) %}
  {% set candidates = [] %}
  {% for id in node.depends_on.nodes %}
    {% set found = graph.nodes.get(id) or graph.sources.get(id) %}
    {% if found and (found.name not in tables or found.resource_type == 'source') %}
      {% do candidates.append({
        'name': found.name if found.resource_type != 'source' else 'source:' ~ found.source_name ~ '.' ~ found.name,
        'names': [found.name, found.get('alias'), found.get('identifier')], 'ephemeral': found.config.get('materialized') == 'ephemeral', 'is_ref': found.resource_type != 'source',
        'relation': api.Relation.create(database=found.database, schema=found.schema, identifier=found.get('identifier') or found.get('alias') or found.name)
      }) %}
    {% endif %}
  {% endfor %}
  {% set chosen = candidates %}
  {% if chosen | length > 1 %}
    {% set registered = node.config.meta.lineage_audit %}
    {% set source_tables = [] %}
    {% for row in tables.field_mapping %}
      {% if row.endpoint_name == registered.endpoint_name and row.target_table == registered.target_table and row.source_table %}
        {% do source_tables.append(row.source_table.split('.') | last | lower) %}
      {% endif %}
    {% endfor %}
    {% set chosen = [] %}
    {% for candidate in candidates %}
      {% if candidate.names | select | map('lower') | select('in', source_tables) | list %}
        {% do chosen.append(candidate) %}
      {% endif %}
    {% endfor %}
    {% if chosen | length != 1 and not candidates | rejectattr('is_ref') | list %}
      {% set chosen = [] %}
      {% set before = namespace(name=none, done=false) %}
      {% for each in node.refs %}
        {% if each.name == 'api_endpoints' %}
          {% set before.done = true %}
        {% elif not before.done %}
          {% set before.name = each.name %}
        {% endif %}
      {% endfor %}
      {% set chosen = candidates | selectattr('name', 'equalto', before.name) | list %}
    {% endif %}
  {% endif %}
  {% if chosen | length == 1 and not chosen[0].ephemeral %}
    {% do return(dict(chosen[0], unknown=none, remedy=none)) %}
  {% elif chosen | length == 1 %}
    {% do return({'relation': none, 'unknown': chosen[0].name ~ ' is ephemeral', 'remedy': 'Materialize it, to have it checked.'}) %}
  {% endif %}
  {% do return({
    'relation': none,
    'unknown': 'which of its relations is the source is not known (' ~ (candidates | map(attribute='name') | join(', ') or 'it has none') ~ ')',
    'remedy': 'Let source_table of its field_mapping rows be the name of the source.'
  }) %}
{% endmacro %}
