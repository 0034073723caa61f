-- An example, of the sample: a line of an order for no piece.
{{ config(enabled=(project_name == 'lineage_audit')) }}
{{ lineage_audit.refused_record_sql('gold_order_items', ['12351', '11']) }}
