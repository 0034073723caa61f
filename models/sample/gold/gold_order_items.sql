{{ config(materialized='incremental', incremental_strategy='merge', unique_key=['order_id', 'line_number']) }}
{{ lineage_audit.mapped_model(
  'order_items_v1', source=ref('silver_order_items'), watermark='loaded_at', latest_by='loaded_at'
) }}
