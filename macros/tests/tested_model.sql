{#- The mapped model that a generic test stands at: {name, endpoint_name, target_table, target_relation, built: the
    table as a relation, rows: what the test is to read, all_rows: is that the whole table?}. -#}
{% macro _tested_model(rows) %}
  {% set node = graph.nodes.get(model.get('attached_node') or '') %}
  {% set meta = (node.config.meta.get('lineage_audit') or {}) if node else {} %}
  {% if not meta.get('endpoint_name') or not meta.get('target_table') %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: test ' ~ model.test_metadata.name ~ ' stands at ' ~ (node.name if node else model.get('file_key_name'))
      ~ ', which is no mapped model. Move it to the model whose file calls lineage_audit.mapped_model.'
    ) %}
  {% endif %}
  {% set built = lineage_audit._relation_as_built(ref(node.package_name, node.name, version=node.get('version'))) %}
  {% do return({
    'name': node.name, 'endpoint_name': meta.endpoint_name, 'target_table': meta.target_table,
    'target_relation': lineage_audit._relation_text(built), 'built': built,
    'rows': rows | string, 'all_rows': (rows | string) == (built | string)
  }) %}
{% endmacro %}

{#- _tested_model, where it and all that the test needs besides are built; else the SQL of a test that waits for them. -#}
{% macro _tested_when_built(rows, needed) %}
  {% if not execute %}
    {% do return('select 1 as parsed_only') %}
  {% endif %}
  {% set tested = lineage_audit._tested_model(rows) %}
  {% set all_needed = dict(needed) %}
  {% do all_needed.update({tested.name: tested.built}) %}
  {% do return(lineage_audit._not_testable_yet(tested, all_needed) or tested) %}
{% endmacro %}

{#- The SQL of a test that can't be compiled yet, since a table that it asks is not there; an error where the test is to
    run; none where nothing is missing. needed: {name: relation}. -#}
{% macro _not_testable_yet(tested, needed) %}
  {% set missing = lineage_audit._missing_relations(needed) %}
  {% if not missing %}
    {% do return(none) %}
  {% elif lineage_audit._is_testing() %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: test ' ~ model.test_metadata.name ~ ' of ' ~ tested.name ~ ' reads what is not in the warehouse yet: ' ~ missing | join(', ')
      ~ '. Build it first: dbt build --select +' ~ tested.name ~ '.'
    ) %}
  {% endif %}
  {% do return('select\n  1 as not_compiled -- waits for ' ~ missing | join(', ') ~ ': run dbt build first\nwhere 1 = 0') %}
{% endmacro %}

{#- Does this dbt command run tests? Others only compile them. -#}
{% macro _is_testing() %}
  {% do return(flags.WHICH in ['test', 'build']) %}
{% endmacro %}

{#- The columns of the table as it is, looked up once for all of its tests. -#}
{% macro _columns_of_tested(tested) %}
  {% set columns = lineage_audit._remembered('columns of ' ~ tested.target_relation) %}
  {% if columns is none %}
    {% set columns = lineage_audit.columns_of(tested.built) %}
    {% do lineage_audit._remember('columns of ' ~ tested.target_relation, columns) %}
  {% endif %}
  {% do return(columns) %}
{% endmacro %}

{#- What a test is to read, without the refused rows of a table that keeps them. -#}
{% macro _accepted_of_tested(tested) %}
  {% if not lineage_audit._find_column(lineage_audit._columns_of_tested(tested), '_lineage_failed_rules') %}
    {% do return(tested.rows) %}
  {% endif %}
  {% do return('(select * from ' ~ tested.rows ~ ' where ' ~ lineage_audit._is_accepted() ~ ') as accepted_rows') %}
{% endmacro %}

{#- The columns of the key by the mapping as it is now, such as _target_pk takes them. -#}
{% macro _key_of_tested(tested, tables) %}
  {% set rows = [] %}
  {% for row in tables.field_mapping %}
    {% if row.endpoint_name == tested.endpoint_name and row.target_table == tested.target_table and lineage_audit._is_true(row.active_flag, true) %}
      {% do rows.append(row) %}
    {% endif %}
  {% endfor %}
  {% set marks = lineage_audit._marks(lineage_audit._rows_over_same_sources(tables.field_mapping, rows)) %}
  {% set columns = lineage_audit._columns_of_tested(tested) %}
  {% set problems = [] %}
  {% set hashed = [] %}
  {% set key = [] %}
  {% for row in lineage_audit._ordered(rows) %}
    {% if lineage_audit._is_true(row.is_primary_key, false) %}
      {% set column = lineage_audit._find_column(columns, row.target_column or '') %}
      {% if not column %}
        {% do problems.append(lineage_audit._problem(
          'field_mapping', lineage_audit._row_key(row), 'is part of the primary key, and ' ~ tested.target_relation ~ ' has no such column.', 'Build the model anew.'
        )) %}
      {% else %}
        {% set mark = lineage_audit._strictest_mark(row, marks) %}
        {% do key.append(lineage_audit._tested_column(column.name, column.type, mark)) %}
        {% if mark == 'hash' %}
          {% do hashed.append(row) %}
        {% endif %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {% if hashed and lineage_audit._is_testing() %}
    {% do problems.extend(lineage_audit._hash_key_problems(hashed[0])) %}
  {% elif not key and not problems %}
    {% do problems.append(lineage_audit._problem(
      'field_mapping', tested.endpoint_name ~ ' / ' ~ tested.target_table, 'no active row is part of a primary key.', 'Set is_primary_key to true for the key columns.'
    )) %}
  {% endif %}
  {% if problems %}
    {% do lineage_audit._raise_problems(tested.name, problems) %}
  {% endif %}
  {% do return(key) %}
{% endmacro %}

{% macro _tested_column(name, type, mark, alias=none) %}
  {% set quoted = lineage_audit.quote_name(name) %}
  {% do return({'name': name, 'quoted': alias ~ '.' ~ quoted if alias else quoted, 'type': type, 'mark': mark, 'is_key': true}) %}
{% endmacro %}
