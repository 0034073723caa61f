{#- The rows of a mapped model without its lineage columns, for the API. -#}
{% macro serving_view(source) %}
  {% do return('select ' ~ lineage_audit.all_columns_except([
    '_lineage_run_id', '_lineage_invocation_id', '_lineage_warnings', '_lineage_source_values'
  ]) ~ '\nfrom ' ~ source) %}
{% endmacro %}
