{#- An identifier, quoted where the engine would read it otherwise. -#}
{% macro quote_name(name) %}
  {% if modules.re.match('^[a-z_][a-z0-9_]*$', name) and name not in lineage_audit._reserved_words() %}
    {% do return(name) %}
  {% endif %}
  {% do return(adapter.dispatch('quote_name', 'lineage_audit')(name)) %}
{% endmacro %}

{% macro default__quote_name(name) %}
  {% do return(lineage_audit._unsupported('quote_name')) %}
{% endmacro %}

{% macro duckdb__quote_name(name) %}
  {% do return('"' ~ name.replace('"', '""') ~ '"') %}
{% endmacro %}

{% macro spark__quote_name(name) %}
  {% do return('`' ~ name.replace('`', '``') ~ '`') %}
{% endmacro %}

{#- Reserved in DuckDB (duckdb_keywords(), all but unreserved) or in Spark's ANSI mode (SQL reference, "ANSI Compliance"),
    and words that either reads as a function without parentheses. -#}
{% macro _reserved_words() %}
  {% do return([
    'all', 'analyse', 'analyze', 'and', 'anti', 'any', 'array', 'as', 'asc', 'asof', 'asymmetric', 'at', 'authorization',
    'between', 'bigint', 'binary', 'bit', 'boolean', 'both', 'by', 'case', 'cast', 'char', 'character', 'check', 'coalesce',
    'collate', 'collation', 'column', 'columns', 'commit', 'concurrently', 'constraint', 'create', 'cross', 'cube', 'current',
    'current_date', 'current_role', 'current_time', 'current_timestamp', 'current_user', 'database', 'date', 'day', 'dec',
    'decimal', 'default', 'deferrable', 'delete', 'desc', 'describe', 'distinct', 'do', 'drop', 'else', 'end', 'escape',
    'except', 'exists', 'external', 'extract', 'false', 'fetch', 'filter', 'float', 'for', 'foreign', 'freeze', 'from', 'full',
    'function', 'generated', 'glob', 'global', 'grant', 'group', 'grouping', 'having', 'hour', 'ilike', 'in', 'initially',
    'inner', 'inout', 'insert', 'int', 'integer', 'intersect', 'interval', 'into', 'is', 'isnull', 'join', 'lambda',
    'language', 'lateral', 'leading', 'left', 'like', 'limit', 'local', 'localtime', 'localtimestamp', 'map', 'merge', 'minus',
    'minute', 'month', 'national', 'natural', 'nchar', 'no', 'none', 'not', 'notnull', 'null', 'nullif', 'numeric', 'of',
    'offset', 'on', 'only', 'or', 'order', 'out', 'outer', 'over', 'overlaps', 'overlay', 'partition', 'pivot', 'pivot_longer',
    'pivot_wider', 'placing', 'position', 'positional', 'precision', 'primary', 'qualify', 'range', 'real', 'recursive',
    'references', 'returning', 'revoke', 'right', 'rollback', 'rollup', 'row', 'rows', 'second', 'select', 'semi',
    'session_user', 'set', 'setof', 'show', 'similar', 'smallint', 'some', 'sql', 'start', 'string', 'struct', 'substring',
    'summarize', 'symmetric', 'system', 'table', 'tablesample', 'then', 'time', 'timestamp', 'to', 'trailing', 'treat', 'trim',
    'true', 'truncate', 'try_cast', 'type', 'union', 'unique', 'unknown', 'unnest', 'unpivot', 'update', 'user', 'using',
    'value', 'values', 'varchar', 'variadic', 'verbose', 'version', 'view', 'when', 'where', 'window', 'with', 'within',
    'without', 'year', 'zone'
  ]) %}
{% endmacro %}
