{% test lineage_replays(model, run_id=none, sample_rows=none) -%}
{{ lineage_audit._lineage_replays_test(model, run_id, sample_rows) }}
{%- endtest %}

{% macro _lineage_replays_test(rows, run_id, sample_rows) %}
  {% set tested = lineage_audit._tested_when_built(rows, {'the audit store': lineage_audit._store('record_lineage')}) %}
  {% if tested is string %}
    {% do return(tested) %}
  {% endif %}
  {% set written = lineage_audit._gold_as_written(tested.built) %}
  {% set branches = lineage_audit._replay_branches(written, run_id) if written is not none else [] %}
  {% if not branches and lineage_audit._is_testing() %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: test lineage_replays of ' ~ tested.name ~ ' finds no successful run' ~ (" '" ~ run_id ~ "'" if run_id else '') ~ ' whose rows ' ~ tested.target_relation
      ~ ' can hold. Build the model, or leave run_id out.'
    ) %}
  {% endif %}
  {% if lineage_audit._is_testing() %}
    {% do lineage_audit._log_unproved(tested, branches) %}
  {% endif %}
  {% do return(lineage_audit._lineage_replays_sql(tested, branches, sample_rows)) %}
{% endmacro %}

{#- One branch for each config, layout and capture of the runs whose rows gold may hold, those of the last run last: {config_hash, capture,
    layout, rows: its mapping as config_version has it, target_relation, keeps_refused}. -#}
{% macro _branches_as_written(written, run_id=none) %}
  {% set events = lineage_audit._store('run_event') %}
  {% set of_gold = "event_type = 'SUCCESS' and target_relation = " ~ lineage_audit.text_literal(written.target_relation) %}
  {% set runs = lineage_audit._json_rows(
    "select\n  config_hash,\n  coalesce(capture, 'exploded') as capture,\n  md5(source_fields || target_columns) as layout,\n  "
    ~ lineage_audit.text_of('max(event_ts)', 'timestamp') ~ ' as last_ts\nfrom ' ~ events ~ '\nwhere ' ~ of_gold
    ~ '\n  and event_ts >= (select max(event_ts) from ' ~ events ~ ' where ' ~ of_gold ~ ' and whole_table)'
    ~ ('\n  and run_id = ' ~ lineage_audit.text_literal(run_id) if run_id is not none else '') ~ '\ngroup by 1, 2, 3'
  ) %}
  {% set pinned = {} %}
  {% if runs %}
    {% for row in lineage_audit._pinned_rows(lineage_audit._in_list(runs | map(attribute='config_hash') | unique | list)) %}
      {% do pinned.setdefault(row.config_hash, []).append(row) %}
    {% endfor %}
  {% endif %}
  {% set branches = [] %}
  {% for run in runs | sort(attribute='layout') | sort(attribute='capture') | sort(attribute='config_hash') | sort(attribute='last_ts') %}
    {% do branches.append(dict(
      run, layout=written.layouts | selectattr('hash', 'equalto', run.layout) | first, rows=pinned.get(run.config_hash, []),
      target_relation=written.target_relation, keeps_refused=written.keeps_refused
    )) %}
  {% endfor %}
  {% do return(branches) %}
{% endmacro %}

