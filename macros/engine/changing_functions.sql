{#- Functions that give another value tomorrow, or to another user, over the same arguments. -#}
{% macro changing_functions() %}
  {% do return(adapter.dispatch('changing_functions', 'lineage_audit')()) %}
{% endmacro %}

{% macro default__changing_functions() %}
  {% do return(lineage_audit._unsupported('changing_functions')) %}
{% endmacro %}

{#- Source: duckdb_functions() where stability is VOLATILE or CONSISTENT_WITHIN_QUERY, and the macros over them. -#}
{% macro duckdb__changing_functions() %}
  {% do return([
    'age', 'current_catalog', 'current_connection_id', 'current_database', 'current_date', 'current_localtime', 'current_localtimestamp', 'current_query',
    'current_query_id', 'current_role', 'current_schema', 'current_schemas', 'current_setting', 'current_time', 'current_timestamp',
    'current_transaction_id', 'current_user', 'currval', 'gen_random_uuid', 'get_current_time', 'get_current_timestamp', 'getenv', 'getvariable',
    'in_search_path', 'localtime', 'localtimestamp', 'nextval', 'now', 'random', 'session_user', 'setseed', 'setval', 'today',
    'transaction_timestamp', 'txid_current', 'user', 'uuid', 'uuidv4', 'uuidv7'
  ]) %}
{% endmacro %}

{#- Source: Spark SQL reference, "Built-in Functions", those marked non-deterministic, and those of session and clock. -#}
{% macro spark__changing_functions() %}
  {% do return([
    'curdate', 'current_catalog', 'current_database', 'current_date', 'current_metastore', 'current_schema', 'current_time', 'current_timestamp',
    'current_timezone', 'current_user', 'input_file_block_length', 'input_file_block_start', 'input_file_name', 'is_account_group_member', 'is_member',
    'java_method', 'localtimestamp', 'monotonically_increasing_id', 'now', 'rand', 'randn', 'random', 'randstr', 'reflect', 'secret', 'session_user',
    'shuffle', 'spark_partition_id', 'uniform', 'unix_timestamp', 'user', 'uuid', 'version'
  ]) %}
{% endmacro %}
