{#- The value at a JSON path as text. A payload that cannot be parsed gives NULL, as an absent value does. -#}
{% macro sample_payload_text(path, payload='payload') -%}
  {{- return(adapter.dispatch('sample_payload_text', 'lineage_audit')(path, payload)) -}}
{%- endmacro %}

{% macro default__sample_payload_text(path, payload) -%}
  {{- exceptions.raise_compiler_error(
    "lineage_audit: the sample has no JSON extraction for the adapter '" ~ adapter.type() ~ "'. "
    ~ "It runs on duckdb, spark and databricks."
  ) -}}
{%- endmacro %}

{% macro duckdb__sample_payload_text(path, payload) -%}
  json_extract_string(try_cast({{ payload }} as json), '{{ path }}')
{%- endmacro %}

{% macro spark__sample_payload_text(path, payload) -%}
  get_json_object({{ payload }}, '{{ path }}')
{%- endmacro %}
