{#- The config tables as lists of dicts of texts, each column as text, an empty cell as none:
    {'api_endpoints': […], 'field_mapping': […], 'business_rules': […]}. One statement, once per dbt invocation. -#}
{% macro _config_tables(relations) %}
  {% set names = relations.values() | map('string') | join(' ') %}
  {% set known = lineage_audit._remembered('config ' ~ names) %}
  {% if known is not none %}
    {% do return(known) %}
  {% endif %}
  {% set selects = [] %}
  {% for seed, relation in relations.items() %}
    {% do selects.append(
      'select\n  ' ~ lineage_audit.text_literal(seed) ~ ' as seed,\n  ' ~ lineage_audit.json_of_row('config') ~ ' as config_row\nfrom ' ~ relation ~ ' as config'
    ) %}
  {% endfor %}
  {% set tables = {'api_endpoints': [], 'field_mapping': [], 'business_rules': []} %}
  {% set columns = {} %}
  {% for row in run_query(selects | join('\nunion all\n')).rows %}
    {% set cells = {} %}
    {% set received = fromjson(row[1]) %}
    {% do columns.update({row[0]: received.keys() | map('lower') | list}) %}
    {% for name in lineage_audit._config_columns()[row[0]] %}
      {% do cells.update({name: none}) %}
    {% endfor %}
    {% for name, value in received.items() %}
      {% if value is none or (value | string | trim) == '' %}
        {% do cells.update({name | lower: none}) %}
      {% elif value is boolean %}
        {% do cells.update({name | lower: 'true' if value else 'false'}) %}
      {% else %}
        {% do cells.update({name | lower: value | string | trim}) %}
      {% endif %}
    {% endfor %}
    {% do tables[row[0]].append(cells) %}
  {% endfor %}
  {% do lineage_audit._remember('columns of config', columns) %}
  {% do lineage_audit._remember('config ' ~ names, tables) %}
  {% do return(tables) %}
{% endmacro %}

{#- The columns that the package reads; a config table may lack some, and may have more. -#}
{% macro _config_columns() %}
  {% do return({
    'api_endpoints': ['endpoint_name', 'source_system', 'raw_table', 'payload_column', 'active_flag', 'description'],
    'field_mapping': [
      'endpoint_name', 'target_layer', 'target_table', 'target_column', 'source_table', 'source_columns', 'api_field_name',
      'api_json_path', 'transform_expr', 'business_rule_id', 'is_primary_key', 'data_type', 'nullable', 'active_flag',
      'sensitivity', 'description', 'column_position'
    ],
    'business_rules': [
      'business_rule_id', 'endpoint_name', 'target_table', 'rule_category', 'rule_expression', 'severity', 'message', 'active_flag'
    ]
  }) %}
{% endmacro %}

{#- The config tables as built, read whole also under --empty and --sample: {name: relation}. While dbt parses, it learns
    here what the caller depends on. -#}
{% macro _config_relations() %}
  {% set relations = {} %}
  {% for name, relation in {
    'api_endpoints': ref('api_endpoints'), 'field_mapping': ref('field_mapping'), 'business_rules': ref('business_rules')
  }.items() if execute %}
    {% if lineage_audit._is_fixture(relation) %}
      {% do relations.update({name: lineage_audit._config_relation_behind_fixture(name)}) %}
    {% else %}
      {% do relations.update({name: lineage_audit._relation_as_built(relation)}) %}
    {% endif %}
  {% endfor %}
  {% do return(relations) %}
{% endmacro %}

{#- The same for an operation, which can do nothing without them. -#}
{% macro _loaded_config_relations() %}
  {% set relations = lineage_audit._config_relations() %}
  {% set unseeded = lineage_audit._missing_relations(relations) %}
  {% if unseeded %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: these config tables are not in the warehouse yet: ' ~ unseeded | join(', ') ~ '. Run `dbt seed` first (or build the models of these names).'
    ) %}
  {% endif %}
  {% do return(relations) %}
{% endmacro %}

{#- In a dbt unit test ref() gives the name of a CTE, which nothing but the test's own SQL can read, and dbt says
    nothing of the relation behind it. The config tables are then looked for in their schema, beside the model, beside the
    audit store, and in the target's own database. -#}
{% macro _config_relation_behind_fixture(name) %}
  {#- Spark knows no databases: there all three are none. -#}
  {% set databases = [model.get('database')] %}
  {% for other in [lineage_audit.settings().database, target.database] if other and other not in databases %}
    {% do databases.append(other) %}
  {% endfor %}
  {% for database in databases %}
    {% for schema in [generate_schema_name('config', model), target.schema] %}
      {% set relation = adapter.get_relation(database=database, schema=schema | trim, identifier=name) %}
      {% if relation is not none %}
        {% do return(relation) %}
      {% endif %}
    {% endfor %}
  {% endfor %}
  {% do return(api.Relation.create(database=model.get('database'), schema=generate_schema_name('config', model) | trim, identifier=name)) %}
{% endmacro %}

{% macro _is_fixture(relation) %}
  {% do return((relation.identifier or '').startswith('__dbt__cte__')) %}
{% endmacro %}

{% macro _relation_as_built(relation) %}
  {% do return(api.Relation.create(database=relation.database, schema=relation.schema, identifier=relation.identifier)) %}
{% endmacro %}

{#- What one macro learns and another needs later in the same dbt invocation. dbt renders a model and its hooks in
    separate contexts; the graph is the one object that both see. -#}
{% macro _remember(key, value) %}
  {% do graph.update({'lineage_audit ' ~ invocation_id ~ ' ' ~ key: value}) %}
{% endmacro %}

{% macro _remembered(key) %}
  {% do return(graph.get('lineage_audit ' ~ invocation_id ~ ' ' ~ key)) %}
{% endmacro %}

{% macro _is_true(text, default) %}
  {% do return(default if text is none else (text | lower) in ['true', 't', 'yes', 'y', '1']) %}
{% endmacro %}

{#- 'a|b' as ['a', 'b']. -#}
{% macro _split(text) %}
  {% set parts = [] %}
  {% for part in (text or '').split('|') %}
    {% if part | trim and (part | trim) not in parts %}
      {% do parts.append(part | trim) %}
    {% endif %}
  {% endfor %}
  {% do return(parts) %}
{% endmacro %}
