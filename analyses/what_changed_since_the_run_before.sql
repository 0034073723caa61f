-- An example, of the sample: the records and cells that the last run of the table changed.
{{ config(enabled=(project_name == 'lineage_audit')) }}
{{ lineage_audit.compare_runs_sql('gold_order_items') }}
