-- Contacts that changed are here in every version: gold_customers takes the newest (latest_by).
select
  {{ lineage_audit.sample_payload_text('$.Id') }} as customer_id,
  {{ lineage_audit.sample_payload_text('$.RecordType') }} as record_type,
  {{ lineage_audit.sample_payload_text('$.Name') }} as full_name,
  {{ lineage_audit.sample_payload_text('$.Email') }} as email,
  {{ lineage_audit.sample_payload_text('$.Phone') }} as phone,
  {{ lineage_audit.sample_payload_text('$.MailingCountry') }} as country_code,
  {{ lineage_audit.sample_payload_text('$.SignupDate__c') }} as signed_up_on,
  coalesce({{ lineage_audit.sample_payload_text('$.IsDeleted') }} = 'true', false) as is_deleted,
  {{ lineage_audit.sample_payload_text('$.LastModifiedDate') }} as modified_at,
  loaded_at
from {{ ref('bronze_customers_raw') }}
