select
  run_start_ts,
  target_relation,
  status,
  input_record_count,
  filtered_record_count,
  rejected_record_count,
  output_record_count,
  cast(100.0 * rejected_record_count / nullif(input_record_count, 0) as decimal(5, 2)) as rejected_percent,
  watermark_from,
  watermark_to,
  run_by,
  run_id,
  error_message
from {{ ref('lineage_audit', 'ingestion_run') }}
order by run_start_ts desc, target_relation
