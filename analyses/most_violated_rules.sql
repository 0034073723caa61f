-- rule_violation is a physical table of the audit store: its rows count once their run is committed.
-- depends_on: {{ ref('lineage_audit', 'ingestion_run') }}
with {{ lineage_audit._committed_ctes() }}

select
  violations.target_relation,
  violations.business_rule_id,
  violations.severity,
  count(distinct violations.record_key) as violating_records,
  count(distinct violations.invocation_id) as runs,
  max(committed.committed_ts) as last_violated_ts
from {{ lineage_audit._store('rule_violation') }} as violations
inner join committed
  on violations.invocation_id = committed.invocation_id
  and violations.target_relation = committed.target_relation
group by violations.target_relation, violations.business_rule_id, violations.severity
order by violating_records desc, violations.target_relation, violations.business_rule_id
