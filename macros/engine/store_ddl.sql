{#- DDL of one table of the audit store; asked_for: the columns by which its rows are looked up, if there is more than a run's
    worth of them. -#}
{% macro create_store_table(relation, columns, asked_for=[], comments={}) %}
  {% do return(adapter.dispatch('create_store_table', 'lineage_audit')(relation, columns, asked_for, comments)) %}
{% endmacro %}

{% macro default__create_store_table(relation, columns, asked_for, comments) %}
  {% do return(lineage_audit._unsupported('create_store_table')) %}
{% endmacro %}

{#- Rows lie as they are written, run by run in gold's order, and DuckDB knows the least and greatest value of each group. -#}
{% macro duckdb__create_store_table(relation, columns, asked_for, comments) %}
  {% do return('create table if not exists ' ~ relation ~ ' (\n  ' ~ lineage_audit._column_definitions(columns) ~ '\n)') %}
{% endmacro %}

{#- Liquid clustering: Databricks clusters what is written and OPTIMIZE the rest; open-source Delta by OPTIMIZE alone. -#}
{% macro spark__create_store_table(relation, columns, asked_for, comments) %}
  {% do return(
    'create table if not exists ' ~ relation ~ ' (\n  ' ~ lineage_audit._column_definitions(columns, comments)
    ~ '\n)\nusing delta\n' ~ ('cluster by (' ~ asked_for | join(', ') ~ ')\n' if asked_for else '') ~ "tblproperties ('delta.appendOnly' = 'true')"
  ) %}
{% endmacro %}

{% macro _column_definitions(columns, comments={}) %}
  {% set types = lineage_audit.store_types() %}
  {% set definitions = [] %}
  {% for name, kind in columns.items() %}
    {% do definitions.append(name ~ ' ' ~ types[kind] ~ (' comment ' ~ lineage_audit.text_literal(comments[name]) if name in comments else '')) %}
  {% endfor %}
  {% do return(definitions | join(',\n  ')) %}
{% endmacro %}

{#- Makes what isn't there yet, while other jobs may be making the same. -#}
{% macro create_beside_others(statements) %}
  {% do adapter.dispatch('create_beside_others', 'lineage_audit')(statements) %}
{% endmacro %}

{% macro default__create_beside_others(statements) %}
  {% do lineage_audit._unsupported('create_beside_others') %}
{% endmacro %}

{#- One process writes to a database. -#}
{% macro duckdb__create_beside_others(statements) %}
  {% for statement in statements %}
    {% do run_query(statement) %}
  {% endfor %}
{% endmacro %}

{#- While one job makes a Delta table, `create table if not exists` fails for others. What is refused again and again is sent by
    itself: then the engine says why. -#}
{% macro spark__create_beside_others(statements) %}
  {% set now = namespace(left=statements) %}
  {% for attempt in range(5) if now.left %}
    {% set refused = [] %}
    {% for position in lineage_audit._refused_in_script(now.left) %}
      {% do refused.append(now.left[position]) %}
    {% endfor %}
    {% set now.left = refused %}
  {% endfor %}
  {% for statement in now.left %}
    {% do run_query(statement) %}
  {% endfor %}
{% endmacro %}

{#- Adds to a table of the audit store the columns that it lacks. -#}
{% macro add_store_columns(relation, columns, comments={}) %}
  {% do return(adapter.dispatch('add_store_columns', 'lineage_audit')(relation, columns, comments)) %}
{% endmacro %}

{% macro default__add_store_columns(relation, columns, comments) %}
  {% do return(lineage_audit._unsupported('add_store_columns')) %}
{% endmacro %}

{#- Takes one column at a time. -#}
{% macro duckdb__add_store_columns(relation, columns, comments) %}
  {% set types = lineage_audit.store_types() %}
  {% set statements = [] %}
  {% for name, kind in columns.items() %}
    {% do statements.append('alter table ' ~ relation ~ ' add column if not exists ' ~ name ~ ' ' ~ types[kind]) %}
  {% endfor %}
  {% do return(statements | join(';\n')) %}
{% endmacro %}

{% macro spark__add_store_columns(relation, columns, comments) %}
  {% do return('alter table ' ~ relation ~ ' add columns (\n  ' ~ lineage_audit._column_definitions(columns, comments) ~ '\n)') %}
{% endmacro %}

{#- Sets the tags of a table of the store that dbt's config names in its adapter's own way. -#}
{% macro tag_store_table(relation, config) %}
  {% do return(adapter.dispatch('tag_store_table', 'lineage_audit')(relation, config)) %}
{% endmacro %}

{% macro default__tag_store_table(relation, config) %}
  {% do return(lineage_audit._unsupported('tag_store_table')) %}
{% endmacro %}

{#- Unity Catalog alone has tags. -#}
{% macro duckdb__tag_store_table(relation, config) %}
{% endmacro %}

{% macro spark__tag_store_table(relation, config) %}
{% endmacro %}

{#- The adapter's own apply_tags can be called by models alone. -#}
{% macro databricks__tag_store_table(relation, config) %}
  {% if config.get('databricks_tags') %}
    {% do run_query(alter_set_tags(relation, config.get('databricks_tags'))) %}
  {% endif %}
{% endmacro %}

{#- A point in time, given as text in UTC. -#}
{% macro timestamp_literal(text) %}
  {% do return(adapter.dispatch('timestamp_literal', 'lineage_audit')(text)) %}
{% endmacro %}

{% macro default__timestamp_literal(text) %}
  {% do return(lineage_audit._unsupported('timestamp_literal')) %}
{% endmacro %}

{% macro duckdb__timestamp_literal(text) %}
  {% do return("timestamp '" ~ text ~ "'") %}
{% endmacro %}

{% macro spark__timestamp_literal(text) %}
  {% do return("timestamp '" ~ text ~ "Z'") %}
{% endmacro %}

{#- Adds fields to the struct of source values in gold; one statement for all where the engine takes it. -#}
{% macro add_struct_fields(relation, struct_column, fields) %}
  {% do return(adapter.dispatch('add_struct_fields', 'lineage_audit')(relation, struct_column, fields)) %}
{% endmacro %}

{% macro default__add_struct_fields(relation, struct_column, fields) %}
  {% do return(lineage_audit._unsupported('add_struct_fields')) %}
{% endmacro %}

{% macro duckdb__add_struct_fields(relation, struct_column, fields) %}
  {% set statements = [] %}
  {% for field in fields %}
    {% do statements.append('alter table ' ~ relation ~ ' add column ' ~ struct_column ~ '.' ~ lineage_audit.quote_name(field.name) ~ ' ' ~ field.field_type) %}
  {% endfor %}
  {% do return(statements | join(';\n')) %}
{% endmacro %}

{% macro spark__add_struct_fields(relation, struct_column, fields) %}
  {% set columns = [] %}
  {% for field in fields %}
    {% do columns.append(struct_column ~ '.' ~ lineage_audit.quote_name(field.name) ~ ' ' ~ field.field_type) %}
  {% endfor %}
  {% do return('alter table ' ~ relation ~ ' add columns (\n  ' ~ columns | join(',\n  ') ~ '\n)') %}
{% endmacro %}

{#- Those of these fields, which attempts that died meant to add, that a struct column has. -#}
{% macro struct_fields_there(relation, struct_column, fields) %}
  {% do return(adapter.dispatch('struct_fields_there', 'lineage_audit')(relation, struct_column, fields)) %}
{% endmacro %}

{% macro default__struct_fields_there(relation, struct_column, fields) %}
  {% do return(lineage_audit._unsupported('struct_fields_there')) %}
{% endmacro %}

{#- Fields are added in the model's transaction, so they are gone with it. -#}
{% macro duckdb__struct_fields_there(relation, struct_column, fields) %}
  {% do return([]) %}
{% endmacro %}

{#- Spark's own word on each, a row per line of it: of a struct's type as text, names with a colon or comma could not be told. -#}
{% macro spark__struct_fields_there(relation, struct_column, fields) %}
  {% set found = [] %}
  {% for field in fields %}
    {% set missing = [] %}
    {% for row in run_query('explain select ' ~ struct_column ~ '.' ~ lineage_audit.quote_name(field.name) ~ ' from ' ~ relation).rows %}
      {% if 'FIELD_NOT_FOUND' in row[0] %}
        {% do missing.append(field) %}
      {% endif %}
    {% endfor %}
    {% if not missing %}
      {% do found.append(field) %}
    {% endif %}
  {% endfor %}
  {% do return(found) %}
{% endmacro %}
