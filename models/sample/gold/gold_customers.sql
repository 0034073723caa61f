{{ lineage_audit.mapped_model('customers_v1', source=ref('silver_customers'), latest_by='loaded_at') }}
