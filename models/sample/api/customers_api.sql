{{ lineage_audit.serving_view(ref('gold_customers')) }}
