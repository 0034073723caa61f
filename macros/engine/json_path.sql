{#- The steps of a JSON path: [{name}, {index}, {each: true}], none where it is no path that leads to one value. Names stand after
    a dot or in brackets, $.order['due.date']["it's"].lines[0]; in quotes a backslash escapes a quote, itself and a slash. -#}
{% macro json_path_steps(path) %}
  {% set quoted = "((?:[^\"\\\\]|\\\\[\"'\\\\/])+)" %}
  {% set step = "\\.([^.\\[\\]\"*?@()\\\\]+)|\\.\"" ~ quoted ~ "\"|\\['((?:[^'\\\\]|\\\\[\"'\\\\/])+)'\\]|\\[\"" ~ quoted ~ "\"\\]|\\[([0-9]{1,9})\\]|\\[(\\*)\\]" %}
  {% if not modules.re.match('\\$(?:' ~ step ~ ')*\\Z', path) %}
    {% do return(none) %}
  {% endif %}
  {% set steps = [] %}
  {% for plain, dotted, single, double, index, each in modules.re.findall(step, path) %}
    {% if each %}
      {% do steps.append({'each': true}) %}
    {% elif index %}
      {% do steps.append({'index': index | int}) %}
    {% else %}
      {% do steps.append({'name': plain or modules.re.sub('\\\\(.)', '\\1', dotted or single or double)}) %}
    {% endif %}
  {% endfor %}
  {% do return(steps) %}
{% endmacro %}

{#- A column that holds JSON as the macros below take it; what is no JSON gives no values. -#}
{% macro json_document(expression) %}
  {% do return(adapter.dispatch('json_document', 'lineage_audit')(expression)) %}
{% endmacro %}

{% macro default__json_document(expression) %}
  {% do return(lineage_audit._unsupported('json_document')) %}
{% endmacro %}

{% macro duckdb__json_document(expression) %}
  {% do return('try_cast(' ~ expression ~ ' as json)') %}
{% endmacro %}

{% macro spark__json_document(expression) %}
  {% do return(expression) %}
{% endmacro %}

{#- The value at the steps as text: a string without its quotes, JSON null as NULL, what is nested as JSON. -#}
{% macro json_text_at(document, steps) %}
  {% do return(adapter.dispatch('json_text_at', 'lineage_audit')(document, steps)) %}
{% endmacro %}

{% macro default__json_text_at(document, steps) %}
  {% do return(lineage_audit._unsupported('json_text_at')) %}
{% endmacro %}

{% macro duckdb__json_text_at(document, steps) %}
  {% do return('json_extract_string(' ~ document ~ ', ' ~ lineage_audit._json_pointer(steps) ~ ')') %}
{% endmacro %}

{#- The path of get_json_object knows no escapes: a name that it can't write is read with a schema. -#}
{% macro spark__json_text_at(document, steps) %}
  {% if not steps %}
    {% do return(document) %}
  {% endif %}
  {% set path = namespace(text='$', is_known=true) %}
  {% for step in steps %}
    {% if 'index' in step %}
      {% set path.text = path.text ~ '[' ~ step.index ~ ']' %}
    {% elif modules.re.match("[^'?*\\s][^'?]*\\Z", step.name) %}
      {% set path.text = path.text ~ "['" ~ step.name ~ "']" %}
    {% elif modules.re.match('[^.\\[*\\s][^.\\[]*\\Z', step.name) %}
      {% set path.text = path.text ~ '.' ~ step.name %}
    {% else %}
      {% set path.is_known = false %}
    {% endif %}
  {% endfor %}
  {% if not path.is_known %}
    {% do return(lineage_audit.json_typed_at(document, steps, 'string')) %}
  {% endif %}
  {% do return('get_json_object(' ~ document ~ ', ' ~ lineage_audit.text_literal(path.text) ~ ')') %}
{% endmacro %}

{#- RFC 6901, as a literal: no character of a name means anything else in it. -#}
{% macro _json_pointer(steps) %}
  {% set parts = [] %}
  {% for step in steps %}
    {% do parts.append('/' ~ (step.index if 'index' in step else step.name.replace('~', '~0').replace('/', '~1'))) %}
  {% endfor %}
  {% do return(lineage_audit.text_literal(parts | join(''))) %}
{% endmacro %}

{#- The value at the steps read as a type from the JSON itself: a number keeps every digit, which text at a path does not. NULL
    where it is none of the type. -#}
{% macro json_typed_at(document, steps, type) %}
  {% do return(adapter.dispatch('json_typed_at', 'lineage_audit')(document, steps, type)) %}
{% endmacro %}

{% macro default__json_typed_at(document, steps, type) %}
  {% do return(lineage_audit._unsupported('json_typed_at')) %}
{% endmacro %}

{% macro duckdb__json_typed_at(document, steps, type) %}
  {% set nest = namespace(type=type) %}
  {% for step in steps | reverse %}
    {% set nest.type = nest.type ~ '[]' if 'index' in step else 'struct(' ~ lineage_audit.duckdb__quote_name(step.name) ~ ' ' ~ nest.type ~ ')' %}
  {% endfor %}
  {% set value = namespace(sql='try_cast(' ~ document ~ ' as ' ~ nest.type ~ ')') %}
  {% for step in steps %}
    {% set value.sql = value.sql ~ '[' ~ (step.index + 1) ~ ']' if 'index' in step else 'struct_extract(' ~ value.sql ~ ', ' ~ lineage_audit.text_literal(step.name) ~ ')' %}
  {% endfor %}
  {% do return(value.sql) %}
{% endmacro %}

{% macro spark__json_typed_at(document, steps, type) %}
  {% if not steps %}
    {% do return(lineage_audit.value_of(document, type)) %}
  {% endif %}
  {% set nest = namespace(type=type) %}
  {% for step in steps | reverse %}
    {% set nest.type = ('array<' if 'index' in step else 'struct<' ~ lineage_audit.spark__quote_name(step.name) ~ ':') ~ nest.type ~ '>' %}
  {% endfor %}
  {% set value = namespace(sql='from_json(' ~ document ~ ', ' ~ lineage_audit.text_literal(nest.type) ~ ')') %}
  {% for step in steps %}
    {% set value.sql = 'get(' ~ value.sql ~ ', ' ~ step.index ~ ')' if 'index' in step else value.sql ~ '.' ~ lineage_audit.spark__quote_name(step.name) %}
  {% endfor %}
  {% do return(value.sql) %}
{% endmacro %}

{#- The number at the steps, with 18 digits after the point; NULL where there is another kind of value, such as a string of digits. -#}
{% macro json_number_at(document, steps) %}
  {% do return(adapter.dispatch('json_number_at', 'lineage_audit')(document, steps)) %}
{% endmacro %}

{% macro default__json_number_at(document, steps) %}
  {% do return(lineage_audit._unsupported('json_number_at')) %}
{% endmacro %}

{% macro duckdb__json_number_at(document, steps) %}
  {% do return(
    'case when json_type(' ~ document ~ ', ' ~ lineage_audit._json_pointer(steps) ~ ") in ('DOUBLE', 'UBIGINT', 'BIGINT') then "
    ~ lineage_audit.json_typed_at(document, steps, 'decimal(38,18)') ~ ' end'
  ) %}
{% endmacro %}

{#- As a double, a string of digits is none. -#}
{% macro spark__json_number_at(document, steps) %}
  {% if not steps %}
    {% do return('cast(null as decimal(38,18))') %}
  {% endif %}
  {% do return(
    'case when ' ~ lineage_audit.json_typed_at(document, steps, 'double') ~ ' is not null then '
    ~ lineage_audit.json_typed_at(document, steps, 'decimal(38,18)') ~ ' end'
  ) %}
{% endmacro %}

{#- The elements of the array at the steps, a list of documents; NULL where there is no array. -#}
{% macro json_elements_at(document, steps) %}
  {% do return(adapter.dispatch('json_elements_at', 'lineage_audit')(document, steps)) %}
{% endmacro %}

{% macro default__json_elements_at(document, steps) %}
  {% do return(lineage_audit._unsupported('json_elements_at')) %}
{% endmacro %}

{% macro duckdb__json_elements_at(document, steps) %}
  {% do return('try_cast(json_extract(' ~ document ~ ', ' ~ lineage_audit._json_pointer(steps) ~ ') as json[])') %}
{% endmacro %}

{% macro spark__json_elements_at(document, steps) %}
  {% do return(
    lineage_audit.json_typed_at(document, steps, 'array<string>') if steps
    else 'from_json(' ~ document ~ ", 'array<string>')"
  ) %}
{% endmacro %}

{#- The value at the steps as a value of the type, whether JSON holds it as it is or as text; NULL where it is none of the type. -#}
{% macro json_value_at(document, steps, type) %}
  {% set text = lineage_audit.json_text_at(document, steps) %}
  {% if lineage_audit._holds_any_text(type) %}
    {% do return(text) %}
  {% elif lineage_audit._is_nested_type(type) %}
    {% do return(lineage_audit.json_typed_at(document, steps, type)) %}
  {% elif modules.re.match('(dec|decimal|numeric)\\b', type | lower | trim) %}
    {% do return('coalesce(' ~ lineage_audit.json_typed_at(document, steps, type) ~ ', try_cast(' ~ text ~ ' as ' ~ type ~ '))') %}
  {% endif %}
  {% do return('try_cast(' ~ text ~ ' as ' ~ type ~ ')') %}
{% endmacro %}

{#- A text of limited length too: it holds what it holds as it is. -#}
{% macro _holds_any_text(type) %}
  {% do return(lineage_audit._is_text_type(type) or modules.re.match('(var)?char\\(', type | lower | trim) is not none) %}
{% endmacro %}
