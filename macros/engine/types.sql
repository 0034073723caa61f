{#- Names of the types that the audit store uses, by kind. -#}
{% macro store_types() %}
  {% do return(adapter.dispatch('store_types', 'lineage_audit')()) %}
{% endmacro %}

{% macro default__store_types() %}
  {% do return(lineage_audit._unsupported('store_types')) %}
{% endmacro %}

{% macro duckdb__store_types() %}
  {% do return({'text': 'varchar', 'texts': 'varchar[]', 'timestamp': 'timestamp', 'count': 'bigint', 'position': 'smallint', 'positions': 'smallint[]', 'flag': 'boolean'}) %}
{% endmacro %}

{% macro spark__store_types() %}
  {% do return({'text': 'string', 'texts': 'array<string>', 'timestamp': 'timestamp', 'count': 'bigint', 'position': 'smallint', 'positions': 'array<smallint>', 'flag': 'boolean'}) %}
{% endmacro %}

{#- Is it a type whose values no cast can refuse? -#}
{% macro _is_text_type(type) %}
  {% do return((type | lower | trim) in ['varchar', 'string', 'text']) %}
{% endmacro %}

{#- Two spellings of one type: a cast between them would do nothing. -#}
{% macro _same_type(one, other) %}
  {% if one is none or other is none %}
    {% do return(false) %}
  {% endif %}
  {% set aliases = {'text': 'varchar', 'string': 'varchar', 'int': 'integer', 'bool': 'boolean', 'long': 'bigint', 'datetime': 'timestamp'} %}
  {% set names = [] %}
  {% for type in [one, other] %}
    {% set name = (type | lower) | replace(' ', '') %}
    {% do names.append(aliases.get(name, name)) %}
  {% endfor %}
  {% do return(names[0] == names[1]) %}
{% endmacro %}

{% macro _is_nested_type(type) %}
  {% set name = type | lower | trim %}
  {% do return(name.endswith(']') or name.startswith('struct') or name.startswith('map') or name.startswith('array') or name.startswith('union(')) %}
{% endmacro %}

{#- First word of every scalar type that the engine knows: what a data_type is checked against. -#}
{% macro scalar_types() %}
  {% do return(adapter.dispatch('scalar_types', 'lineage_audit')()) %}
{% endmacro %}

{% macro default__scalar_types() %}
  {% do return(lineage_audit._unsupported('scalar_types')) %}
{% endmacro %}

{#- Source: select distinct type_name from duckdb_types(), and the two-word forms of the SQL standard. -#}
{% macro duckdb__scalar_types() %}
  {% do return([
    'bigint', 'binary', 'bit', 'bitstring', 'blob', 'bool', 'boolean', 'bpchar', 'bytea', 'char', 'character',
    'date', 'datetime', 'dec', 'decimal', 'double', 'enum', 'float', 'float4', 'float8', 'guid', 'hugeint', 'int',
    'int1', 'int128', 'int16', 'int2', 'int32', 'int4', 'int64', 'int8', 'integer', 'integral', 'interval', 'json',
    'logical', 'long', 'numeric', 'nvarchar', 'oid', 'real', 'short', 'signed', 'smallint', 'string', 'text', 'time',
    'timestamp', 'timestamp_ms', 'timestamp_ns', 'timestamp_s', 'timestamp_us', 'timestamptz', 'timetz', 'tinyint',
    'ubigint', 'uhugeint', 'uint128', 'uint16', 'uint32', 'uint64', 'uint8', 'uinteger', 'usmallint', 'utinyint',
    'uuid', 'varbinary', 'varchar', 'varint', 'variant', 'bignum', 'geometry'
  ]) %}
{% endmacro %}

{#- Source: Spark SQL reference, "Data Types". -#}
{% macro spark__scalar_types() %}
  {% do return([
    'bigint', 'binary', 'boolean', 'byte', 'char', 'character', 'date', 'dec', 'decimal', 'double', 'float', 'int',
    'integer', 'interval', 'long', 'numeric', 'real', 'short', 'smallint', 'string', 'time', 'timestamp',
    'timestamp_ltz', 'timestamp_ntz', 'tinyint', 'varchar', 'variant', 'void'
  ]) %}
{% endmacro %}
