{#- How every statement of a run reads the same rows of the source: {sql: what stands in the from-clause,
    staged: the table that the rows are copied to first, or none}. DuckDB: the model's transaction is the snapshot. -#}
{% macro source_snapshot(source, built_source) %}
  {% do return(adapter.dispatch('source_snapshot', 'lineage_audit')(source, built_source)) %}
{% endmacro %}

{% macro default__source_snapshot(source, built_source) %}
  {% do return(lineage_audit._unsupported('source_snapshot')) %}
{% endmacro %}

{% macro duckdb__source_snapshot(source, built_source) %}
  {% do return({'sql': source | string, 'staged': none}) %}
{% endmacro %}

{#- A Delta table is read at the version that is current now; anything else is read once, into a table of this run. -#}
{% macro spark__source_snapshot(source, built_source) %}
  {% if not lineage_audit._is_running() %}
    {% do return({'sql': source | string, 'staged': none}) %}
  {% endif %}
  {% if source | string == built_source | string and lineage_audit.has_versions(built_source) %}
    {% set version = run_query('describe history ' ~ built_source ~ ' limit 1').rows[0]['version'] %}
    {% do return({'sql': built_source ~ ' version as of ' ~ version, 'staged': none}) %}
  {% endif %}
  {% set staged = lineage_audit._staged_source() %}
  {% do return({'sql': staged | string, 'staged': staged}) %}
{% endmacro %}

{#- Can the relation be read as it was at a version, whatever is written to it meanwhile? -#}
{% macro has_versions(relation) %}
  {% do return(adapter.dispatch('has_versions', 'lineage_audit')(relation)) %}
{% endmacro %}

{% macro default__has_versions(relation) %}
  {% do return(lineage_audit._unsupported('has_versions')) %}
{% endmacro %}

{% macro duckdb__has_versions(relation) %}
  {% do return(false) %}
{% endmacro %}

{% macro spark__has_versions(relation) %}
  {% set found = load_relation(relation) %}
  {% do return(found.is_delta and found.type != 'view') %}
{% endmacro %}

{#- dbt's cache knows a table that this run built without its format, so it is asked for anew. A table with a row filter or a
    column mask has no versions that can be read. -#}
{% macro databricks__has_versions(relation) %}
  {% set found = adapter.get_relation(
    database=relation.database, schema=relation.schema, identifier=relation.identifier, needs_information=true
  ) %}
  {% if not found or not found.is_delta or found.type == 'view' %}
    {% do return(false) %}
  {% endif %}
  {% if found.is_hive_metastore() %}
    {% do return(true) %}
  {% endif %}
  {% set queries = [] %}
  {% for view in ['row_filters', 'column_masks'] %}
    {% do queries.append(
      'select 1 as found from ' ~ lineage_audit.quote_name(relation.database) ~ '.information_schema.' ~ view
      ~ '\nwhere lower(table_schema) = lower(' ~ lineage_audit.text_literal(relation.schema)
      ~ ')\n  and lower(table_name) = lower(' ~ lineage_audit.text_literal(relation.identifier) ~ ')'
    ) %}
  {% endfor %}
  {% do return(run_query(queries | join('\nunion all\n')).rows | length == 0) %}
{% endmacro %}

{#- A statement that begins the transaction in which a run reads one state of its source; empty where none does. -#}
{% macro begin_snapshot() %}
  {% do return(adapter.dispatch('begin_snapshot', 'lineage_audit')()) %}
{% endmacro %}

{% macro default__begin_snapshot() %}
  {% do return(lineage_audit._unsupported('begin_snapshot')) %}
{% endmacro %}

{% macro duckdb__begin_snapshot() %}
  {% do return('select 1 as transaction_begins') %}
{% endmacro %}

{% macro spark__begin_snapshot() %}
  {% do return('') %}
{% endmacro %}

{#- Ends a transaction that dbt has begun by a look at the catalog, so that what is sent next outlives the model's failure. -#}
{% macro end_transaction() %}
  {% do return(adapter.dispatch('end_transaction', 'lineage_audit')()) %}
{% endmacro %}

{% macro default__end_transaction() %}
  {% do return(lineage_audit._unsupported('end_transaction')) %}
{% endmacro %}

{#- dbt-duckdb begins one where it looks up a schema that it does not build, such as that of a source, or drops a leftover. -#}
{% macro duckdb__end_transaction() %}
  {% do adapter.commit() %}
  {% do return('') %}
{% endmacro %}

{% macro spark__end_transaction() %}
  {% do return('') %}
{% endmacro %}
