{#- What is there of the audit store, and what is wrong with it. -#}

{#- {missing: tables that are not there, old: {table: {column: kind}} that a table of an earlier version lacks, problems}.
    dbt's own cache tells which relations there are; one statement asks for the columns of all. -#}
{% macro _look_at_store() %}
  {% set look = {'missing': [], 'old': {}, 'problems': []} %}
  {% set present = [] %}
  {% for table in lineage_audit._tables_in_use() %}
    {% set relation = lineage_audit._store(table) %}
    {% set found = adapter.get_relation(database=relation.database, schema=relation.schema, identifier=relation.identifier) %}
    {% if found is none %}
      {% do look.missing.append(table) %}
    {% elif found.type not in [none, 'table'] %}
      {% do look.problems.append(lineage_audit._foreign(table, 'is a ' ~ found.type ~ ', not a table of the package.')) %}
    {% else %}
      {% do present.append(table) %}
    {% endif %}
  {% endfor %}
  {% set seen = lineage_audit.columns_of_store(lineage_audit._tables_in_use(), present) %}
  {% if seen.read_only %}
    {% do look.problems.append(lineage_audit._problem(
      'database', lineage_audit._store('run_event').database, 'is attached read-only; ' ~ (present or look.missing) | join(', ') ~ " can't be written.",
      'Attach it for writing, or let the var lineage_audit_database name another.'
    )) %}
  {% endif %}
  {% for table in present %}
    {% set compared = lineage_audit._compare_columns(table, seen.columns.get(table, {})) %}
    {% if compared.problem %}
      {% do look.problems.append(compared.problem) %}
    {% elif compared.missing %}
      {% do look.old.update({table: compared.missing}) %}
    {% endif %}
  {% endfor %}
  {% do return(look) %}
{% endmacro %}

{#- Columns that the package does not know are a later version's, and left alone. -#}
{% macro _compare_columns(table, types) %}
  {% set store_types = lineage_audit.store_types() %}
  {% set missing = {} %}
  {% set retyped = [] %}
  {% for column, kind in lineage_audit._store_tables()[table].items() %}
    {% set type = store_types[kind] %}
    {% if column not in types %}
      {% do missing.update({column: kind}) %}
    {% elif not lineage_audit._same_type(types[column], type) %}
      {% do retyped.append(column ~ ' (is ' ~ types[column] | lower ~ ', has to be ' ~ type ~ ')') %}
    {% endif %}
  {% endfor %}
  {% set said = [] %}
  {% set lost = lineage_audit._row_columns()[table] | select('in', missing) | list %}
  {% if lost %}
    {% do said.append('lacks ' ~ lost | join(', ') ~ ', which the table has had in every version') %}
  {% endif %}
  {% if retyped %}
    {% do said.append('has columns of another type: ' ~ retyped | join(', ')) %}
  {% endif %}
  {% do return({'missing': missing, 'problem': lineage_audit._foreign(table, said | join(', and ') ~ '.') if said else none}) %}
{% endmacro %}

{% macro _foreign(table, problem) %}
  {% do return(lineage_audit._problem(
    'table', lineage_audit._store(table) | string, problem,
    'Rename what stands there, or let the var lineage_audit_schema name another schema for the audit store.'
  )) %}
{% endmacro %}

{% macro _old_tables(old) %}
  {% set problems = [] %}
  {% for table, columns in old.items() %}
    {% do problems.append(lineage_audit._problem(
      'table', lineage_audit._store(table) | string, 'lacks ' ~ columns.keys() | join(', ') ~ ': an earlier version of the package made it.',
      'Run dbt run-operation lineage_audit.setup while no other job runs; it adds the columns and keeps every row.'
    )) %}
  {% endfor %}
  {% do return(problems) %}
{% endmacro %}

{% macro _raise_store_problems(problems) %}
  {% set lines = [] %}
  {% for item in problems %}
    {% do lines.append('  ' ~ loop.index ~ '. ' ~ item.seed ~ ' ' ~ item.key ~ ' ' ~ item.problem ~ ' ' ~ item.remedy) %}
  {% endfor %}
  {% if lines %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: ' ~ lines | length ~ (' problem' if lines | length == 1 else ' problems') ~ ' with the audit store in ' ~ lineage_audit._store_name()
      ~ ', found before any data moved:\n' ~ lines | join('\n')
    ) %}
  {% endif %}
{% endmacro %}

{% macro _store_name() %}
  {% do return(lineage_audit._store('run_event').without_identifier() | string) %}
{% endmacro %}