{#- The same with columns: those to be recomputed, and unproved: [{name, reason}]. -#}
{% macro _replay_branches(written, run_id=none) %}
  {% set branches = [] %}
  {% for branch in lineage_audit._branches_as_written(written, run_id) %}
    {% set columns = [] %}
    {% set unproved = [] %}
    {% for row in branch.rows %}
      {% set column = lineage_audit._pinned_column(row, written.gold_columns) %}
      {% set in_gold = lineage_audit._find_column(branch.layout.columns, row.target_column) %}
      {% if column.unprovable is not none or not in_gold %}
        {% do unproved.append({'name': row.target_column, 'reason': column.unprovable or 'column_not_in_gold'}) %}
      {% else %}
        {% do columns.append(dict(
          column, in_gold=in_gold, source_positions=row.source_positions, stored_type=(lineage_audit._find_column(written.gold_columns, row.target_column) or {}).get('type')
        )) %}
      {% endif %}
    {% endfor %}
    {% do branches.append(dict(branch, columns=columns, unproved=unproved)) %}
  {% endfor %}
  {% do return(branches) %}
{% endmacro %}

{#- What no recomputation can prove is told, with the rows that it stands in. -#}
{% macro _log_unproved(tested, branches, test='lineage_replays') %}
  {% set selects = [] %}
  {% for branch in branches if branch.unproved %}
    {% do selects.append('select\n  ' ~ loop.index0 ~ ' as place,\n  count(*) as row_count\nfrom ' ~ tested.rows ~ '\nwhere ' ~ lineage_audit._rows_of_branch(tested, branch)) %}
  {% endfor %}
  {% set told = {} %}
  {% if selects %}
    {% set unproved = branches | selectattr('unproved') | list %}
    {% for row in lineage_audit._json_rows(selects | join('\nunion all\n')) %}
      {% for column in unproved[row.place].unproved %}
        {% set key = column.name ~ ': ' ~ lineage_audit._unprovable_sentences()[column.reason] %}
        {% do told.update({key: told.get(key, 0) + row.row_count}) %}
      {% endfor %}
    {% endfor %}
  {% endif %}
  {% for sentence, row_count in told.items() %}
    {% if row_count > 0 %}
      {% do log(test ~ ' of ' ~ tested.name ~ ': ' ~ lineage_audit._counted(row_count, 'cell') ~ ' can not be proved, ' ~ sentence ~ '.', info=true) %}
    {% endif %}
  {% endfor %}
{% endmacro %}

{#- The rows of gold that runs of one branch wrote. -#}
{% macro _rows_of_branch(tested, branch) %}
  {% set predicate = '_lineage_invocation_id in (select invocation_id from ' ~ lineage_audit._store('run_event') ~ " where event_type = 'SUCCESS' and target_relation = "
    ~ lineage_audit.text_literal(tested.target_relation) ~ ' and config_hash = ' ~ lineage_audit.text_literal(branch.config_hash)
    ~ " and coalesce(capture, 'exploded') = " ~ lineage_audit.text_literal(branch.capture) ~ " and md5(source_fields || target_columns) = '" ~ branch.layout.hash ~ "')" %}
  {% do return(predicate ~ (' and ' ~ lineage_audit._is_accepted() if branch.keeps_refused else '')) %}
{% endmacro %}

{#- Every logged cell of rows that gold holds, recomputed, where gold holds another value. Rows that share a key within a run
    have lineage that share it too: there a cell has to find its value in any of them. -#}
{% macro _lineage_replays_sql(tested, branches, sample_rows=none) %}
  {% set text = lineage_audit.store_types().text %}
  {% set selects = [] %}
  {% for branch in branches if branch.columns %}
    {% do selects.append(lineage_audit._cells_that_differ(tested, branch, sample_rows)) %}
  {% endfor %}
  {% if not selects %}
    {% do return(
      '-- nothing that could be recomputed\nselect\n  cast(null as ' ~ text ~ ') as target_pk,\n  cast(null as ' ~ text ~ ') as target_column,\n  cast(null as ' ~ text
      ~ ') as reason,\n  cast(null as ' ~ text ~ ') as gold_value,\n  cast(null as ' ~ text ~ ') as replayed_value,\n  cast(null as ' ~ text ~ ') as run_id\nwhere 1 = 0'
    ) %}
  {% endif %}
  {% do return(selects | join('\nunion all\n')) %}
{% endmacro %}

{% macro _cells_that_differ(tested, branch, sample_rows) %}
{%- set names = [] -%}
{%- set gold_texts = [] -%}
{%- set gold_values = [] -%}
{%- set replayed = [] -%}
{%- set unreadable = [] -%}
{%- for column in branch.columns -%}
  {%- set when = 'when ' ~ column.position ~ ' then ' -%}
  {%- do names.append(when ~ lineage_audit.text_literal(column.name)) -%}
  {%- set in_gold = '_lineage_gold_' ~ column.position -%}
  {%- do gold_texts.append(when ~ lineage_audit._mapped_text(dict(column.in_gold, quoted='gold.' ~ in_gold))) -%}
  {%- do gold_values.append(when ~ lineage_audit._mapped_text(dict(column.in_gold, quoted=in_gold))) -%}
  {%- do replayed.append(when ~ lineage_audit._replayed_text(column)) -%}
  {%- do unreadable.append(when ~ (lineage_audit._unreadable_texts(branch, column) | join(' or ') or 'false')) -%}
{%- endfor -%}
{%- set sampled = tested.rows if sample_rows is none else '(select * from ' ~ tested.rows ~ ' limit ' ~ (sample_rows | int) ~ ') as sampled' -%}
select
  differing.target_pk,
  case differing.position {{ names | join(' ') }} end as target_column,
  case when differing.is_unreadable then 'unreadable_value' else 'other_value' end as reason,
  differing.gold_value,
  differing.replayed_value,
  differing.run_id
from (
  select
    _lineage_run_id as run_id,
    _lineage_invocation_id as invocation_id,
    _lineage_target_pk as target_pk,
    _lineage_position as position,
    {{ lineage_audit._case_of_position(unreadable, '      ') }} as is_unreadable,
    {{ lineage_audit._case_of_position(gold_values, '      ') }} as gold_value,
    {{ lineage_audit._case_of_position(replayed, '      ') }} as replayed_value
  from {{ lineage_audit._differing_cells(tested, branch, sampled) if branch.capture == 'exploded' else lineage_audit._differing_records(tested, branch, sampled) }}
) as differing
left join {{ lineage_audit._gold_rows(tested, branch, tested.built) }} as gold
  on differing.invocation_id = gold.invocation_id
  and differing.target_pk = gold.target_pk
  and not differing.is_unreadable
  and differing.replayed_value is not distinct from case differing.position {{ gold_texts | join(' ') }} end
where gold.invocation_id is null
{%- endmacro %}

{#- Conditions: a logged text of the column is no value of its pinned type. Rows that keep their lineage keep values, not texts. -#}
{% macro _unreadable_texts(branch, column) %}
  {% set unreadable = [] %}
  {% for name in (column.source_columns if branch.capture != 'in_row' else []) %}
    {% set place = loop.index if branch.capture == 'exploded' else column.source_positions[loop.index0] %}
    {% do unreadable.append('(' ~ lineage_audit.item_at('_lineage_values', place) ~ ' is not null and ' ~ lineage_audit.quote_name(name) ~ ' is null)') %}
  {% endfor %}
  {% do return(unreadable) %}
{% endmacro %}

{#- Is gold's value another one? As values where both sides are of one type that can be compared, else as texts. -#}
{% macro _differs_from_gold(branch, column) %}
  {% set in_gold = '_lineage_gold_' ~ column.position %}
  {% set type = column.type or column.gold_type %}
  {% if lineage_audit._same_type(type, column.get('stored_type')) and not lineage_audit._is_nested_type(type) and (type | lower | trim) not in ['json', 'variant'] %}
    {% set differs = lineage_audit._replayed_value(column) ~ ' is distinct from ' ~ in_gold %}
  {% else %}
    {% set differs = lineage_audit._replayed_text(column) ~ ' is distinct from ' ~ lineage_audit._mapped_text(dict(column.in_gold, quoted=in_gold)) %}
  {% endif %}
  {% do return((lineage_audit._unreadable_texts(branch, column) + [differs]) | join(' or ')) %}
{% endmacro %}

{#- Of capture exploded, where a cell is a row: those that differ, with their source columns. -#}
{% macro _differing_cells(tested, branch, rows) %}
  {% set typed = {} %}
  {% set differs = [] %}
  {% for column in branch.columns %}
    {% do differs.append('when ' ~ column.position ~ ' then ' ~ lineage_audit._differs_from_gold(branch, column)) %}
    {% for name in column.source_columns %}
      {% do typed.setdefault(name, []).append('when ' ~ column.position ~ ' then '
        ~ lineage_audit.value_of(lineage_audit.item_at('_lineage_values', loop.index), column.source_types[loop.index0])) %}
    {% endfor %}
  {% endfor %}
  {% set items = ['_lineage_run_id', '_lineage_invocation_id', '_lineage_target_pk', '_lineage_position', '_lineage_values'] %}
  {% set gold_values = [] %}
  {% for column in branch.columns %}
    {% do items.append('_lineage_gold_' ~ column.position) %}
    {% do gold_values.append('gold._lineage_gold_' ~ column.position) %}
  {% endfor %}
  {% for name, whens in typed.items() %}
    {% do items.append(lineage_audit._case_of_position(whens, '        ') ~ ' as ' ~ lineage_audit.quote_name(name)) %}
  {% endfor %}
  {% set once = lineage_audit.evaluated_once() %}
  {% do return(
    '(\n    select\n      ' ~ items | join(',\n      ') ~ (',\n      ' ~ once.item if once.item) ~ '\n    from '
    ~ lineage_audit._cells_of_branch(branch, lineage_audit._gold_rows(tested, branch, rows), gold_values)
    ~ '\n  ) as typed\n  where ' ~ lineage_audit._case_of_position(differs, '      ') ~ ('\n    and ' ~ once.condition if once.condition)
  ) %}
{% endmacro %}

{#- Of the other captures, where a record is a row: its columns are recomputed side by side, and the cells of those rows that
    differ anywhere are looked at one by one. -#}
{% macro _differing_records(tested, branch, rows) %}
  {% set typed = {} %}
  {% set differs = [] %}
  {% set differing = [] %}
  {% set whens = [] %}
  {% set positions = [] %}
  {% for column in branch.columns %}
    {% set flag = '_lineage_differs_' ~ column.position %}
    {% do differs.append(lineage_audit._differs_from_gold(branch, column) ~ ' as ' ~ flag) %}
    {% do differing.append(flag) %}
    {% do whens.append('when ' ~ column.position ~ ' then ' ~ flag) %}
    {% do positions.append('(' ~ column.position ~ ')') %}
    {% for name in column.source_columns %}
      {% set place = column.source_positions[loop.index0] %}
      {% do typed.update({name: lineage_audit._source_value(branch.layout.fields[place - 1]) if branch.capture == 'in_row'
        else lineage_audit.value_of(lineage_audit.item_at('records.source_values', place), column.source_types[loop.index0])}) %}
    {% endfor %}
  {% endfor %}
  {% set logged = lineage_audit._logged_records(tested, branch, rows) %}
  {% set items = logged.names %}
  {% for name, value in typed.items() %}
    {% do items.append(value ~ ' as ' ~ lineage_audit.quote_name(name)) %}
  {% endfor %}
  {% set once = lineage_audit.evaluated_once() %}
  {% do items.append(once.item) if once.item %}
  {% do return(
    '(\n    select *\n    from (\n      select\n        *,\n        ' ~ differs | join(',\n        ')
    ~ '\n      from (\n        select\n          ' ~ items | join(',\n          ') ~ '\n        from ' ~ logged.from
    ~ '\n      ) as typed\n    ) as compared\n    where (' ~ differing | join(' or ') ~ ')' ~ ('\n      and ' ~ once.condition if once.condition)
    ~ '\n  ) as records\n  cross join (\n    select *\n    from (\n      values ' ~ positions | join(', ') ~ '\n    ) as listed(_lineage_position)\n  ) as cells\n  where '
    ~ lineage_audit._case_of_position(whens, '      ')
  ) %}
{% endmacro %}

{#- A source value as the row itself keeps it. -#}
{% macro _source_value(field) %}
  {% do return(field.verbatim or '_lineage_source_values.' ~ lineage_audit.quote_name(field.name)) %}
{% endmacro %}

{#- Gold's rows of a branch, its values as they are; source_texts: those that keep their lineage with its texts, for _cells_of_branch. -#}
{% macro _gold_rows(tested, branch, rows, source_texts=false) %}
  {% set items = ['_lineage_run_id as run_id', '_lineage_invocation_id as invocation_id', lineage_audit._target_pk(branch.layout) ~ ' as target_pk'] %}
  {% if source_texts and branch.capture == 'in_row' %}
    {% do items.append(lineage_audit.list_of(lineage_audit._source_texts(branch.layout.fields)) ~ ' as source_values') %}
  {% endif %}
  {% for column in branch.columns %}
    {% do items.append(column.in_gold.quoted ~ ' as _lineage_gold_' ~ column.position) %}
  {% endfor %}
  {% do return('(\n        select\n          ' ~ items | join(',\n          ') ~ '\n        from ' ~ rows ~ '\n        where ' ~ lineage_audit._rows_of_branch(tested, branch) ~ '\n      )') %}
{% endmacro %}

{#- The logged records of a branch beside gold's values, in gold's own rows or in record_lineage: {names: what to select, from}. -#}
{% macro _logged_records(tested, branch, rows) %}
  {% if branch.capture == 'in_row' %}
    {% set names = ['_lineage_run_id', '_lineage_invocation_id', lineage_audit._target_pk(branch.layout) ~ ' as _lineage_target_pk'] %}
    {% for column in branch.columns %}
      {% do names.append(column.in_gold.quoted ~ ' as _lineage_gold_' ~ column.position) %}
    {% endfor %}
    {% do return({'names': names, 'from': rows ~ '\n        where ' ~ lineage_audit._rows_of_branch(tested, branch)}) %}
  {% endif %}
  {% set names = ['gold.run_id as _lineage_run_id', 'gold.invocation_id as _lineage_invocation_id', 'gold.target_pk as _lineage_target_pk', 'records.source_values as _lineage_values'] %}
  {% for column in branch.columns %}
    {% do names.append('gold._lineage_gold_' ~ column.position) %}
  {% endfor %}
  {% do return({'names': names, 'from': lineage_audit._gold_rows(tested, branch, rows) ~ ' as gold' ~ lineage_audit._attempts_of_gold(branch)
    ~ '\n        inner join ' ~ lineage_audit._store('record_lineage') ~ ' as records\n          on events.attempt_id = records.attempt_id\n          and gold.target_pk = records.target_pk'}) %}
{% endmacro %}

{% macro _attempts_of_gold(branch) %}
  {% do return(
    '\n      inner join ' ~ lineage_audit._store('run_event') ~ " as events\n        on gold.invocation_id = events.invocation_id\n        and events.event_type = 'SUCCESS'\n        and events.target_relation = "
    ~ lineage_audit.text_literal(branch.target_relation)
  ) %}
{% endmacro %}

{#- The logged cells of a branch, such as _replayed_cells takes them; gold_values: further columns of gold beside them. -#}
{% macro _cells_of_branch(branch, gold, gold_values=[]) %}
  {% set items = ['gold.run_id as _lineage_run_id', 'gold.invocation_id as _lineage_invocation_id', 'gold.target_pk as _lineage_target_pk', 'mapping.column_position as _lineage_position'] + gold_values %}
  {% set attempts = lineage_audit._attempts_of_gold(branch) %}
  {% if branch.capture == 'exploded' %}
    {% do return(
      '(\n      select\n        ' ~ (items + ['mapping.source_values as _lineage_values']) | join(',\n        ') ~ '\n      from ' ~ gold ~ ' as gold' ~ attempts
      ~ '\n      inner join ' ~ lineage_audit._store('cell_lineage') ~ ' as mapping\n        on events.attempt_id = mapping.attempt_id\n        and gold.target_pk = mapping.target_pk'
      ~ '\n      where mapping.column_position in (' ~ branch.columns | map(attribute='position') | join(', ') ~ ')\n    ) as cells'
    ) %}
  {% endif %}
  {% set mapping = [] %}
  {% for column in branch.columns %}
    {% do mapping.append('select ' ~ column.position ~ ' as column_position, cast(' ~ lineage_audit.list_of(column.source_positions) ~ ' as ' ~ lineage_audit.store_types().positions ~ ') as source_positions') %}
  {% endfor %}
  {% set records = 'gold' %}
  {% set from = gold ~ ' as gold' %}
  {% if branch.capture == 'compact' %}
    {% set records = 'records' %}
    {% set from = from ~ attempts ~ '\n      inner join ' ~ lineage_audit._store('record_lineage') ~ ' as records\n        on events.attempt_id = records.attempt_id\n        and gold.target_pk = records.target_pk' %}
  {% endif %}
  {% do return(
    '(\n      select\n        ' ~ (items + [lineage_audit.items_at(records ~ '.source_values', 'mapping.source_positions') ~ ' as _lineage_values']) | join(',\n        ')
    ~ '\n      from ' ~ from ~ '\n      cross join (\n        ' ~ mapping | join('\n        union all\n        ') ~ '\n      ) as mapping\n    ) as cells'
  ) %}
{% endmacro %}
