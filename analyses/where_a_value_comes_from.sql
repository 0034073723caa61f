-- An example, of the sample: where each column of order 12345 comes from. The operation `trace` prints the same.
{{ config(enabled=(project_name == 'lineage_audit')) }}
{{ lineage_audit.trace_sql('gold_orders', '12345') }}
