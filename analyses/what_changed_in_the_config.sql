-- An example, of the sample: the config of the last run beside the last other one.
{{ config(enabled=(project_name == 'lineage_audit')) }}
{{ lineage_audit.config_diff_sql('gold_order_items') }}
