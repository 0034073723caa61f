{% test payload_matches(model, raw, loaded_at=none) -%}
{{ lineage_audit._payload_matches_test(model, raw, loaded_at) }}
{%- endtest %}

{% macro _payload_matches_test(rows, raw, loaded_at) %}
  {% set relations = lineage_audit._config_relations() if execute else [ref('api_endpoints'), ref('field_mapping'), ref('business_rules')] %}
  {% if not execute %}
    {% do return('select 1 as parsed_only') %}
  {% endif %}
  {% set tested = lineage_audit._tested_model(rows) %}
  {% if not raw or raw is string or lineage_audit._is_fixture(raw) %}
    {% do lineage_audit._raise_problems(tested.name, [lineage_audit._problem(
      'model', 'test payload_matches of ' ~ tested.name, "raw is no relation: '" ~ raw ~ "'.", "Write raw: source('…', '…') or raw: ref('…'), of a table or view."
    )]) %}
  {% endif %}
  {% set raw = lineage_audit._relation_as_built(raw) %}
  {% set needed = dict(relations) %}
  {% do needed.update({tested.name: tested.built, 'the audit store': lineage_audit._store('record_lineage'), raw.identifier: raw}) %}
  {% set waits = lineage_audit._not_testable_yet(tested, needed) %}
  {% if waits %}
    {% do return(waits) %}
  {% endif %}
  {% set written = lineage_audit._gold_as_written(tested.built) %}
  {% set branches = lineage_audit._branches_as_written(written) if written is not none else [] %}
  {% if not branches and lineage_audit._is_testing() %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: test payload_matches of ' ~ tested.name ~ ' finds no successful run whose rows ' ~ tested.target_relation ~ ' can hold. Build the model.'
    ) %}
  {% endif %}
  {% set payload = lineage_audit._asked_payload(tested, raw, loaded_at, lineage_audit._config_tables(relations)) %}
  {% set problems = payload.problems %}
  {% set compared = [] %}
  {% for branch in branches %}
    {% set paths = lineage_audit._compared_paths(branch.rows, written.gold_columns, tested) %}
    {#- What can be mended now is the mapping of the last run; rows of an earlier one are what they are. -#}
    {% if paths.problems and branch.config_hash == (branches | last).config_hash %}
      {% do problems.extend(paths.problems | reject('in', problems) | list) %}
    {% endif %}
    {% do compared.append(dict(branch, array=paths.array, key=paths.key, columns=paths.columns, unproved=paths.unproved)) %}
  {% endfor %}
  {% set hashed = [] %}
  {% for branch in compared %}
    {% do hashed.extend(branch.columns | selectattr('mark', 'equalto', 'hash') | list) %}
  {% endfor %}
  {% if hashed and lineage_audit._is_testing() %}
    {% do problems.extend(lineage_audit._hash_key_problems({
      'endpoint_name': tested.endpoint_name, 'target_table': tested.target_table, 'target_column': hashed[0].name
    })) %}
  {% endif %}
  {% if problems %}
    {% do lineage_audit._raise_problems(tested.name, problems) %}
  {% endif %}
  {% if lineage_audit._is_testing() %}
    {% do lineage_audit._log_unproved(tested, compared, 'payload_matches') %}
  {% endif %}
  {% do return(lineage_audit._payload_matches_sql(tested, written, payload, compared)) %}
{% endmacro %}

{#- Where the payloads are: {raw, column, loaded_at: SQL or none, problems}. -#}
{% macro _asked_payload(tested, raw, loaded_at, tables) %}
  {% set problems = lineage_audit._check_endpoint({'endpoint_name': tested.endpoint_name, 'tables': tables}) %}
  {% set asked = {'raw': raw, 'column': none, 'loaded_at': none, 'problems': problems} %}
  {% if problems %}
    {% do return(asked) %}
  {% endif %}
  {% set endpoint = tables.api_endpoints | selectattr('endpoint_name', 'equalto', tested.endpoint_name) | first %}
  {% set columns = lineage_audit.columns_of(raw) %}
  {% set names = columns | map(attribute='name') | list %}
  {% if not endpoint.payload_column %}
    {% do problems.append(lineage_audit._problem(
      'api_endpoints', 'endpoint ' ~ tested.endpoint_name, 'has no payload_column, and payload_matches reads the payload.',
      'Name the column of ' ~ raw ~ ' that holds it, or take the test out.'
    )) %}
  {% else %}
    {% set column = lineage_audit._find_column(columns, endpoint.payload_column) %}
    {% if not column %}
      {% do problems.append(lineage_audit._problem(
        'api_endpoints', 'endpoint ' ~ tested.endpoint_name, "names payload_column '" ~ endpoint.payload_column ~ "', which " ~ raw ~ ' does not have.',
        lineage_audit._did_you_mean(endpoint.payload_column, names, 'It has: ' ~ names | join(', ') ~ '.')
      )) %}
    {% elif not lineage_audit._holds_any_text(column.type) and column.type | lower != 'json' %}
      {% do problems.append(lineage_audit._problem(
        'api_endpoints', 'endpoint ' ~ tested.endpoint_name, 'names payload_column ' ~ column.name ~ ', which in ' ~ raw ~ ' is of type ' ~ column.type ~ ', and no text.',
        'Give the test a view as raw that has the payload as text.'
      )) %}
    {% else %}
      {% do asked.update({'column': lineage_audit.quote_name(column.name)}) %}
    {% endif %}
  {% endif %}
  {% if loaded_at is not none %}
    {% set column = lineage_audit._find_column(columns, loaded_at | string) %}
    {% if not column %}
      {% do problems.append(lineage_audit._problem(
        'model', 'test payload_matches of ' ~ tested.name, "loaded_at names column '" ~ loaded_at ~ "', which " ~ raw ~ ' does not have.',
        lineage_audit._did_you_mean(loaded_at | string, names, 'It has: ' ~ names | join(', ') ~ '.')
      )) %}
    {% else %}
      {% do asked.update({'loaded_at': lineage_audit.quote_name(column.name)}) %}
    {% endif %}
  {% endif %}
  {% do return(asked) %}
{% endmacro %}

{#- What of one config can be compared: {key: the columns that make the key, columns: all that are compared, each as _pinned_column has it
    with source_type, mark, path, array: the steps to its array or none, in_array, and steps, those after that, array: the one that
    the key goes through or none, unproved: [{name, reason}], problems}. With problems nothing can be. -#}
{% macro _compared_paths(rows, gold_columns, tested) %}
  {% set problems = [] %}
  {% set columns = [] %}
  {% set unproved = [] %}
  {% set arrays = [] %}
  {% for row in rows if row.api_json_path or row.is_primary_key == 'true' %}
    {% set steps = lineage_audit.json_path_steps(row.api_json_path or '') %}
    {% set problem = lineage_audit._path_problem(row, steps, tested) %}
    {% set reason = lineage_audit._why_not_compared(row) %}
    {% if problem is not none %}
      {% do problems.append(problem) %}
      {% if row.api_json_path %}
        {% do unproved.append({'name': row.target_column, 'reason': 'path_not_followed'}) %}
      {% endif %}
    {% elif reason is not none %}
      {% do unproved.append({'name': row.target_column, 'reason': reason}) %}
    {% else %}
      {% set column = dict(
        lineage_audit._pinned_column(row, gold_columns), is_key=row.is_primary_key == 'true', mark=row.sensitivity or 'none',
        source_type=row.source_types[0], source_positions=row.source_positions, path=row.api_json_path
      ) %}
      {% do column.update(lineage_audit._steps_by_array(steps)) %}
      {% do columns.append(column) %}
      {% if column.is_key and column.in_array and column.array not in arrays %}
        {% do arrays.append(column.array) %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {% if arrays | length > 1 %}
    {% do problems.append(lineage_audit._problem(
      'field_mapping', tested.endpoint_name ~ ' / ' ~ tested.target_table, 'the paths of the key go through different arrays: '
      ~ columns | selectattr('is_key') | selectattr('in_array') | map(attribute='path') | join(', ') ~ '.', 'Let them go through one.'
    )) %}
  {% endif %}
  {% set array = arrays[0] if arrays else none %}
  {% set compared = [] %}
  {% for column in columns %}
    {% if problems %}
      {% do unproved.append({'name': column.name, 'reason': 'path_not_followed'}) %}
    {% elif column.in_array and (column.array != array or column.steps | selectattr('each') | list) %}
      {% do unproved.append({'name': column.name, 'reason': 'other_array'}) %}
    {% else %}
      {% do compared.append(column) %}
    {% endif %}
  {% endfor %}
  {% do return({'key': compared | selectattr('is_key') | list, 'columns': compared, 'array': array, 'unproved': unproved, 'problems': problems}) %}
{% endmacro %}

{#- What keeps a mapping row from being followed into a payload, or payloads from being told by it, as a problem; or none. -#}
{% macro _path_problem(row, steps, tested) %}
  {% set said = none %}
  {% set count = row.source_columns | length %}
  {% if row.api_json_path and steps is none %}
    {% set said = [
      "api_json_path '" ~ row.api_json_path ~ "' is no path that payload_matches can follow.",
      "Write names, places and at most one [*], as in $.order.lines[*]['due.date'], or leave it empty."
    ] %}
  {% elif row.is_primary_key != 'true' %}
    {% do return(none) %}
  {% elif not row.api_json_path %}
    {% set said = [
      'is part of the key, and has no api_json_path: no payload can be told to be that of a row.',
      'Write where the payload holds it, and build the model again.'
    ] %}
  {% elif count != 1 %}
    {% set said = [
      'is part of the key, and is made of ' ~ (count or 'no') ~ ' source columns: no payload can be told to be that of a row.',
      'Let the source have it as one column, with an api_json_path, and build the model again.'
    ] %}
  {% elif steps | selectattr('each') | list | length > 1 %}
    {% set said = [
      "is part of the key, and its api_json_path '" ~ row.api_json_path ~ "' goes through more than one array.",
      'One [*] can be followed. Give the test a view as raw that has a row for each element of the outer one.'
    ] %}
  {% else %}
    {% set unprovable = lineage_audit._why_unprovable(dict(row, sensitivity='none')) or lineage_audit._why_not_compared(row) %}
    {% if unprovable is not none %}
      {% set said = [
        'is part of the key, and can not be made of a payload again: ' ~ lineage_audit._unprovable_sentences()[unprovable] ~ '.',
        'Let the source have the key as it is, and build the model again.'
      ] %}
    {% endif %}
  {% endif %}
  {% do return(none if said is none else lineage_audit._problem(
    'field_mapping', tested.endpoint_name ~ ' / ' ~ tested.target_table ~ ' / ' ~ row.target_column, said[0], said[1]
  )) %}
{% endmacro %}

{#- JSON has no bytes. -#}
{% macro _why_not_compared(row) %}
  {% set type = row.source_types[0] if row.source_types else none %}
  {% if row.source_columns | length != 1 %}
    {% do return('not_one_source_column') %}
  {% elif row.sensitivity == 'mask' %}
    {% do return('masked_value') %}
  {% elif type is none or not lineage_audit.is_readable_type(type) or type | lower in ['blob', 'bytea', 'binary', 'varbinary'] %}
    {% do return('unreadable_type') %}
  {% endif %}
  {% do return(none) %}
{% endmacro %}

{#- The steps of a path before and after its first [*]. -#}
{% macro _steps_by_array(steps) %}
  {% set first = namespace(place=none) %}
  {% for step in steps %}
    {% if 'each' in step and first.place is none %}
      {% set first.place = loop.index0 %}
    {% endif %}
  {% endfor %}
  {% if first.place is none %}
    {% do return({'array': none, 'in_array': false, 'steps': steps}) %}
  {% endif %}
  {% do return({'array': steps[:first.place], 'in_array': true, 'steps': steps[first.place + 1:]}) %}
{% endmacro %}

{#- Each logged source value beside the value at its path in the payload of its row, where the two differ. A row has the payload that
    agrees with it, if one of the newest does; else the one that differs least is shown. -#}
{% macro _payload_matches_sql(tested, written, payload, branches) %}
  {% set columns = ['target_pk', 'target_column', 'api_json_path', 'reason', 'payload_value', 'logged_value', 'run_id'] %}
  {% set ctes = [] %}
  {% set selects = [] %}
  {% for branch in branches if branch.columns %}
    {% do ctes.append(lineage_audit._payload_ctes(payload, branch, loop.index)) %}
    {% do selects.append(lineage_audit._cells_beside_payload(tested, branch, loop.index)) %}
  {% endfor %}
  {% if not selects %}
    {% set items = [] %}
    {% for column in columns %}
      {% do items.append('cast(null as ' ~ lineage_audit.store_types().text ~ ') as ' ~ column) %}
    {% endfor %}
    {% do return('-- nothing that could be compared\nselect\n  ' ~ items | join(',\n  ') ~ '\nwhere 1 = 0') %}
  {% endif %}
  {% set open_records = [lineage_audit._committed_ctes() | trim] %}
  {% if written.keeps_refused %}
    {% do open_records.append(lineage_audit._gold_runs_cte(written) | trim) %}
    {% do open_records.append(lineage_audit._kept_cte(written)) %}
  {% endif %}
  {% do open_records.append(lineage_audit._open_record_ctes(written.target_relation, 'kept' if written.keeps_refused else none) | trim) %}
  {% do return(
    'with ' ~ open_records | join(',\n') ~ ',\n'
    ~ 'open_keys as (\n  select distinct target_pk\n  from open_records\n  where target_pk is not null\n),\n'
    ~ ctes | join(',\n') ~ ',\ndifferences as (\n  ' ~ selects | join('\n  union all\n  ') ~ '\n),\n'
    ~ 'counted as (\n  select\n    *,\n    count(*) over (partition by invocation_id, target_pk, candidate) as difference_count,\n'
    ~ '    row_number() over (partition by invocation_id, target_pk, candidate order by target_column, logged_value) as place_of_difference\n  from differences\n),\n'
    ~ 'judged as (\n  select\n    *,\n    sum(case when place_of_difference = 1 then 1 else 0 end) over (partition by invocation_id, target_pk) as differing_candidates,\n'
    ~ '    dense_rank() over (partition by invocation_id, target_pk order by difference_count, candidate) as place_of_candidate\n  from counted\n)\n'
    ~ 'select\n  ' ~ columns | join(',\n  ') ~ '\nfrom judged\nwhere differing_candidates = candidate_count\n  and place_of_candidate = 1'
  ) %}
{% endmacro %}

{#- CTEs candidates_<place>: of each key the newest payloads, or elements of them, with the values at the compared paths. -#}
{% macro _payload_ctes(payload, branch, place) %}
  {% set text = lineage_audit.store_types().text %}
  {% set from = 'payloads_' ~ place %}
  {% if branch.array is not none %}
    {% set from = lineage_audit.unnested(from, lineage_audit.json_elements_at('_lineage_document', branch.array), '_lineage_element') %}
  {% endif %}
  {% set keys = {} %}
  {% set values = [] %}
  {% set numbers = [] %}
  {% for column in branch.columns %}
    {% set document = '_lineage_element' if column.in_array else '_lineage_document' %}
    {% if column.is_key and column.source_columns[0] not in keys %}
      {% do keys.update({column.source_columns[0]: lineage_audit.json_value_at(document, column.steps, column.source_type) ~ ' as ' ~ lineage_audit.quote_name(column.source_columns[0])}) %}
    {% endif %}
    {% do values.append(lineage_audit._payload_text(column, document)) %}
    {% if lineage_audit._compares_numbers(column) %}
      {% do numbers.append('cast(' ~ lineage_audit.json_number_at(document, column.steps) ~ ' as ' ~ text ~ ')') %}
    {% else %}
      {% do numbers.append('cast(null as ' ~ text ~ ')') %}
    {% endif %}
  {% endfor %}
  {% set parts = [] %}
  {% set missing = [] %}
  {% for column in branch.key %}
    {% set part = lineage_audit._replayed_text(column) %}
    {% do parts.append(lineage_audit.keyed_hash_of(part) if column.mark == 'hash' else part) %}
  {% endfor %}
  {% set target_pk = parts[0] if parts | length == 1 else lineage_audit.json_array(parts) %}
  {% for column in branch.key %}
    {% do missing.append(lineage_audit._replayed_text(column) ~ ' is not null') %}
  {% endfor %}
  {% do return(
    lineage_audit._cte('payloads_' ~ place, [
      lineage_audit.json_document(payload.column) ~ ' as _lineage_document', (payload.loaded_at or 'cast(null as ' ~ text ~ ')') ~ ' as _lineage_loaded_at'
    ], payload.raw | string, [payload.column ~ ' is not null'])
    ~ ',\n' ~ lineage_audit._cte('read_' ~ place, ['_lineage_loaded_at'] + keys.values() | list + [
      lineage_audit.list_of(values, '    ') ~ ' as _lineage_payload_values', lineage_audit.list_of(numbers, '    ') ~ ' as _lineage_payload_numbers'
    ], from, [])
    ~ ',\n' ~ lineage_audit._cte('keyed_' ~ place, [
      target_pk ~ ' as target_pk', '_lineage_loaded_at as loaded_at', '_lineage_payload_values as payload_values', '_lineage_payload_numbers as payload_numbers'
    ], 'read_' ~ place, missing)
    ~ ',\n' ~ lineage_audit._cte('newest_' ~ place, ['*', 'max(loaded_at) over (partition by target_pk) as newest'], 'keyed_' ~ place, [])
    ~ ',\ncandidates_' ~ place ~ ' as (\n  select\n    *,\n    row_number() over (partition by target_pk order by payload_values, payload_numbers) as candidate,\n'
    ~ '    count(*) over (partition by target_pk) as candidate_count\n  from (\n    select distinct\n      target_pk,\n      payload_values,\n      payload_numbers\n    from newest_' ~ place
    ~ '\n    where loaded_at is not distinct from newest\n  ) as payloads\n)'
  ) %}
{% endmacro %}

{#- The value at the path as lineage would have logged it; a text that is no value of the type as it is. -#}
{% macro _payload_text(column, document) %}
  {% set text = lineage_audit.json_text_at(document, column.steps) %}
  {% if not lineage_audit._holds_any_text(column.source_type) %}
    {% set text = 'coalesce(' ~ lineage_audit.text_of(lineage_audit.json_value_at(document, column.steps, column.source_type), column.source_type) ~ ', ' ~ text ~ ')' %}
  {% endif %}
  {% do return(lineage_audit.keyed_hash_of(text) if column.mark == 'hash' else text) %}
{% endmacro %}

{#- JSON's 100.00 reaches a text as 100.0 or as 1E2, whichever function reads it: numbers are compared as numbers. -#}
{% macro _compares_numbers(column) %}
  {% do return(lineage_audit._holds_any_text(column.source_type) and column.mark == 'none') %}
{% endmacro %}

{% macro _cells_beside_payload(tested, branch, place) %}
{%- set text = lineage_audit.store_types().text -%}
{%- set logged = lineage_audit.first_item('_lineage_values') -%}
{%- set names = [] -%}
{%- set paths = [] -%}
{%- set logged_values = [] -%}
{%- set payload_values = [] -%}
{%- set same_numbers = [] -%}
{%- for column in branch.columns -%}
  {%- set when = 'when ' ~ column.position ~ ' then ' -%}
  {%- do names.append(when ~ lineage_audit.text_literal(column.name)) -%}
  {%- do paths.append(when ~ lineage_audit.text_literal(column.path)) -%}
  {%- do payload_values.append(when ~ lineage_audit.item_at('candidates.payload_values', loop.index)) -%}
  {%- if column.mark == 'hash' or lineage_audit._holds_any_text(column.source_type) -%}
    {%- do logged_values.append(when ~ logged) -%}
  {%- else -%}
    {%- do logged_values.append(when ~ 'coalesce(' ~ lineage_audit.text_of(lineage_audit.value_of(logged, column.source_type), column.source_type) ~ ', ' ~ logged ~ ')') -%}
  {%- endif -%}
  {%- if lineage_audit._compares_numbers(column) -%}
    {%- do same_numbers.append(when ~ lineage_audit.item_at('candidates.payload_numbers', loop.index) ~ ' = cast(try_cast(cells.logged_value as decimal(38,18)) as ' ~ text ~ ')') -%}
  {%- endif -%}
{%- endfor -%}
  select
    run_id,
    invocation_id,
    target_pk,
    case when has_payload then {{ lineage_audit._case_of_column(names) }} end as target_column,
    case when has_payload then {{ lineage_audit._case_of_column(paths) }} end as api_json_path,
    case when has_payload then 'other_value' else 'no_payload' end as reason,
    payload_value,
    case when has_payload then logged_value end as logged_value,
    candidate,
    candidate_count
  from (
    select
      cells.*,
      candidates.target_pk is not null as has_payload,
      coalesce(candidates.candidate, 1) as candidate,
      coalesce(candidates.candidate_count, 1) as candidate_count,
      {{ lineage_audit._case_of_column(payload_values) }} as payload_value,
      {{ lineage_audit._case_of_column(same_numbers) if same_numbers else 'false' }} as is_same_number
    from (
      select
        _lineage_run_id as run_id,
        _lineage_invocation_id as invocation_id,
        _lineage_target_pk as target_pk,
        _lineage_position as column_position,
        {{ lineage_audit._case_of_position(logged_values, '          ') }} as logged_value
      from {{ lineage_audit._cells_of_branch(branch, lineage_audit._gold_rows(tested, dict(branch, columns=[]), tested.rows, source_texts=true)) }}
    ) as cells
    left join candidates_{{ place }} as candidates on cells.target_pk = candidates.target_pk
    left join open_keys on cells.target_pk = open_keys.target_pk
    where open_keys.target_pk is null
  ) as compared
  where case
    when has_payload then payload_value is distinct from logged_value and not coalesce(is_same_number, false)
    else column_position = {{ branch.key[0].position }}
  end
{%- endmacro %}

{% macro _case_of_column(whens) %}
  {% do return('case column_position\n        ' ~ whens | join('\n        ') ~ '\n      end') %}
{% endmacro %}
