{{ config(schema=lineage_audit.settings().schema, database=lineage_audit.settings().database) }}

{{ lineage_audit._recorded_lineage_sql() }}
