{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='customer_id',
    on_schema_change='append_new_columns'
) }}

-- The sample's own seed stands behind the source: depends_on {{ ref('raw_customers') }}
select
  customer_id,
  full_name,
  email,
  trim(upper(email)) as email_normalized,
  country,
  updated_at
from {{ source('crm', 'raw_customers') }}
{% if is_incremental() %}
  where updated_at > (select max(loaded.updated_at) from {{ this }} as loaded)
{% endif %}
