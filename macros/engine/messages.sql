{#- An aggregate that makes a map of the rows' keys and values. -#}
{% macro map_of_rows(key, value) %}
  {% do return(adapter.dispatch('map_of_rows', 'lineage_audit')(key, value)) %}
{% endmacro %}

{% macro default__map_of_rows(key, value) %}
  {% do return(lineage_audit._unsupported('map_of_rows')) %}
{% endmacro %}

{% macro duckdb__map_of_rows(key, value) %}
  {% do return('map(list(' ~ key ~ ' order by ' ~ key ~ '), list(' ~ value ~ ' order by ' ~ key ~ '))') %}
{% endmacro %}

{% macro spark__map_of_rows(key, value) %}
  {% do return('map_from_entries(collect_list(struct(' ~ key ~ ', ' ~ value ~ ')))') %}
{% endmacro %}

{#- The sentence for each reason of a list: a rule's message; the package's own for cast: and not_null:. -#}
{% macro messages_of(reasons, message_of_rule) %}
  {% do return(adapter.dispatch('messages_of', 'lineage_audit')(reasons, message_of_rule)) %}
{% endmacro %}

{% macro default__messages_of(reasons, message_of_rule) %}
  {% do return(lineage_audit._unsupported('messages_of')) %}
{% endmacro %}

{% macro duckdb__messages_of(reasons, message_of_rule) %}
  {% do return('list_transform(' ~ reasons ~ ', lambda reason: ' ~ lineage_audit._message_of_reason(message_of_rule ~ '[reason]') ~ ')') %}
{% endmacro %}

{% macro spark__messages_of(reasons, message_of_rule) %}
  {% do return('transform(' ~ reasons ~ ', reason -> ' ~ lineage_audit._message_of_reason('try_element_at(' ~ message_of_rule ~ ', reason)') ~ ')') %}
{% endmacro %}

{% macro _message_of_reason(rule_message) -%}
  case
    when reason like 'cast:%' then 'The value of ' || substr(reason, 6) || ' cannot be read as its data type.'
    when reason like 'not_null:%' then substr(reason, 10) || ' is empty and must not be.'
    when reason = 'duplicate_key' then 'A later version of the same key was taken.'
    else coalesce({{ rule_message }}, '')
  end
{%- endmacro %}
