{#- JSON texts from texts: an object of named texts, an array of texts, and an object from two lists. NULL is JSON null. -#}
{% macro json_object(members) %}
  {% do return(adapter.dispatch('json_object', 'lineage_audit')(members)) %}
{% endmacro %}

{% macro default__json_object(members) %}
  {% do return(lineage_audit._unsupported('json_object')) %}
{% endmacro %}

{% macro duckdb__json_object(members) %}
  {% do return('cast(to_json(' ~ lineage_audit.struct_of(members) ~ ') as varchar)') %}
{% endmacro %}

{% macro spark__json_object(members) %}
  {% do return('to_json(' ~ lineage_audit.struct_of(members) ~ ", map('ignoreNullFields', 'false'))") %}
{% endmacro %}

{% macro json_array(texts) %}
  {% do return(adapter.dispatch('json_array', 'lineage_audit')(texts)) %}
{% endmacro %}

{% macro default__json_array(texts) %}
  {% do return(lineage_audit._unsupported('json_array')) %}
{% endmacro %}

{% macro duckdb__json_array(texts) %}
  {% do return('cast(to_json([' ~ texts | join(', ') ~ ']) as varchar)') %}
{% endmacro %}

{% macro spark__json_array(texts) %}
  {% do return('to_json(array(' ~ texts | join(', ') ~ '))') %}
{% endmacro %}

{% macro json_of_lists(names, texts) %}
  {% do return(adapter.dispatch('json_of_lists', 'lineage_audit')(names, texts)) %}
{% endmacro %}

{% macro default__json_of_lists(names, texts) %}
  {% do return(lineage_audit._unsupported('json_of_lists')) %}
{% endmacro %}

{% macro duckdb__json_of_lists(names, texts) %}
  {% do return('cast(to_json(map(' ~ names ~ ', ' ~ texts ~ ')) as varchar)') %}
{% endmacro %}

{% macro spark__json_of_lists(names, texts) %}
  {% do return('to_json(map_from_arrays(' ~ names ~ ', ' ~ texts ~ '))') %}
{% endmacro %}

{% macro json_array_of_list(list) %}
  {% do return(adapter.dispatch('json_array_of_list', 'lineage_audit')(list)) %}
{% endmacro %}

{% macro default__json_array_of_list(list) %}
  {% do return(lineage_audit._unsupported('json_array_of_list')) %}
{% endmacro %}

{% macro duckdb__json_array_of_list(list) %}
  {% do return('cast(to_json(' ~ list ~ ') as varchar)') %}
{% endmacro %}

{% macro spark__json_array_of_list(list) %}
  {% do return('to_json(' ~ list ~ ')') %}
{% endmacro %}

{#- The names of a JSON object, as a JSON array. -#}
{% macro json_names(expression) %}
  {% do return(adapter.dispatch('json_names', 'lineage_audit')(expression)) %}
{% endmacro %}

{% macro default__json_names(expression) %}
  {% do return(lineage_audit._unsupported('json_names')) %}
{% endmacro %}

{% macro duckdb__json_names(expression) %}
  {% do return(lineage_audit.json_array_of_list('json_keys(' ~ expression ~ ')')) %}
{% endmacro %}

{% macro spark__json_names(expression) %}
  {% do return(lineage_audit.json_array_of_list('json_object_keys(' ~ expression ~ ')')) %}
{% endmacro %}

{#- A row of a relation as one JSON text, whatever its columns are. -#}
{% macro json_of_row(alias) %}
  {% do return(adapter.dispatch('json_of_row', 'lineage_audit')(alias)) %}
{% endmacro %}

{% macro default__json_of_row(alias) %}
  {% do return(lineage_audit._unsupported('json_of_row')) %}
{% endmacro %}

{% macro duckdb__json_of_row(alias) %}
  {% do return('cast(to_json(' ~ alias ~ ') as varchar)') %}
{% endmacro %}

{% macro spark__json_of_row(alias) %}
  {% do return('to_json(struct(' ~ alias ~ ".*), map('ignoreNullFields', 'false'))") %}
{% endmacro %}

{#- The rows of a group as a JSON array of objects, NULLs among them. -#}
{% macro json_array_of_rows(alias) %}
  {% do return(adapter.dispatch('json_array_of_rows', 'lineage_audit')(alias)) %}
{% endmacro %}

{% macro default__json_array_of_rows(alias) %}
  {% do return(lineage_audit._unsupported('json_array_of_rows')) %}
{% endmacro %}

{% macro duckdb__json_array_of_rows(alias) %}
  {% do return('cast(to_json(list(' ~ alias ~ ')) as varchar)') %}
{% endmacro %}

{% macro spark__json_array_of_rows(alias) %}
  {% do return('to_json(collect_list(struct(' ~ alias ~ ".*)), map('ignoreNullFields', 'false'))") %}
{% endmacro %}

{#- The text that a JSON object of texts holds under a name; NULL where that is null or missing. -#}
{% macro member_of_json(expression, name) %}
  {% do return(adapter.dispatch('member_of_json', 'lineage_audit')(expression, name)) %}
{% endmacro %}

{% macro default__member_of_json(expression, name) %}
  {% do return(lineage_audit._unsupported('member_of_json')) %}
{% endmacro %}

{% macro duckdb__member_of_json(expression, name) %}
  {% do return(lineage_audit.duckdb__json_text_at(expression, [{'name': name}])) %}
{% endmacro %}

{% macro spark__member_of_json(expression, name) %}
  {% do return('try_element_at(from_json(' ~ expression ~ ", 'map<string,string>'), " ~ lineage_audit.text_literal(name) ~ ')') %}
{% endmacro %}
