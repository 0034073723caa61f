{{ lineage_audit.mapped_model('orders_v2', source=ref('silver_orders')) }}
