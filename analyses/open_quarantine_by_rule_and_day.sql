-- A record that was refused for several reasons counts under each of them.
select
  target_relation,
  failed_rule,
  cast(rejected_ts as date) as rejected_on,
  count(*) as open_records,
  min(target_pk) as example_pk
from {{ lineage_audit.unnested(ref('lineage_audit', 'quarantine'), 'failed_rules', 'failed_rule') }}
group by target_relation, failed_rule, cast(rejected_ts as date)
order by rejected_on desc, open_records desc, target_relation, failed_rule
