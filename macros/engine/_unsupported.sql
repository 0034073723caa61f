{% macro _unsupported(macro_name) %}
  {% do exceptions.raise_compiler_error(
    "lineage_audit: adapter '" ~ target.type ~ "' has no implementation of " ~ macro_name
    ~ ". Supported are duckdb, spark and databricks; for another adapter add the macro "
    ~ target.type ~ "__" ~ macro_name ~ " and the other macros of the folder macros/engine to your project, and this entry to dbt_project.yml: "
    ~ "dispatch: [{macro_namespace: lineage_audit, search_order: [" ~ project_name ~ ", lineage_audit]}]."
  ) %}
{% endmacro %}
