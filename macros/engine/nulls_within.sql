{#- How many NULLs a nested value holds at any depth, counted in its JSON text with all strings emptied. -#}
{% macro nulls_within(expression) %}
  {% do return(adapter.dispatch('nulls_within', 'lineage_audit')(expression)) %}
{% endmacro %}

{% macro default__nulls_within(expression) %}
  {% do return(lineage_audit._unsupported('nulls_within')) %}
{% endmacro %}

{% macro duckdb__nulls_within(expression) %}
  {% do return("len(regexp_extract_all(regexp_replace(cast(to_json(" ~ expression ~ ") as varchar), '\"(?:[^\"\\\\]|\\\\.)*\"', '\"\"', 'g'), 'null'))") %}
{% endmacro %}

{% macro spark__nulls_within(expression) %}
  {% do return("size(regexp_extract_all(regexp_replace(to_json(" ~ expression ~ ", map('ignoreNullFields', 'false')), '\"(?:[^\"\\\\\\\\]|\\\\\\\\.)*\"', '\"\"'), 'null', 0))") %}
{% endmacro %}
