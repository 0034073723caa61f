{#- A query for the columns of every relation in some schemas, {database: [schema]}: relation, column_name, position, data_type. -#}
{% macro columns_in_schemas(schemas) %}
  {% do return(adapter.dispatch('columns_in_schemas', 'lineage_audit')(schemas)) %}
{% endmacro %}

{% macro default__columns_in_schemas(schemas) %}
  {% do return(lineage_audit._unsupported('columns_in_schemas')) %}
{% endmacro %}

{% macro duckdb__columns_in_schemas(schemas) %}
  {% set places = [] %}
  {% for database, names in schemas.items() %}
    {% do places.append('(lower(database_name) = lower(' ~ lineage_audit.text_literal(database) ~ ') and lower(schema_name) in ' ~ lineage_audit._in_list(names | map('lower') | list) ~ ')') %}
  {% endfor %}
  {% do return(
    "select\n  database_name || '.' || schema_name || '.' || table_name as relation,\n  column_name,\n  column_index as position,\n  data_type\nfrom duckdb_columns()\nwhere "
    ~ (places | join('\n  or ') or 'false')
  ) %}
{% endmacro %}

{#- hive_metastore has no information schema: the Python models ask the session for such tables. -#}
{% macro spark__columns_in_schemas(schemas) %}
  {% set selects = [] %}
  {% for database, names in schemas.items() if database and database != 'hive_metastore' %}
    {% do selects.append(
      "select\n  table_catalog || '.' || table_schema || '.' || table_name as relation,\n  column_name,\n  ordinal_position as position,\n  full_data_type as data_type\nfrom "
      ~ lineage_audit.quote_name(database) ~ '.information_schema.columns\nwhere lower(table_schema) in ' ~ lineage_audit._in_list(names | map('lower') | list)
    ) %}
  {% endfor %}
  {% do return(
    selects | join('\nunion all\n') or "select\n  cast(null as string) as relation,\n  cast(null as string) as column_name,\n  cast(null as int) as position,\n  cast(null as string) as data_type\nwhere false"
  ) %}
{% endmacro %}
