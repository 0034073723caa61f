{#- A value as lossless text that no time zone changes; NULL stays NULL. -#}
{% macro text_of(expression, type) %}
  {#- A nested type names fields: their case is part of the text. -#}
  {% set name = type | trim if lineage_audit._is_nested_type(type) else type | lower | trim %}
  {% do return(adapter.dispatch('text_of', 'lineage_audit')(expression, name)) %}
{% endmacro %}

{% macro default__text_of(expression, type) %}
  {% do return(lineage_audit._unsupported('text_of')) %}
{% endmacro %}

{% macro duckdb__text_of(expression, type) %}
  {% if lineage_audit._is_text_type(type) %}
    {% do return(expression) %}
  {% elif lineage_audit._is_nested_type(type) %}
    {% do return(lineage_audit._duckdb_json(expression, type, 1)) %}
  {% elif type == 'timestamp_ns' %}
    {% do return("strftime(" ~ expression ~ ", '%Y-%m-%dT%H:%M:%S.%n')") %}
  {% elif type in ['timestamptz', 'timestamp with time zone'] %}
    {% do return("strftime(" ~ expression ~ " at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%f')") %}
  {% elif type.startswith('timestamp') or type == 'datetime' %}
    {% do return("strftime(" ~ expression ~ ", '%Y-%m-%dT%H:%M:%S.%f')") %}
  {% elif type in ['blob', 'bytea', 'binary', 'varbinary'] %}
    {% do return('to_base64(' ~ expression ~ ')') %}
  {% endif %}
  {% do return('cast(' ~ expression ~ ' as varchar)') %}
{% endmacro %}

{#- DuckDB's own to_json drops the scale of decimals, writes NaN bare and timestamps in the session's zone,
    so nested values are written out by their type. -#}
{% macro _duckdb_json(expression, type, depth) %}
  {% set parsed = lineage_audit._parse_duckdb_type(type) %}
  {% if parsed.kind == 'list' %}
    {% set element = 'e' ~ depth %}
    {% set json = lineage_audit._duckdb_json(element, parsed.element, depth + 1) %}
    {% do return(
      "case when " ~ expression ~ " is not null then '[' || coalesce(array_to_string(list_transform(" ~ expression
      ~ ", lambda " ~ element ~ ": coalesce(" ~ json ~ ", 'null')), ','), '') || ']' end"
    ) %}
  {% elif parsed.kind == 'struct' %}
    {% set members = [] %}
    {% for field in parsed.fields %}
      {% set json = lineage_audit._duckdb_json('(' ~ expression ~ ').' ~ lineage_audit.duckdb__quote_name(field.name), field.type, depth) %}
      {% do members.append(lineage_audit.text_literal(tojson(field.name) ~ ':') ~ " || coalesce(" ~ json ~ ", 'null')") %}
    {% endfor %}
    {% do return("case when " ~ expression ~ " is not null then '{' || " ~ members | join(" || ',' || ") ~ " || '}' end") %}
  {% elif parsed.kind == 'map' %}
    {% set entry = 'e' ~ depth %}
    {% set key = 'to_json(' ~ lineage_audit.duckdb__text_of(entry ~ '.key', parsed.key) ~ ')::varchar' %}
    {% set json = lineage_audit._duckdb_json(entry ~ '.value', parsed.value, depth + 1) %}
    {% do return(
      "case when " ~ expression ~ " is not null then '{' || coalesce(array_to_string(list_transform(map_entries(" ~ expression
      ~ "), lambda " ~ entry ~ ": " ~ key ~ " || ':' || coalesce(" ~ json ~ ", 'null')), ','), '') || '}' end"
    ) %}
  {% endif %}
  {% set name = parsed.name.split('(')[0] | trim %}
  {% if name == 'json' %}
    {% do return('cast(' ~ expression ~ ' as varchar)') %}
  {% elif name == 'union' %}
    {% do return('cast(to_json(' ~ expression ~ ') as varchar)') %}
  {% elif name in ['float', 'double', 'real', 'float4', 'float8'] %}
    {% do return("case when isfinite(" ~ expression ~ ") then cast(" ~ expression ~ " as varchar) else '\"' || cast(" ~ expression ~ " as varchar) || '\"' end") %}
  {% elif name in ['boolean', 'bool', 'decimal', 'numeric', 'tinyint', 'smallint', 'integer', 'int', 'bigint', 'hugeint',
                   'utinyint', 'usmallint', 'uinteger', 'ubigint', 'uhugeint'] %}
    {% do return('cast(' ~ expression ~ ' as varchar)') %}
  {% endif %}
  {% do return('to_json(' ~ lineage_audit.duckdb__text_of(expression, parsed.name) ~ ')::varchar') %}
{% endmacro %}

{#- Takes one level off the text of a DuckDB type, as typeof() prints it. -#}
{% macro _parse_duckdb_type(type) %}
  {% set text = type | trim %}
  {% if text.endswith(']') %}
    {% do return({'kind': 'list', 'element': text[:text.rfind('[')]}) %}
  {% endif %}
  {% set is_struct = (text | lower).startswith('struct(') %}
  {% if not is_struct and not (text | lower).startswith('map(') %}
    {% do return({'kind': 'scalar', 'name': text | lower}) %}
  {% endif %}
  {% set state = {'depth': 0, 'quote': none, 'part': ''} %}
  {% set parts = [] %}
  {% for character in text[text.find('(') + 1:-1] %}
    {% if state.quote %}
      {% do state.update({'quote': none if character == state.quote else state.quote}) %}
    {% elif character in ['"', "'"] %}
      {% do state.update({'quote': character}) %}
    {% elif character in '([' %}
      {% do state.update({'depth': state.depth + 1}) %}
    {% elif character in ')]' %}
      {% do state.update({'depth': state.depth - 1}) %}
    {% endif %}
    {% if character == ',' and not state.quote and state.depth == 0 %}
      {% do parts.append(state.part | trim) %}
      {% do state.update({'part': ''}) %}
    {% else %}
      {% do state.update({'part': state.part ~ character}) %}
    {% endif %}
  {% endfor %}
  {% do parts.append(state.part | trim) %}
  {% if not is_struct %}
    {% do return({'kind': 'map', 'key': parts[0], 'value': parts[1]}) %}
  {% endif %}
  {% set fields = [] %}
  {% for part in parts %}
    {% set found = modules.re.match('^("(?:[^"]|"")*"|[^ ]+) +(.*)$', part, modules.re.DOTALL) %}
    {% set name = found.group(1) %}
    {% if name.startswith('"') %}
      {% set name = name[1:-1].replace('""', '"') %}
    {% endif %}
    {% do fields.append({'name': name, 'type': found.group(2)}) %}
  {% endfor %}
  {% do return({'kind': 'struct', 'fields': fields}) %}
{% endmacro %}

{#- A TIMESTAMP is an instant: it is counted from 1970 in UTC, since every conversion by way of the session's zone
    loses the hour that a zone repeats in autumn. -#}
{% macro spark__text_of(expression, type) %}
  {% if lineage_audit._is_text_type(type) or type.startswith('varchar') or type.startswith('char') %}
    {% do return(expression) %}
  {% elif lineage_audit._is_nested_type(type) or type == 'variant' %}
    {% do return(
      "to_json(" ~ expression ~ ", map('ignoreNullFields', 'false', 'timeZone', 'UTC'"
      ~ ", 'timestampFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS\", 'timestampNTZFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS\"))"
    ) %}
  {% elif type in ['timestamp', 'timestamp_ltz'] %}
    {% do return(lineage_audit._spark_timestamp_text(
      "timestamp_ntz '1970-01-01 00:00:00' + make_dt_interval(0, 0, 0, cast(unix_micros(" ~ expression ~ ") * 0.000001 as decimal(18, 6)))"
    )) %}
  {% elif type == 'timestamp_ntz' %}
    {% do return(lineage_audit._spark_timestamp_text(expression)) %}
  {% elif type == 'binary' %}
    {% do return('base64(' ~ expression ~ ')') %}
  {% endif %}
  {#- Outside of ANSI mode a cast writes small decimals of more than six digits after the point with an exponent, 0E-7. -#}
  {% set scale = modules.re.search('^(?:dec|decimal|numeric)\\(.*, *([0-9]+) *\\)$', type) %}
  {% if scale and scale.group(1) | int > 6 %}
    {% do return('replace(format_number(' ~ expression ~ ', ' ~ scale.group(1) ~ "), ',', '')") %}
  {% endif %}
  {% do return('cast(' ~ expression ~ ' as string)') %}
{% endmacro %}

{#- A cast to text leaves trailing zeros of the second out. date_format would read the value in the session's zone. -#}
{% macro _spark_timestamp_text(expression) %}
  {% set text = 'cast(' ~ expression ~ ' as string)' %}
  {% do return("rpad(replace(" ~ text ~ ", ' ', 'T') || if(" ~ text ~ " like '%.%', '', '.'), 26, '0')") %}
{% endmacro %}

{#- text_of where the type may be unknown (none): an expression without a data_type. -#}
{% macro text_of_value(expression, type) %}
  {% if type is not none %}
    {% do return(lineage_audit.text_of(expression, type)) %}
  {% endif %}
  {% do return(adapter.dispatch('text_of_unknown', 'lineage_audit')(expression)) %}
{% endmacro %}

{% macro default__text_of_unknown(expression) %}
  {% do return(lineage_audit._unsupported('text_of_unknown')) %}
{% endmacro %}

{% macro duckdb__text_of_unknown(expression) %}
  {% set text = 'cast(' ~ expression ~ ' as varchar)' %}
  {% do return(
    "case typeof(" ~ expression ~ ") when 'TIMESTAMP' then " ~ lineage_audit.duckdb__text_of('try_cast(' ~ text ~ ' as timestamp)', 'timestamp')
    ~ " when 'TIMESTAMP WITH TIME ZONE' then " ~ lineage_audit.duckdb__text_of('try_cast(' ~ text ~ ' as timestamptz)', 'timestamptz')
    ~ " else " ~ text ~ " end"
  ) %}
{% endmacro %}

{% macro spark__text_of_unknown(expression) %}
  {% set text = 'cast(' ~ expression ~ ' as string)' %}
  {% do return(
    "case typeof(" ~ expression ~ ") when 'timestamp' then " ~ lineage_audit.spark__text_of('try_cast(' ~ text ~ ' as timestamp)', 'timestamp')
    ~ " when 'timestamp_ntz' then " ~ lineage_audit._spark_timestamp_text('try_cast(' ~ text ~ ' as timestamp_ntz)')
    ~ " else " ~ text ~ " end"
  ) %}
{% endmacro %}
