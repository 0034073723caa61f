{#- The inverse of text_of: a value of that type from its text, NULL where the text is none of the type. -#}
{% macro value_of(text, type) %}
  {% set name = type | trim if lineage_audit._is_nested_type(type) else type | lower | trim %}
  {% do return(adapter.dispatch('value_of', 'lineage_audit')(text, name)) %}
{% endmacro %}

{% macro default__value_of(text, type) %}
  {% do return(lineage_audit._unsupported('value_of')) %}
{% endmacro %}

{% macro duckdb__value_of(text, type) %}
  {% if lineage_audit._is_text_type(type) %}
    {% do return(text) %}
  {% elif lineage_audit._is_nested_type(type) %}
    {% do return('try_cast(try_cast(' ~ text ~ ' as json) as ' ~ type ~ ')') %}
  {% elif type in ['timestamptz', 'timestamp with time zone'] %}
    {% do return('try_cast(' ~ text ~ " || '+00' as timestamptz)") %}
  {% elif type in ['blob', 'bytea', 'binary', 'varbinary'] %}
    {% do return('from_base64(' ~ text ~ ')') %}
  {% endif %}
  {% do return('try_cast(' ~ text ~ ' as ' ~ type ~ ')') %}
{% endmacro %}

{% macro spark__value_of(text, type) %}
  {% if lineage_audit._is_text_type(type) or type.startswith('varchar') or type.startswith('char') %}
    {% do return(text) %}
  {% elif lineage_audit._is_nested_type(type) %}
    {% do return(
      'from_json(' ~ text ~ ', ' ~ lineage_audit.text_literal(type) ~ ", map('timeZone', 'UTC'"
      ~ ", 'timestampFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS\", 'timestampNTZFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS\"))"
    ) %}
  {% elif type in ['timestamp', 'timestamp_ltz'] %}
    {% do return('try_cast(' ~ text ~ " || 'Z' as timestamp)") %}
  {% elif type == 'binary' %}
    {% do return('unbase64(' ~ text ~ ')') %}
  {% endif %}
  {% do return('try_cast(' ~ text ~ ' as ' ~ type ~ ')') %}
{% endmacro %}

{#- Types whose text value_of can't read back as it was. -#}
{% macro is_readable_type(type) %}
  {% do return(adapter.dispatch('is_readable_type', 'lineage_audit')(type)) %}
{% endmacro %}

{% macro default__is_readable_type(type) %}
  {% do return(lineage_audit._unsupported('is_readable_type')) %}
{% endmacro %}

{#- Within JSON an instant has lost its zone, bytes are base64, and JSON has lost its blanks. -#}
{% macro duckdb__is_readable_type(type) %}
  {% if not lineage_audit._is_nested_type(type) %}
    {% do return((type | lower).split('(')[0] | trim not in ['variant', 'geometry', 'bit', 'bitstring']) %}
  {% endif %}
  {% do return(not modules.re.search('(?i)\\b(with time zone|timestamptz|blob|json|union|interval|bit|variant|geometry)\\b', type)) %}
{% endmacro %}

{#- A schema in from_json knows plain names alone. -#}
{% macro spark__is_readable_type(type) %}
  {% if not lineage_audit._is_nested_type(type) %}
    {% do return((type | lower).split(' ')[0] not in ['variant', 'interval', 'void']) %}
  {% endif %}
  {% do return(modules.re.search('^[A-Za-z0-9_<>:,()]+$', type) is not none and not modules.re.search('(?i)\\b(binary|variant|interval|void)\\b', type)) %}
{% endmacro %}
