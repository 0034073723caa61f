{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=false,
    schema=lineage_audit.settings().schema,
    database=lineage_audit.settings().database
) }}

{{ lineage_audit._lineage_edge_history_sql() }}
