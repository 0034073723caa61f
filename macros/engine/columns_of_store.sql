{#- {columns: {table: {column: type}} of those present, read_only: can the database be seen to refuse every write?}. One
    statement at most, however many tables there are. -#}
{% macro columns_of_store(tables, present) %}
  {% do return(adapter.dispatch('columns_of_store', 'lineage_audit')(tables, present)) %}
{% endmacro %}

{% macro default__columns_of_store(tables, present) %}
  {% do return(lineage_audit._unsupported('columns_of_store')) %}
{% endmacro %}

{% macro duckdb__columns_of_store(tables, present) %}
  {% set store = lineage_audit._store(tables[0]) %}
  {% set names = [] %}
  {% for table in tables %}
    {% do names.append(lineage_audit.text_literal(table)) %}
  {% endfor %}
  {% set sql %}
select
  lower(table_name) as table_name,
  lower(column_name) as column_name,
  data_type
from duckdb_columns()
where lower(database_name) = lower({{ lineage_audit.text_literal(store.database) }})
  and lower(schema_name) = lower({{ lineage_audit.text_literal(store.schema) }})
  and lower(table_name) in ({{ names | join(', ') }})
union all
select
  null as table_name,
  null as column_name,
  null as data_type
from duckdb_databases()
where lower(database_name) = lower({{ lineage_audit.text_literal(store.database) }})
  and readonly
  {%- endset %}
  {% set seen = {'columns': {}, 'read_only': false} %}
  {% for row in run_query(sql).rows %}
    {% if row[0] is none %}
      {% do seen.update({'read_only': true}) %}
    {% else %}
      {% do seen.columns.setdefault(row[0], {}).update({row[1]: row[2]}) %}
    {% endif %}
  {% endfor %}
  {% do return(seen) %}
{% endmacro %}

{#- The type of a whole row is known without reading one; `describe` would be a statement for each table. -#}
{% macro spark__columns_of_store(tables, present) %}
  {% set seen = {'columns': {}, 'read_only': false} %}
  {% if present %}
    {% set items = [] %}
    {% for table in present %}
      {% do items.append('typeof((select any_value(struct(*)) from ' ~ lineage_audit._store(table) ~ ' where false)) as ' ~ table) %}
    {% endfor %}
    {% set row = run_query('select\n  ' ~ items | join(',\n  ')).rows[0] %}
    {% for table in present %}
      {% do seen.columns.update({table: lineage_audit._fields_of_struct_type(row[loop.index0])}) %}
    {% endfor %}
  {% endif %}
  {% do return(seen) %}
{% endmacro %}

{#- {name: type} of `struct<name:type,…>`. -#}
{% macro _fields_of_struct_type(type) %}
  {% set fields = {} %}
  {% set now = namespace(depth=0, field='') %}
  {% for part in modules.re.findall('[<>(),]|[^<>(),]+', type[7:-1] ~ ',') %}
    {% if part in ['<', '('] %}
      {% set now.depth = now.depth + 1 %}
    {% elif part in ['>', ')'] %}
      {% set now.depth = now.depth - 1 %}
    {% endif %}
    {% if part == ',' and now.depth == 0 %}
      {% set found = modules.re.match('([^:]*):(.*)', now.field) %}
      {% if found %}
        {% do fields.update({found.group(1) | lower: found.group(2)}) %}
      {% endif %}
      {% set now.field = '' %}
    {% else %}
      {% set now.field = now.field ~ part %}
    {% endif %}
  {% endfor %}
  {% do return(fields) %}
{% endmacro %}
