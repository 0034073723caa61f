{{ config(
    materialized='view',
    schema=lineage_audit.settings().schema,
    database=lineage_audit.settings().database
) }}

{{ lineage_audit._lineage_reconciliation_sql() }}
