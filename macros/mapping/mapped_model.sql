{#- A gold model from config: see _mapping.yml for the arguments. -#}
{% macro mapped_model(endpoint_name, source, target_table=none, watermark=none, lateness=none, latest_by=none, capture=none, rejected='quarantine') %}
  {% do lineage_audit._register({
    'endpoint_name': endpoint_name, 'target_table': target_table or lineage_audit._model_name(),
    'watermark': watermark, 'lateness': lateness, 'latest_by': latest_by, 'capture': capture or lineage_audit.settings().capture, 'rejected': rejected
  }) %}
  {% set config_relations = lineage_audit._config_relations() %}
  {% if not execute %}
    {% do return('select 1 as parsed_only') %}
  {% endif %}
  {% set unseeded = lineage_audit._missing_relations(config_relations) %}
  {% if unseeded and lineage_audit._is_running() %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: model ' ~ model.name ~ ' needs the config tables, and these are not in the warehouse yet: ' ~ unseeded | join(', ')
      ~ '. Run `dbt seed` first (or build the models of these names).'
    ) %}
  {% endif %}
  {% set built_source = lineage_audit._relation_as_built(source) %}
  {% set source_known = not lineage_audit._is_fixture(source) and load_relation(built_source) is not none %}
  {% if not source_known and lineage_audit._is_running() %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: model ' ~ model.name ~ ' reads ' ~ built_source ~ ', which is not in the warehouse yet. Build it first: dbt run --select +' ~ model.name ~ '.'
    ) %}
  {% elif unseeded %}
    {% do return('select\n  1 as not_compiled -- waits for ' ~ unseeded | join(', ') ~ ': run dbt seed first\nwhere 1 = 0') %}
  {% endif %}
  {% set request = lineage_audit._request({
    'model_name': lineage_audit._model_name(), 'materialized': config.get('materialized'), 'unique_key': config.get('unique_key'),
    'strategy': config.get('incremental_strategy'), 'endpoint_name': endpoint_name, 'source': source, 'built_source': built_source, 'source_known': source_known, 'target_table': target_table or lineage_audit._model_name(),
    'watermark': watermark, 'lateness': lateness, 'latest_by': latest_by, 'capture': capture, 'rejected': rejected,
    'not_null_columns': lineage_audit._not_null_columns(model)
  }, lineage_audit._config_tables(config_relations)) %}
  {% set problems = lineage_audit._config_problems(request) %}
  {% if problems %}
    {% do lineage_audit._raise_problems(request.model_name, problems) %}
  {% endif %}
  {% set plan = lineage_audit._plan(request) %}
  {% do lineage_audit.allow_names(plan) %}
  {% do lineage_audit._remember(model.unique_id, plan) %}
  {% do return(lineage_audit._gold_sql(plan)) %}
{% endmacro %}

{#- What the model needs besides its SQL: meta for docs and graph, and one hook per statement that goes with a run.
    DuckDB rolls a failed model back, so there what must outlive it runs before the transaction begins; Spark has
    no transactions, and dbt-spark leaves out hooks that ask to run outside of one. -#}
{% macro _register(meta) %}
  {% set outlives = target.type != 'duckdb' %}
  {% do config(
    meta={'lineage_audit': meta},
    pre_hook=[
      {'sql': '{{ lineage_audit.end_transaction() }}', 'transaction': outlives},
      {'sql': '{{ lineage_audit._started_sql() }}', 'transaction': outlives},
      {'sql': '{{ lineage_audit._config_version_sql() }}', 'transaction': outlives},
      {'sql': '{{ lineage_audit._column_mapping_sql() }}', 'transaction': true},
      {'sql': '{{ lineage_audit._grow_struct_sql() }}', 'transaction': true},
      {'sql': '{{ lineage_audit._stage_source_sql() }}', 'transaction': true},
    ],
    post_hook=[
      {'sql': '{{ lineage_audit._remove_dead_rows_sql() }}', 'transaction': true},
      {'sql': '{{ lineage_audit._rejected_record_sql() }}', 'transaction': true},
      {'sql': '{{ lineage_audit._rule_violation_sql() }}', 'transaction': true},
      {'sql': '{{ lineage_audit._closed_record_sql() }}', 'transaction': true},
      {'sql': '{{ lineage_audit._lineage_sql() }}', 'transaction': true},
      {'sql': '{{ lineage_audit._success_sql() }}', 'transaction': true},
      {'sql': '{{ lineage_audit._drop_staged_source_sql() }}', 'transaction': true},
    ]
  ) %}
{% endmacro %}

{% macro _missing_relations(relations) %}
  {% set missing = [] %}
  {% for seed, relation in relations.items() %}
    {% if load_relation(relation) is none %}
      {% do missing.append(seed) %}
    {% endif %}
  {% endfor %}
  {% do return(missing) %}
{% endmacro %}

{#- The columns, in lower case, that an enforced contract of a model has not null, each by itself or all together. -#}
{% macro _not_null_columns(node) %}
  {% set names = [] %}
  {% if (node.config.get('contract') or {}).get('enforced') %}
    {% for column in (node.get('columns') or {}).values() %}
      {% if column.get('constraints', []) | selectattr('type', 'in', ['not_null', 'primary_key']) | list %}
        {% do names.append(column.name | lower) %}
      {% endif %}
    {% endfor %}
    {% for constraint in node.get('constraints') or [] %}
      {% if constraint.type in ['not_null', 'primary_key'] %}
        {% for name in constraint.get('columns') or [] %}
          {% do names.append(name | lower) %}
        {% endfor %}
      {% endif %}
    {% endfor %}
  {% endif %}
  {% do return(names | unique | list) %}
{% endmacro %}

{#- In a dbt unit test `model` is the test. -#}
{% macro _model_name() %}
  {% do return(model.tested_node_unique_id.split('.')[2] if model.resource_type == 'unit_test' else model.name) %}
{% endmacro %}

{#- Does this dbt command build models? Under all others the package writes nothing. -#}
{% macro _is_running() %}
  {% do return(flags.WHICH in ['run', 'build'] and model.resource_type == 'model') %}
{% endmacro %}
