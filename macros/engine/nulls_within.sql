{#- How many NULLs a nested value holds at any depth, counted in its JSON text with all strings emptied. A text that is to
    become a nested value, `[1, null]`, is counted as it stands. -#}
{% macro nulls_within(expression, is_text=false) %}
  {% do return(adapter.dispatch('nulls_within', 'lineage_audit')(expression, is_text)) %}
{% endmacro %}

{% macro default__nulls_within(expression, is_text) %}
  {% do return(lineage_audit._unsupported('nulls_within')) %}
{% endmacro %}

{% macro duckdb__nulls_within(expression, is_text) %}
  {% set json = 'lower(' ~ expression ~ ')' if is_text else 'cast(to_json(' ~ expression ~ ') as varchar)' %}
  {% do return("len(regexp_extract_all(regexp_replace(" ~ json ~ ", '\"(?:[^\"\\\\]|\\\\.)*\"', '\"\"', 'g'), 'null'))") %}
{% endmacro %}

{#- Spark casts no text to a nested type. -#}
{% macro spark__nulls_within(expression, is_text) %}
  {% do return("size(regexp_extract_all(regexp_replace(to_json(" ~ expression ~ ", map('ignoreNullFields', 'false')), '\"(?:[^\"\\\\\\\\]|\\\\\\\\.)*\"', '\"\"'), 'null', 0))") %}
{% endmacro %}
