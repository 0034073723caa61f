{#-
  dbt-spark binds seed values as Python prints them: NULL arrives as the text None, and a quote inside a text ends it.
  dbt-duckdb lets the engine guess what the file quotes with: where no cell needs double quotes, `'USD'` arrives as USD.
  Here every value is a literal of its column's type. A project whose seeds go through these adapters sends dbt here:
  dispatch: [{macro_namespace: dbt, search_order: [<the project>, lineage_audit, dbt]}].
-#}
{% macro spark__load_csv_rows(model, agate_table) %}
  {% do return(lineage_audit._load_rows_as_literals(model, agate_table)) %}
{% endmacro %}

{#- Only the config tables hold SQL; other seeds keep the adapter's own loader, which is made for large files. -#}
{% macro duckdb__load_csv_rows(model, agate_table) %}
  {% if model.name in lineage_audit._config_columns() %}
    {% do return(lineage_audit._load_rows_as_literals(model, agate_table)) %}
  {% endif %}
  {% do return(dbt.duckdb__load_csv_rows(model, agate_table)) %}
{% endmacro %}

{% macro _load_rows_as_literals(model, agate_table) %}
  {#- An insert is one statement text. What the driver has to parse at once stays about a megabyte, whatever the rows hold. -#}
  {% set max_characters = 1000000 %}
  {% set types = lineage_audit._seed_types(model, agate_table) %}
  {% set rows = [] %}
  {% for row in agate_table.rows %}
    {% do rows.append(lineage_audit._seed_row(row, types)) %}
  {% endfor %}

  {% set statements = [] %}
  {% for batch in lineage_audit._batches(rows, get_batch_size(), max_characters) %}
    {% set sql = 'insert into ' ~ this.render() ~ ' values\n  ' ~ batch | join(',\n  ') %}
    {% do adapter.add_query(sql, abridge_sql_log=True) %}
    {% do statements.append(sql) %}
  {% endfor %}

  {#- dbt writes what is returned into target/run; the first batch shows the form. -#}
  {% do return(statements[0]) %}
{% endmacro %}

{#- dbt searches this package before its own macros: dbt-databricks, which would find the one above, keeps its own. -#}
{% macro databricks__load_csv_rows(model, agate_table) %}
  {% do return(dbt.databricks__load_csv_rows(model, agate_table)) %}
{% endmacro %}

{#- The types that the table was made with: column_types, else what the adapter makes of agate's guess. -#}
{% macro _seed_types(model, agate_table) %}
  {% set column_types = model['config'].get('column_types', {}) %}
  {% set types = [] %}
  {% for name in agate_table.column_names %}
    {% do types.append(column_types.get(name, adapter.convert_type(agate_table, loop.index0))) %}
  {% endfor %}
  {% do return(types) %}
{% endmacro %}

{% macro _seed_row(row, types) %}
  {% set values = [] %}
  {% for type in types %}
    {% do values.append(lineage_audit._seed_value(row[loop.index0], type)) %}
  {% endfor %}
  {% do return('(' ~ values | join(', ') ~ ')') %}
{% endmacro %}

{#- A text as the type reads it loses nothing on the way; only a number like 1E+2 is no text that an integer type reads. -#}
{% macro _seed_value(value, type) %}
  {% if value is none %}
    {% do return('cast(null as ' ~ type ~ ')') %}
  {% elif value is string and lineage_audit._is_text_type(type) %}
    {% do return(lineage_audit.text_literal(value)) %}
  {% elif value is number and value is not boolean %}
    {% do return('cast(' ~ value ~ ' as ' ~ type ~ ')') %}
  {% else %}
    {% do return('cast(' ~ lineage_audit.text_literal(value) ~ ' as ' ~ type ~ ')') %}
  {% endif %}
{% endmacro %}

{#- Lists of consecutive texts, each of at most that many texts and characters; a longer text stands alone. -#}
{% macro _batches(texts, max_count, max_characters) %}
  {% set batches = [] %}
  {% set state = namespace(batch=[], characters=0) %}
  {% for text in texts %}
    {% set characters = text | length %}
    {% if state.batch and (state.batch | length == max_count or state.characters + characters > max_characters) %}
      {% do batches.append(state.batch) %}
      {% set state.batch = [] %}
      {% set state.characters = 0 %}
    {% endif %}
    {% do state.batch.append(text) %}
    {% set state.characters = state.characters + characters %}
  {% endfor %}
  {% if state.batch %}
    {% do batches.append(state.batch) %}
  {% endif %}
  {% do return(batches) %}
{% endmacro %}
