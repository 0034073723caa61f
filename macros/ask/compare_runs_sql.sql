{#- SQL of what `compare_runs` shows: a row per record or cell that is not the same after both runs. See _ask.yml for the columns. -#}
{% macro compare_runs_sql(target_table, from_run_id=none, to_run_id=none) %}
  {% set waits = lineage_audit._waits_for_a_run(target_table) %}
  {% if waits %}
    {% do return(waits) %}
  {% endif %}
  {% set compared = lineage_audit._compared_runs(target_table, from_run_id, to_run_id) %}
  {% do return(lineage_audit._difference_ctes(compared) ~ '\nselect *\nfrom differences') %}
{% endmacro %}

{#- _runs_to_compare, with {written: as _gold_as_written has it, runs: those that either state can stand by, oldest first,
    captures: theirs, definitions: each way in which a column was made by them, places: {config_hash, column_position, definition,
    source_positions}}. The runs stand in the SQL as values: Spark writes a CTE out wherever it is used. -#}
{% macro _compared_runs(target_table, from_run_id, to_run_id) %}
  {% set asked = lineage_audit._runs_to_compare(target_table, from_run_id, to_run_id, other_config=false) %}
  {% set written = lineage_audit._written_by_model(target_table) %}
  {% set node_config = lineage_audit._mapped_node(target_table).config %}
  {% set layouts = {} %}
  {% for layout in written.layouts or [] %}
    {% do layouts.update({layout.hash: loop.index}) %}
  {% endfor %}
  {% set runs = [] %}
  {% for run in lineage_audit._json_rows(lineage_audit._runs_of_states(asked)) | sort(attribute='place') %}
    {% do runs.append(dict(run, layout=layouts.get(run.layout))) %}
  {% endfor %}
  {% set definitions = [] %}
  {% set places = [] %}
  {% for row in lineage_audit._pinned_rows(lineage_audit._in_list(runs | map(attribute='config_hash') | unique | sort)) | sort(attribute='config_hash') %}
    {% set text = tojson([row.target_column, row.source_columns, row.source_types, row.transform_expr, row.default_expr, row.data_type, row.sensitivity]) %}
    {% set known = definitions | selectattr('text', 'equalto', text) | first %}
    {% if not known %}
      {% set known = dict(
        lineage_audit._pinned_column(row, written.gold_columns), text=text, position=definitions | length + 1, source_columns=row.source_columns,
        is_hashed=row.sensitivity == 'hash'
      ) %}
      {% do definitions.append(known) %}
    {% endif %}
    {% do places.append({'config_hash': row.config_hash, 'column_position': row.column_position, 'definition': known, 'source_positions': row.source_positions}) %}
  {% endfor %}
  {% do return(dict(
    asked, written=written, strategy=node_config.get('incremental_strategy') if node_config.materialized == 'incremental' else none,
    runs=runs, captures=runs | map(attribute='capture') | unique | list, definitions=definitions, places=places
  )) %}
{% endmacro %}

{#- A table's state after a run is what the runs up to then wrote, since the last one that wrote the whole table. -#}
{% macro _runs_of_states(asked) %}
{%- set target_relation = lineage_audit.text_literal(asked.target_relation) -%}
{%- set from_end = lineage_audit._time_literal(asked.from_run.committed_ts) -%}
{%- set to_end = lineage_audit._time_literal(asked.to_run.committed_ts) -%}
with {{ lineage_audit._committed_ctes() | trim }},
starts as (
  select
    max(case when committed_ts <= {{ from_end }} then committed_ts end) as from_start,
    max(case when committed_ts <= {{ to_end }} then committed_ts end) as to_start
  from successes
  where target_relation = {{ target_relation }} and whole_table
)
select *
from (
  select
    row_number() over (order by committed.committed_ts, committed.attempt_id) as place,
    committed.attempt_id,
    committed.run_id,
    committed.invocation_id,
    committed.config_hash,
    coalesce(events.code_version, '') as code_version,
    coalesce(events.capture, 'exploded') as capture,
    md5(events.source_fields || events.target_columns) as layout,
    coalesce(events.output_record_count, 0) as output_record_count,
    committed.committed_ts <= {{ from_end }} and committed.committed_ts >= coalesce(starts.from_start, committed.committed_ts) as in_from,
    committed.committed_ts <= {{ to_end }} and committed.committed_ts >= coalesce(starts.to_start, committed.committed_ts) as in_to
  from committed
  inner join {{ lineage_audit._store('run_event') }} as events
    on committed.attempt_id = events.attempt_id
    and events.event_type = 'SUCCESS'
  cross join starts
  where committed.target_relation = {{ target_relation }}
) as numbered
where in_from or in_to
{%- endmacro %}

{#- A time as text_of has it. -#}
{% macro _time_literal(text) %}
  {% do return(lineage_audit.timestamp_literal(text.replace('T', ' '))) %}
{% endmacro %}

{#- CTEs up to `differences`. Of each key a state holds what the last of its runs wrote, and the refusal that came after that, if
    any. Keys by which both states stand by the same run are alike. -#}
{% macro _difference_ctes(compared) %}
{%- set written = compared.written -%}
{%- set target_relation = lineage_audit.text_literal(compared.target_relation) -%}
{%- set text = lineage_audit.store_types().text -%}
{%- set count = lineage_audit.store_types().count -%}
{%- set refusals = 'kept' if written.keeps_refused else lineage_audit._store('rejected_record') -%}
{%- set reads_gold = 'in_row' in compared.captures -%}
with {{ lineage_audit._runs_cte(compared) }},
{%- if written.gold is not none %}
gold_runs as (
  select
    runs.*,
    {{ target_relation }} as target_relation,
    {{ lineage_audit.text_literal(written.target_table) }} as target_table
  from runs
),
{%- endif %}
{%- if written.keeps_refused %}
{{ lineage_audit._kept_cte(written) }},
{%- endif %}
{{ lineage_audit._mapped_columns_cte(compared) }},
{{ lineage_audit._compared_gold_cte(compared) }},
logged as (
  {{ lineage_audit._logged_cells(compared) | join('\n  union all\n  ') }}
),
{%- if reads_gold %}
lost as (
  select
    sum(case when runs.in_from and latest.committed_ts > {{ lineage_audit._time_literal(compared.from_run.committed_ts) }} then runs.output_record_count - coalesce(found.row_count, 0) else 0 end) as from_lost,
    sum(case when runs.in_to and latest.committed_ts > {{ lineage_audit._time_literal(compared.to_run.committed_ts) }} then runs.output_record_count - coalesce(found.row_count, 0) else 0 end) as to_lost
  from runs
  cross join (
    select max(event_ts) as committed_ts
    from {{ lineage_audit._store('run_event') }}
    where event_type = 'SUCCESS' and target_relation = {{ target_relation }}
  ) as latest
  left join (
    select
      invocation_id,
      count(*) as row_count
    from in_gold
    group by invocation_id
  ) as found
    on runs.invocation_id = found.invocation_id
  where runs.capture = 'in_row'
),
{%- endif %}
held as (
  select
    logged.target_pk,
    max(case when runs.in_from then runs.place end) as from_place,
    max(case when runs.in_to then runs.place end) as to_place
  from logged
  inner join runs on logged.place = runs.place
  group by logged.target_pk
),
refused as (
  select
    refusals.target_pk,
    max(case when runs.in_from then runs.place end) as from_place,
    max(case when runs.in_to then runs.place end) as to_place,
    max_by(refusals.failed_rules, case when runs.in_from then runs.place end) as from_failed_rules,
    max_by(refusals.failed_rules, case when runs.in_to then runs.place end) as to_failed_rules
  from {{ refusals }} as refusals
  inner join runs on refusals.invocation_id = runs.invocation_id
  where refusals.target_relation = {{ target_relation }}
    and refusals.target_pk is not null
    and {{ lineage_audit.list_length('refusals.failed_rules') }} > 0
    and not (refusals.failed_rules = {{ lineage_audit.list_of_texts(['duplicate_key']) }})
  group by refusals.target_pk
),
filtered as (
  select
    closed.record_key,
    max(case when runs.in_from then runs.place end) as from_place,
    max(case when runs.in_to then runs.place end) as to_place
  from {{ lineage_audit._store('closed_record') }} as closed
  inner join runs on closed.invocation_id = runs.invocation_id
  where closed.target_relation = {{ target_relation }}
    and closed.closed_as = 'filtered'
  group by closed.record_key
),
states as (
  select
    held.target_pk,
    held.from_place,
    held.to_place,
    case
      when refused.from_place >= coalesce(held.from_place, 0) and refused.from_place > coalesce(filtered.from_place, 0) then refused.from_place
    end as from_refused_place,
    case
      when refused.to_place >= coalesce(held.to_place, 0) and refused.to_place > coalesce(filtered.to_place, 0) then refused.to_place
    end as to_refused_place,
    refused.from_failed_rules,
    refused.to_failed_rules
  from held
  left join refused on held.target_pk = refused.target_pk
  left join filtered on held.target_pk = filtered.record_key
),
judged as (
  select
    states.*,
    case
{%- if reads_gold %}
      when states.to_place is null and lost.to_lost > 0 then 'not_comparable'
      when states.from_place is null and lost.from_lost > 0 then 'not_comparable'
{%- endif %}
      when states.to_place is null and states.to_refused_place is not null then 'refused'
      when states.from_place is null and states.from_refused_place is not null then 'released'
      when states.to_place is null then 'gone'
      when states.from_place is null then 'added'
{%- if not written.keeps_refused %}
      when states.to_refused_place is not null
        and (states.from_refused_place is null or states.from_failed_rules is distinct from states.to_failed_rules) then 'version_refused'
{%- endif %}
    end as change
  from states
{%- if reads_gold %}
  cross join lost
{%- endif %}
),
cells as (
  select
    judged.target_pk as _lineage_target_pk,
    logged.place = judged.from_place as _lineage_is_from,
    mapped_columns.target_column as _lineage_target_column,
    mapped_columns.definition as _lineage_position,
    logged.source_values as _lineage_values,
    logged.source_values as _lineage_source_values,
    runs.invocation_id as _lineage_invocation_id,
    runs.place as _lineage_place
  from judged
  inner join logged
    on judged.target_pk = logged.target_pk
    and (logged.place = judged.from_place or logged.place = judged.to_place)
  inner join runs on logged.place = runs.place
  inner join mapped_columns
    on runs.config_hash = mapped_columns.config_hash
    and logged.column_position = mapped_columns.column_position
  where judged.from_place <> judged.to_place
),
replayed as (
  {{ lineage_audit._replayed_definitions(compared) | join('\n  union all\n  ') }}
),
{{ lineage_audit._valued_cells_cte(compared) }},
paired as (
  select
    target_pk,
    target_column,
    max(case when is_from then copies else 0 end) as from_copies,
    max(case when is_from then 0 else copies end) as to_copies,
    max(case when is_from then place end) as from_place,
    max(case when not is_from then place end) as to_place,
    max(case when is_from then definition end) as from_definition,
    max(case when not is_from then definition end) as to_definition,
    max(case when is_from then source_values end) as from_source_values,
    max(case when not is_from then source_values end) as to_source_values,
    max(case when is_from then cell_value end) as from_value,
    max(case when not is_from then cell_value end) as to_value,
    max(case when is_off then 1 else 0 end) as is_off
  from valued
  group by target_pk, target_column
),
compared as (
  select
    paired.target_pk,
    paired.target_column,
    paired.from_value,
    paired.to_value,
    paired.is_off,
    from_runs.run_id as from_run_id,
    to_runs.run_id as to_run_id,
    case
      when paired.from_copies > 1 or paired.to_copies > 1 then 'key_not_unique'
      when from_definitions.unprovable <> '' then from_definitions.unprovable
      when to_definitions.unprovable <> '' then to_definitions.unprovable
      when from_definitions.is_hashed and to_definitions.is_hashed
        and paired.from_definition <> paired.to_definition
        and paired.from_value is not distinct from paired.to_value then 'masked_value'
      when from_definitions.is_hashed <> to_definitions.is_hashed then 'masked_value'
    end as reason,
    coalesce({{ lineage_audit.shared_items_differ(
      'from_definitions.source_columns', 'paired.from_source_values', 'to_definitions.source_columns', 'paired.to_source_values'
    ) }}, false) as source_differs,
    paired.from_definition is distinct from paired.to_definition as config_differs,
    coalesce(from_runs.code_version <> to_runs.code_version, false) as code_differs
  from paired
  left join definitions as from_definitions on paired.from_definition = from_definitions.definition
  left join definitions as to_definitions on paired.to_definition = to_definitions.definition
  left join runs as from_runs on paired.from_place = from_runs.place
  left join runs as to_runs on paired.to_place = to_runs.place
),
differences as (
  select
    judged.change,
    judged.target_pk,
    cast(null as {{ text }}) as target_column,
    cast(null as {{ text }}) as from_value,
    cast(null as {{ text }}) as to_value,
    {{ lineage_audit.list_of([]) }} as causes,
    case
      when judged.change in ('refused', 'version_refused') then judged.to_failed_rules
      when judged.change = 'released' then judged.from_failed_rules
      else {{ lineage_audit.list_of([]) }}
    end as failed_rules,
    case when judged.change = 'not_comparable' then 'lineage_gone' end as reason,
    cast(1 as {{ count }}) as record_count,
    from_runs.run_id as from_run_id,
    to_runs.run_id as to_run_id
  from judged
  left join runs as from_runs on judged.from_place = from_runs.place
  left join runs as to_runs on coalesce(judged.to_refused_place, judged.to_place) = to_runs.place
  where judged.change is not null
  union all
  select
    change,
    target_pk,
    target_column,
    from_value,
    to_value,
    causes,
    {{ lineage_audit.list_of([]) }} as failed_rules,
    reason,
    count(*) as record_count,
    from_run_id,
    to_run_id
  from (
    select
      case when reason is null then 'changed' else 'not_comparable' end as change,
      case when reason is null then target_pk end as target_pk,
      target_column,
      case when reason is null then from_value end as from_value,
      case when reason is null then to_value end as to_value,
      {{ lineage_audit.list_without_nulls([
        "case when reason is null and source_differs then 'source_values' end",
        "case when reason is null and config_differs then 'config' end",
        "case when reason is null and code_differs then 'code' end",
        "case when reason is null and (is_off = 1 or not (source_differs or config_differs or code_differs)) then 'unexplained' end"
      ], '      ') }} as causes,
      reason,
      case when reason is null then from_run_id end as from_run_id,
      case when reason is null then to_run_id end as to_run_id
    from compared
    where reason is not null or from_value is distinct from to_value
  ) as cell_differences
  group by change, target_pk, target_column, from_value, to_value, causes, reason, from_run_id, to_run_id
)
{%- endmacro %}

{% macro _runs_cte(compared) %}
  {% set rows = [] %}
  {% for run in compared.runs %}
    {% do rows.append('(' ~ [
      run.place, run.attempt_id, lineage_audit.text_literal(run.run_id), lineage_audit.text_literal(run.invocation_id), lineage_audit.text_literal(run.config_hash),
      lineage_audit.text_literal(run.code_version), lineage_audit.text_literal(run.capture), run.layout or 'null', run.output_record_count, run.in_from | lower, run.in_to | lower
    ] | join(', ') ~ ')') %}
  {% endfor %}
  {% do return(
    'runs as (\n  select *\n  from (\n    values\n      ' ~ rows | join(',\n      ')
    ~ '\n  ) as listed(place, attempt_id, run_id, invocation_id, config_hash, code_version, capture, layout, output_record_count, in_from, in_to)\n)'
  ) %}
{% endmacro %}

{#- Selects of the source values that the runs kept, by where their captures keep them. The attempts are named once more, since a
    constant skips files of the store where a join does not. -#}
{% macro _logged_cells(compared) %}
  {% set selects = [] %}
  {% for capture in compared.captures %}
    {% set copied = 'in_gold' if capture == 'in_row' else 'copied' %}
    {% set is_exploded = capture == 'exploded' %}
    {% set of_runs = 'in_gold.invocation_id = runs.invocation_id' if capture == 'in_row' else 'copied.attempt_id = runs.attempt_id' %}
    {% set attempts = compared.runs | selectattr('capture', 'equalto', capture) | map(attribute='attempt_id') | join(', ') %}
    {% do selects.append(
      'select\n    runs.place,\n    ' ~ copied ~ '.target_pk,\n    '
      ~ ('copied.column_position,\n    copied.source_values' if is_exploded
        else 'mapped_columns.column_position,\n    ' ~ lineage_audit.items_at(copied ~ '.source_values', 'mapped_columns.source_positions') ~ ' as source_values')
      ~ '\n  from ' ~ ('in_gold' if capture == 'in_row' else lineage_audit._store('cell_lineage' if is_exploded else 'record_lineage') ~ ' as copied')
      ~ '\n  inner join runs\n    on ' ~ of_runs ~ '\n    and runs.capture = ' ~ lineage_audit.text_literal(capture)
      ~ ('' if is_exploded else '\n  inner join mapped_columns\n    on runs.config_hash = mapped_columns.config_hash')
      ~ ('' if capture == 'in_row' else '\n  where copied.attempt_id in (' ~ attempts ~ ')')
    ) %}
  {% endfor %}
  {% do return(selects) %}
{% endmacro %}

{#- CTEs definitions and mapped_columns: how each column was made, and which of them stood at which place under each config. -#}
{% macro _mapped_columns_cte(compared) %}
  {% set definitions = [] %}
  {% for definition in compared.definitions %}
    {% do definitions.append('(' ~ [
      definition.position, lineage_audit.text_literal(definition.name), lineage_audit.text_literal('' if definition.is_hashed else definition.unprovable or ''),
      'true' if definition.is_hashed else 'false', lineage_audit.list_of_texts(definition.source_columns)
    ] | join(', ') ~ ')') %}
  {% endfor %}
  {% set places = [] %}
  {% for place in compared.places %}
    {% do places.append('(' ~ [
      lineage_audit.text_literal(place.config_hash), place.column_position, place.definition.position, lineage_audit.text_literal(place.definition.name),
      'cast(' ~ lineage_audit.list_of(place.source_positions or []) ~ ' as ' ~ lineage_audit.store_types().positions ~ ')'
    ] | join(', ') ~ ')') %}
  {% endfor %}
  {% do return(
    'definitions as (\n  select *\n  from (\n    values\n      ' ~ definitions | join(',\n      ') ~ '\n  ) as listed(definition, target_column, unprovable, is_hashed, source_columns)\n),\n'
    ~ 'mapped_columns as (\n  select *\n  from (\n    values\n      ' ~ places | join(',\n      ') ~ '\n  ) as listed(config_hash, column_position, definition, target_column, source_positions)\n)'
  ) %}
{% endmacro %}

{#- The columns whose value can be told: gold's own text counts where gold holds the row as the run wrote it. -#}
{% macro _told_gold_names(compared) %}
  {% set told = compared.definitions | selectattr('unprovable', 'none') | map(attribute='name') | map('lower') | list %}
  {% set names = [] %}
  {% for name in lineage_audit._gold_names(compared.written) if (name | lower) in told %}
    {% do names.append(name) %}
  {% endfor %}
  {% do return(names) %}
{% endmacro %}

{% macro _compared_gold_cte(compared) %}
  {% set text = lineage_audit.store_types().text %}
  {% set texts = lineage_audit.store_types().texts %}
  {% set written = compared.written %}
  {% if written.gold is none %}
    {% do return(
      'in_gold as (\n  select\n    cast(null as ' ~ text ~ ') as invocation_id,\n    cast(null as ' ~ text ~ ') as target_pk,\n    cast(null as ' ~ texts ~ ') as source_values,\n    cast(null as '
      ~ texts ~ ') as gold_values\n  where 1 = 0\n)'
    ) %}
  {% endif %}
  {% set out_of_date = [
    'cast(' ~ lineage_audit._raise_out_of_date(written) ~ ' as ' ~ text ~ ') as invocation_id', 'cast(null as ' ~ text ~ ') as target_pk', 'cast(null as ' ~ texts ~ ') as source_values',
    'cast(null as ' ~ texts ~ ') as gold_values'
  ] %}
  {% set selects = lineage_audit._select_per_layout(
    dict(written, told=lineage_audit._told_gold_names(compared)), lineage_audit._compared_gold_items, lineage_audit._is_accepted() if written.keeps_refused else none, out_of_date
  ) %}
  {% do return('in_gold as (\n  ' ~ selects ~ '\n)') %}
{% endmacro %}

{% macro _compared_gold_items(written, layout) %}
  {% set values = [] %}
  {% for name in written.told %}
    {% set column = lineage_audit._find_column(layout.columns, name) %}
    {% do values.append(lineage_audit._mapped_text(column) if column else 'cast(null as ' ~ lineage_audit.store_types().text ~ ')') %}
  {% endfor %}
  {% do return([
    '_lineage_invocation_id as invocation_id',
    lineage_audit._target_pk(layout) ~ ' as target_pk',
    lineage_audit.list_of(lineage_audit._source_texts(layout.fields), '    ') ~ ' as source_values',
    lineage_audit.list_of(values, '    ') ~ ' as gold_values'
  ]) %}
{% endmacro %}

{#- Selects of `cells` with their values recomputed. One select takes all definitions in which each source column has one type.
    The names that stand beside the source columns are none that a source column may have. -#}
{% macro _replayed_definitions(compared) %}
  {% set kept = ['_lineage_target_pk', '_lineage_is_from', '_lineage_target_column', '_lineage_source_values', '_lineage_invocation_id', '_lineage_place'] %}
  {% set branches = [] %}
  {% set untold = [] %}
  {% for definition in compared.definitions %}
    {% if definition.unprovable is not none %}
      {% do untold.append(definition.position) %}
    {% else %}
      {% set fits = [] %}
      {% for branch in branches if not fits %}
        {% set conflicts = [] %}
        {% for name in definition.source_columns %}
          {% do conflicts.append(name) if branch.types.get(name, definition.source_types[loop.index0]) != definition.source_types[loop.index0] %}
        {% endfor %}
        {% do fits.append(branch) if not conflicts %}
      {% endfor %}
      {% if not fits %}
        {% do fits.append({'types': {}, 'columns': []}) %}
        {% do branches.append(fits[0]) %}
      {% endif %}
      {% for name in definition.source_columns %}
        {% do fits[0].types.update({name: definition.source_types[loop.index0]}) %}
      {% endfor %}
      {% do fits[0].columns.append(definition) %}
    {% endif %}
  {% endfor %}
  {% set selects = [] %}
  {% for branch in branches %}
    {#- What can't be told goes along, without a value. -#}
    {% set positions = branch.columns | map(attribute='position') | list + (untold if loop.first else []) %}
    {% set cells = '(select * from cells where _lineage_position in (' ~ positions | join(', ') ~ ')) as told' %}
    {% do selects.append(lineage_audit._replayed_cells(cells, kept, branch.columns)) %}
  {% endfor %}
  {% if not selects %}
    {% do selects.append(
      'select\n    ' ~ (kept + ['_lineage_position as column_position']) | join(',\n    ') ~ ',\n    cast(null as ' ~ lineage_audit.store_types().text ~ ') as replayed_value,\n    false as is_unreadable\n  from cells'
    ) %}
  {% endif %}
  {% do return(selects) %}
{% endmacro %}

{#- A hashed cell is known by the hashes of its source values; is_off: gold holds what its lineage does not give. -#}
{% macro _valued_cells_cte(compared) %}
  {% set names = lineage_audit._told_gold_names(compared) %}
  {% set whens = [] %}
  {% for definition in compared.definitions if definition.unprovable is none and definition.name in names %}
    {% set place = namespace(number=0) %}
    {% for name in names %}
      {% set place.number = loop.index if name == definition.name else place.number %}
    {% endfor %}
    {% do whens.append('when ' ~ definition.position ~ ' then ' ~ lineage_audit.item_at('in_gold.gold_values', place.number)) %}
  {% endfor %}
  {% set told = compared.definitions | selectattr('unprovable', 'none') | selectattr('name', 'in', names) | map(attribute='position') | list %}
  {% set is_held = 'in_gold.invocation_id is not null and replayed.column_position in (' ~ told | join(', ') ~ ')' if told else 'false' %}
  {% set gold_value = 'case replayed.column_position\n        ' ~ whens | join('\n        ') ~ '\n      end' if whens else 'cast(null as ' ~ lineage_audit.store_types().text ~ ')' %}
  {% set value = ['when is_held then gold_value', 'else replayed_value'] %}
  {% set hashed = compared.definitions | selectattr('is_hashed') | map(attribute='position') | list %}
  {% if hashed %}
    {% set of_hashed = 'definition in (' ~ hashed | join(', ') ~ ')' %}
    {% set value = [
      'when ' ~ of_hashed ~ ' and ' ~ lineage_audit.list_length('source_values') ~ ' = 1 then ' ~ lineage_audit.first_item('source_values'),
      'when ' ~ of_hashed ~ ' then ' ~ lineage_audit.json_array_of_list('source_values')
    ] + value %}
  {% endif %}
  {% do return('valued as (\n  select\n    ' ~ [
    'target_pk', 'is_from', 'target_column', 'definition', 'source_values', 'place',
    'case\n      ' ~ value | join('\n      ') ~ '\n    end as cell_value',
    'is_unreadable or (is_held and gold_value is distinct from replayed_value) as is_off',
    'count(*) over (partition by target_pk, is_from, target_column) as copies'
  ] | join(',\n    ') ~ '\n  from (\n    select\n      ' ~ [
    'replayed._lineage_target_pk as target_pk', 'replayed._lineage_is_from as is_from', 'replayed._lineage_target_column as target_column',
    'replayed._lineage_source_values as source_values', 'replayed._lineage_place as place', 'replayed.replayed_value', 'replayed.is_unreadable',
    'replayed.column_position as definition', is_held ~ ' as is_held', gold_value ~ ' as gold_value'
  ] | join(',\n      ') ~ '\n    from replayed\n    left join in_gold\n      on replayed._lineage_invocation_id = in_gold.invocation_id\n      and replayed._lineage_target_pk = in_gold.target_pk\n  ) as beside_gold\n)') %}
{% endmacro %}
