{#- sha256 of a text, lower-case hex. -#}
{% macro sha256_of(expression) %}
  {% do return(adapter.dispatch('sha256_of', 'lineage_audit')(expression)) %}
{% endmacro %}

{% macro default__sha256_of(expression) %}
  {% do return(lineage_audit._unsupported('sha256_of')) %}
{% endmacro %}

{% macro duckdb__sha256_of(expression) %}
  {% do return('sha256(' ~ expression ~ ')') %}
{% endmacro %}

{% macro spark__sha256_of(expression) %}
  {% do return('sha2(' ~ expression ~ ', 256)') %}
{% endmacro %}

{#- The keyed hash of a text that sensitivity `hash` writes: hashed twice under the key, as HMAC does, so that
    no text can be extended and no key be read off. -#}
{% macro keyed_hash_of(expression) %}
  {% set key = lineage_audit.hash_key() %}
  {% set inner = lineage_audit.sha256_of(key ~ " || ':' || " ~ expression) %}
  {% do return(lineage_audit.sha256_of(key ~ " || ':' || " ~ inner)) %}
{% endmacro %}

{#- SQL that gives the hash key at run time; the key itself never stands in SQL. -#}
{% macro hash_key() %}
  {% do return(adapter.dispatch('hash_key', 'lineage_audit')()) %}
{% endmacro %}

{% macro default__hash_key() %}
  {% do return(lineage_audit._unsupported('hash_key')) %}
{% endmacro %}

{% macro duckdb__hash_key() %}
  {% do return("getvariable('lineage_audit_key')") %}
{% endmacro %}

{% macro spark__hash_key() %}
  {% do return("java_method('java.lang.System', 'getenv', 'DBT_ENV_SECRET_LINEAGE_AUDIT_KEY')") %}
{% endmacro %}

{% macro databricks__hash_key() %}
  {% set settings = lineage_audit.settings() %}
  {% do return('secret(' ~ lineage_audit.text_literal(settings.secret_scope) ~ ', ' ~ lineage_audit.text_literal(settings.secret_key) ~ ')') %}
{% endmacro %}

{#- SQL that is true where there is no key to hash with, or an empty one. -#}
{% macro hash_key_is_missing() %}
  {% do return(adapter.dispatch('hash_key_is_missing', 'lineage_audit')()) %}
{% endmacro %}

{% macro default__hash_key_is_missing() %}
  {% do return(lineage_audit._unsupported('hash_key_is_missing')) %}
{% endmacro %}

{% macro duckdb__hash_key_is_missing() %}
  {% do return("coalesce(cast(" ~ lineage_audit.hash_key() ~ " as varchar), '') = ''") %}
{% endmacro %}

{#- java_method gives Java's null as the text null. -#}
{% macro spark__hash_key_is_missing() %}
  {% do return("coalesce(" ~ lineage_audit.hash_key() ~ ", '') in ('', 'null')") %}
{% endmacro %}

{#- secret() of a name that is not there is an error of the engine. -#}
{% macro databricks__hash_key_is_missing() %}
  {% do return("coalesce(try_" ~ lineage_audit.hash_key() ~ ", '') = ''") %}
{% endmacro %}

{#- Where a user sets the key. -#}
{% macro hash_key_remedy() %}
  {% do return(adapter.dispatch('hash_key_remedy', 'lineage_audit')()) %}
{% endmacro %}

{% macro default__hash_key_remedy() %}
  {% do return(lineage_audit._unsupported('hash_key_remedy')) %}
{% endmacro %}

{% macro duckdb__hash_key_remedy() %}
  {% do return(
    'Set the environment variable DBT_ENV_SECRET_LINEAGE_AUDIT_KEY, and hand it on in the settings of the profile: '
    ~ '"VARIABLE lineage_audit_key": "{{ env_var(\'DBT_ENV_SECRET_LINEAGE_AUDIT_KEY\', \'\') }}".'
  ) %}
{% endmacro %}

{% macro spark__hash_key_remedy() %}
  {% do return("Set the environment variable DBT_ENV_SECRET_LINEAGE_AUDIT_KEY for Spark's driver before it starts.") %}
{% endmacro %}

{% macro databricks__hash_key_remedy() %}
  {% set settings = lineage_audit.settings() %}
  {% do return("Put the key into secret scope " ~ settings.secret_scope ~ " under " ~ settings.secret_key ~ ", or name another by the vars lineage_audit_secret_scope and lineage_audit_secret_key.") %}
{% endmacro %}
