{#- The one place where a text from config, data or dbt becomes SQL. -#}
{% macro text_literal(value) %}
  {% if value is none %}
    {% do return('null') %}
  {% endif %}
  {% do return(adapter.dispatch('text_literal', 'lineage_audit')(value)) %}
{% endmacro %}

{% macro default__text_literal(value) %}
  {% do return(lineage_audit._unsupported('text_literal')) %}
{% endmacro %}

{% macro duckdb__text_literal(value) %}
  {% do return("'" ~ (value | string).replace("'", "''") ~ "'") %}
{% endmacro %}

{#- Spark expands ${…} in any statement before it parses it, literals included. -#}
{% macro spark__text_literal(value) %}
  {% set escaped = (value | string).replace('\\', '\\\\').replace("'", "\\'").replace('${', '\\u0024{') %}
  {% do return("'" ~ escaped ~ "'") %}
{% endmacro %}
