{{ config(materialized='view', schema=lineage_audit.settings().schema, database=lineage_audit.settings().database) }}
{%- do lineage_audit._stays_a_view() %}

with {{ lineage_audit._committed_ctes() }},
{{ lineage_audit._open_record_ctes() }},
{{ lineage_audit._quarantine_select() }}
