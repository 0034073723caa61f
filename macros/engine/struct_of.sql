{#- A struct of named expressions: members are {name, expression}. With an indent, a line per member. -#}
{% macro struct_of(members, indent=none) %}
  {% do return(adapter.dispatch('struct_of', 'lineage_audit')(members, indent)) %}
{% endmacro %}

{% macro default__struct_of(members, indent) %}
  {% do return(lineage_audit._unsupported('struct_of')) %}
{% endmacro %}

{% macro duckdb__struct_of(members, indent) %}
  {% do return('{' ~ lineage_audit._struct_members(members, ': ', indent) ~ '}') %}
{% endmacro %}

{% macro spark__struct_of(members, indent) %}
  {% do return('named_struct(' ~ lineage_audit._struct_members(members, ', ', indent) ~ ')') %}
{% endmacro %}

{% macro _struct_members(members, separator, indent) %}
  {% set parts = [] %}
  {% for member in members %}
    {% do parts.append(lineage_audit.text_literal(member.name) ~ separator ~ member.expression) %}
  {% endfor %}
  {% if indent is none %}
    {% do return(parts | join(', ')) %}
  {% endif %}
  {% do return('\n' ~ indent ~ '  ' ~ parts | join(',\n' ~ indent ~ '  ') ~ '\n' ~ indent) %}
{% endmacro %}
