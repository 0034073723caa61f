{{ lineage_audit.serving_view(ref('gold_order_items')) }}
