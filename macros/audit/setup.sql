{#- Operation: creates what the audit store lacks, and adds the columns that tables of an earlier version lack. Nothing is
    dropped, retyped or rewritten. -#}
{% macro setup() %}
  {% set look = lineage_audit._look_at_store() %}
  {% do lineage_audit._raise_store_problems(look.problems) %}
  {% set done = [] %}
  {% if look.missing %}
    {% do lineage_audit._create_store_tables(look.missing) %}
    {% do done.append('created ' ~ look.missing | join(', ')) %}
  {% endif %}
  {% if look.old %}
    {% set names = [] %}
    {% for table, columns in look.old.items() %}
      {% do run_query(lineage_audit.add_store_columns(lineage_audit._store(table), columns, lineage_audit._store_comments())) %}
      {% for column in columns %}
        {% do names.append(table ~ '.' ~ column) %}
      {% endfor %}
    {% endfor %}
    {#- dbt's own look at the schema began a transaction, which it would roll back. -#}
    {% do adapter.commit() %}
    {% do done.append('added the columns ' ~ names | join(', ')) %}
  {% endif %}
  {% do lineage_audit._share_store(lineage_audit._tables_in_use()) %}
  {% do print('audit store ' ~ lineage_audit._store_name() ~ ': ' ~ (done | join('; ') or 'complete')) %}
{% endmacro %}

{#- The line says what is attempted: where the engine refuses, its own message need not name the tables. -#}
{% macro _create_store_tables(tables) %}
  {% do log(
    'lineage_audit: creates the tables of the audit store in ' ~ lineage_audit._store_name() ~ ': ' ~ tables | join(', ')
    ~ ". If the engine refuses: docs/audit_store.md, 'When the audit store itself fails'.", info=true
  ) %}
  {% set store = lineage_audit._store(tables[0]) %}
  {#- `create schema if not exists` may need the privilege to create one, also where it is there. -#}
  {% if not adapter.check_schema_exists(store.database, store.schema) %}
    {% do adapter.create_schema(store) %}
  {% endif %}
  {% set statements = [] %}
  {% for table in tables %}
    {% do statements.append(lineage_audit.create_store_table(
      lineage_audit._store(table), lineage_audit._store_tables()[table], lineage_audit._asked_for().get(table, []), lineage_audit._store_comments()
    )) %}
  {% endfor %}
  {% do lineage_audit.create_beside_others(statements) %}
  {% for table in tables %}
    {% do adapter.cache_added(lineage_audit._store(table)) %}
  {% endfor %}
{% endmacro %}

{#- The tables have the grants and tags that the project's config gives to the views over them. -#}
{% macro _share_store(tables) %}
  {% set config = (graph.nodes.get('model.lineage_audit.ingestion_run') or {}).get('config', {}) %}
  {% for table in tables %}
    {% do apply_grants(lineage_audit._store(table), config.get('grants'), should_revoke=true) %}
    {% do lineage_audit.tag_store_table(lineage_audit._store(table), config) %}
  {% endfor %}
{% endmacro %}
