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
  {% set relation = load_relation(built_source) %}
  {% if relation.is_delta and relation.type != 'view' and source | string == built_source | string %}
    {% set version = run_query('describe history ' ~ built_source ~ ' limit 1').rows[0]['version'] %}
    {% do return({'sql': built_source ~ ' version as of ' ~ version, 'staged': none}) %}
  {% endif %}
  {% set staged = lineage_audit._staged_source() %}
  {% do return({'sql': staged | string, 'staged': staged}) %}
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
