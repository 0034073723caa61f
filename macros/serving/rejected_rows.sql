{#- The quarantine of a gold table that keeps its refused rows: those that are open, with their reasons and messages. -#}
{% macro rejected_rows(source) %}
  {% set written = lineage_audit._written_gold(source) %}
  {% if written is string %}
    {% do return(written) %}
  {% endif %}
  {% if not written.keeps_refused %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: model ' ~ model.name ~ ' asks for the refused rows of ' ~ written.target_relation ~ ", which keeps none: they are in the view quarantine. "
      ~ "Give its mapped_model rejected='keep', or read quarantine."
    ) %}
  {% endif %}
  {% do return(
    'with ' ~ [
      lineage_audit._committed_ctes() | trim, lineage_audit._gold_runs_cte(written) | trim, lineage_audit._kept_cte(written),
      lineage_audit._open_record_ctes(kept='kept') | trim, lineage_audit._quarantine_select() | trim
    ] | join(',\n')
  ) %}
{% endmacro %}

{#- _gold_as_written; a text where there is nothing to read yet: the SQL of a view that waits. -#}
{% macro _written_gold(source) %}
  {% if not execute %}
    {% do return('select 1 as parsed_only') %}
  {% endif %}
  {% set written = lineage_audit._gold_as_written(source) %}
  {% if written is not none %}
    {% do return(written) %}
  {% elif lineage_audit._is_running() %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: model ' ~ model.name ~ ' reads ' ~ source ~ ', of which the audit store knows no successful run. Build it first: dbt run --select +' ~ model.name ~ '.'
    ) %}
  {% endif %}
  {% do return('select\n  1 as not_compiled -- waits for ' ~ source ~ ': build it first\nwhere 1 = 0') %}
{% endmacro %}
