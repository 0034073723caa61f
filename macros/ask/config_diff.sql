{#- Operation: what changed in the config of a table between two of its runs. See _ask.yml for the arguments and the form of the JSON. -#}
{% macro config_diff(target_table, from_run_id=none, to_run_id=none, output='text') %}
  {% if not execute %}
    {% do return('') %}
  {% endif %}
  {% do lineage_audit._check_output(output) %}
  {% set asked = lineage_audit._runs_to_compare(target_table, from_run_id, to_run_id) %}
  {% set answer = dict(asked, schema_version=1, differences=lineage_audit._config_differences(asked)) %}
  {% do print(tojson(answer) if output == 'json' else lineage_audit._config_diff_text(answer)) %}
{% endmacro %}

{#- The cells of the config that two runs differ in, as the JSON has them. -#}
{% macro _config_differences(asked) %}
  {% set differences = [] %}
  {% if asked.from_run.config_hash != asked.to_run.config_hash %}
    {% for row in lineage_audit._json_rows(lineage_audit._config_diff_sql(asked.from_run.config_hash, asked.to_run.config_hash))
        | sort(attribute='place') | sort(attribute='name') | sort(attribute='kind') %}
      {% do differences.append({
        'kind': row.kind, 'name': row.name, 'change': row.change, 'cell': row.cell, 'from_value': row.from_value, 'to_value': row.to_value
      }) %}
    {% endfor %}
  {% endif %}
  {% do return(differences) %}
{% endmacro %}

{#- SQL of what `config_diff` shows: a row per cell of a mapping row or rule that is not the same under both runs. -#}
{% macro config_diff_sql(target_table, from_run_id=none, to_run_id=none) %}
  {% set waits = lineage_audit._waits_for_a_run(target_table) %}
  {% if waits %}
    {% do return(waits) %}
  {% endif %}
  {% set asked = lineage_audit._runs_to_compare(target_table, from_run_id, to_run_id) %}
  {% do return(lineage_audit._config_diff_sql(asked.from_run.config_hash, asked.to_run.config_hash)) %}
{% endmacro %}

{#- {target_table, target_relation, from_run, to_run: {run_id, committed_ts, config_hash, code_version}}: the last run, and the last
    before it (other_config: that had another config), unless others are named. -#}
{% macro _runs_to_compare(target_table, from_run_id, to_run_id, other_config=true) %}
  {% set node = lineage_audit._mapped_node(target_table) %}
  {% set target_relation = lineage_audit._relation_text(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)) %}
  {% set runs = [] %}
  {% if load_relation(lineage_audit._store('run_event')) is not none %}
    {% do runs.extend(lineage_audit._json_rows(
      'select\n  run_id,\n  ' ~ lineage_audit.text_of('max(event_ts)', 'timestamp') ~ ' as committed_ts,\n  config_hash,\n  max(code_version) as code_version\nfrom ' ~ lineage_audit._store('run_event')
      ~ "\nwhere event_type = 'SUCCESS' and target_relation = " ~ lineage_audit.text_literal(target_relation) ~ '\ngroup by run_id, config_hash'
    ) | sort(attribute='committed_ts', reverse=true)) %}
  {% endif %}
  {% if not runs %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: the audit store knows no successful run of ' ~ target_relation ~ '. Build it first: dbt run --select ' ~ node.name ~ '.'
    ) %}
  {% endif %}
  {% set to_run = lineage_audit._run_named(runs, to_run_id, target_relation) or runs[0] %}
  {% set from_run = lineage_audit._run_named(runs, from_run_id, target_relation) %}
  {% if not from_run %}
    {% set earlier = [] %}
    {% for run in runs if run.committed_ts < to_run.committed_ts and (run.config_hash != to_run.config_hash if other_config else run.run_id != to_run.run_id) %}
      {% do earlier.append(run) %}
    {% endfor %}
    {% set from_run = earlier[0] if earlier else runs | last %}
  {% endif %}
  {% do return({
    'target_table': node.config.meta.lineage_audit.target_table, 'target_relation': target_relation, 'from_run': from_run, 'to_run': to_run
  }) %}
{% endmacro %}

{% macro _run_named(runs, run_id, target_relation) %}
  {% if run_id is none %}
    {% do return(none) %}
  {% endif %}
  {% set found = runs | selectattr('run_id', 'equalto', run_id | string) | list %}
  {% if not found %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: no successful run of ' ~ target_relation ~ " has the run_id '" ~ run_id ~ "'. "
      ~ lineage_audit._did_you_mean(run_id | string, runs | map(attribute='run_id') | list, 'There are: ' ~ runs[:5] | map(attribute='run_id') | join(', ') ~ (', …' if runs | length > 5 else '') ~ '.')
    ) %}
  {% endif %}
  {% do return(found[0]) %}
{% endmacro %}

{#- What of config_version a person has written, and the source types, by what a cell is called: {name: expression}. The order of
    columns is left out: one more in front would move all others. -#}
{% macro _compared_cells(kind) %}
  {% set cells = {} %}
  {% if kind == 'rule' %}
    {% do cells.update({'rule_category': 'rule_category', 'rule_expression': 'transform_expr', 'severity': 'severity', 'message': 'message'}) %}
  {% else %}
    {% do cells.update({
      'target_layer': 'target_layer', 'api_field_name': 'api_field_name', 'api_json_path': 'api_json_path', 'source_table': 'source_table',
      'source_columns': lineage_audit.json_array_of_list('source_columns'), 'source_types': lineage_audit.json_array_of_list('source_types'),
      'transform_expr': 'transform_expr', 'default_expr': 'default_expr', 'data_type': 'data_type', 'business_rule_id': 'business_rule_id',
      'is_primary_key': 'is_primary_key', 'nullable': 'nullable', 'sensitivity': 'sensitivity', 'description': 'message'
    }) %}
  {% endif %}
  {% do return(cells) %}
{% endmacro %}

{% macro _config_diff_sql(from_hash, to_hash) %}
{%- set selects = [] -%}
{%- for kind, name in {'mapping': 'target_column', 'rule': 'business_rule_id'}.items() -%}
  {%- for cell, expression in lineage_audit._compared_cells(kind).items() -%}
    {%- do selects.append(
      "select\n    config_hash,\n    kind,\n    " ~ name ~ ' as name,\n    ' ~ loop.index ~ " as place,\n    '" ~ cell ~ "' as cell,\n    " ~ expression ~ " as value\n  from versions\n  where kind = '" ~ kind ~ "'"
    ) -%}
  {%- endfor -%}
{%- endfor -%}
with versions as (
  select distinct
    config_hash,
    kind,
    target_column,
    target_layer,
    api_field_name,
    api_json_path,
    source_table,
    source_columns,
    source_types,
    transform_expr,
    default_expr,
    data_type,
    is_primary_key,
    nullable,
    sensitivity,
    business_rule_id,
    rule_category,
    severity,
    message
  from {{ lineage_audit._store('config_version') }}
  where config_hash in {{ lineage_audit._in_list([from_hash, to_hash]) }}
),
cells as (
  {{ selects | join('\n  union all\n  ') }}
),
paired as (
  select
    kind,
    name,
    place,
    cell,
    max(case when config_hash = {{ lineage_audit.text_literal(from_hash) }} then 1 else 0 end) as was_there,
    max(case when config_hash = {{ lineage_audit.text_literal(to_hash) }} then 1 else 0 end) as is_there,
    max(case when config_hash = {{ lineage_audit.text_literal(from_hash) }} then value end) as from_value,
    max(case when config_hash = {{ lineage_audit.text_literal(to_hash) }} then value end) as to_value
  from cells
  group by kind, name, place, cell
)
select
  kind,
  name,
  case
    when was_there = 0 then 'added'
    when is_there = 0 then 'removed'
    else 'changed'
  end as change,
  place,
  cell,
  from_value,
  to_value
from paired
where from_value is distinct from to_value
{%- endmacro %}

{% macro _config_diff_text(answer) %}
  {% set pairs = [] %}
  {% for label, run in {'from': answer.from_run, 'to': answer.to_run}.items() %}
    {% do pairs.append([label, lineage_audit._time_text(run.committed_ts) ~ ', run ' ~ run.run_id ~ ', config ' ~ run.config_hash[:8]]) %}
  {% endfor %}
  {% set rows = [] %}
  {% for each in answer.differences %}
    {% do rows.append([
      each.kind, each.name, each.change, each.cell, '' if each.change == 'added' else lineage_audit._value_text(each.from_value),
      '' if each.change == 'removed' else lineage_audit._value_text(each.to_value)
    ]) %}
  {% endfor %}
  {% do return(
    answer.target_table ~ ': ' ~ (lineage_audit._counted(rows | length, 'cell') ~ ' of the config changed' if rows else 'the config is the same')
    ~ '\n' ~ lineage_audit._labelled(pairs) ~ ('\n\n' ~ lineage_audit._table_text(['kind', 'name', 'change', 'cell', 'from', 'to'], rows) if rows else '')
  ) %}
{% endmacro %}
