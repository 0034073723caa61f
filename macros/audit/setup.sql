{#- Operation: creates what the audit store lacks. The first run does the same; run it by hand where jobs that would
    make a first run all start at once. -#}
{% macro setup() %}
  {% set created = lineage_audit._create_missing_tables() %}
  {% do print('audit store ' ~ lineage_audit._store('run_event').without_identifier() ~ ': ' ~ ('created ' ~ created | join(', ') if created else 'complete')) %}
{% endmacro %}

{#- DDL is sent only where a look (dbt's own cache of relations) shows a table missing. -#}
{% macro _create_missing_tables() %}
  {% set created = [] %}
  {% for table, columns in lineage_audit._store_tables().items() %}
    {% set relation = lineage_audit._store(table) %}
    {% if adapter.get_relation(database=relation.database, schema=relation.schema, identifier=relation.identifier) is none %}
      {% if not created %}
        {% do adapter.create_schema(relation) %}
      {% endif %}
      {% do run_query(lineage_audit.create_store_table(relation, columns)) %}
      {% do adapter.cache_added(relation) %}
      {% do created.append(table) %}
    {% endif %}
  {% endfor %}
  {% do return(created) %}
{% endmacro %}
