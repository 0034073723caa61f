{#- Operation: where the values of one record come from. See _ask.yml for the arguments and the form of the JSON. -#}
{% macro trace(target_table, target_pk, target_column=none, as_of=none, run_id=none, output='text', upstream=true) %}
  {% if not execute %}
    {% do return('') %}
  {% endif %}
  {% do lineage_audit._check_output(output) %}
  {% set lineage = lineage_audit._graph_for_trace() if (upstream | string | lower) == 'true' else none %}
  {% if lineage is not none and not lineage_audit._is_mapped_name(target_table) %}
    {% set answer = lineage_audit._plain_trace_answer(lineage, target_table, target_pk, target_column) %}
    {% do print(tojson(answer) if output == 'json' else lineage_audit._plain_trace_text(answer)) %}
    {% do return('') %}
  {% endif %}
  {% set request = lineage_audit._traced_request(target_table, target_pk, none, as_of, run_id) %}
  {% set rows = lineage_audit._one_row_per_column(lineage_audit._json_rows(lineage_audit._trace_sql(request))) %}
  {% set refusals = lineage_audit._json_rows(lineage_audit._refused_record_sql(request)) %}
  {% if not rows and not refusals %}
    {% do lineage_audit._raise_unknown_record(request) %}
  {% endif %}
  {% set rules = lineage_audit._rules_under((rows + refusals) | map(attribute='config_hash') | unique | list) %}
  {% do lineage_audit._check_asked_column(request, rows, refusals, target_column) %}
  {% set answer = lineage_audit._trace_answer(request, rows, lineage_audit._replays(request, rows), rules, refusals, target_column) %}
  {% do answer.update({'upstream': lineage_audit._upstream_of_mapped(lineage, request, rows, target_column) if target_column is not none else []}) if lineage is not none %}
  {% do print(tojson(answer) if output == 'json' else lineage_audit._trace_text(answer)) %}
{% endmacro %}

{#- What lies upstream of a mapped cell, as the warehouse holds it now: of one column, and of a row that gold holds as it was traced. -#}
{% macro _upstream_of_mapped(lineage, request, rows, target_column) %}
  {% set table = request.written.target_relation %}
  {#- A column that gold has no more, or that came after the graph was made, has no edges. -#}
  {% set columns = [] %}
  {% for edge in lineage.edges if edge.downstream_table == table and (edge.downstream_column or '') | lower == target_column | lower %}
    {% do columns.append(edge.downstream_column) %}
  {% endfor %}
  {% if not columns or not rows or rows[0].gold_row_count != 1 %}
    {% do return([]) %}
  {% endif %}
  {% set key = {} %}
  {% for part in request.key %}
    {% do key.update({part.column.name: part.given}) %}
  {% endfor %}
  {% do return(lineage_audit._shown_upstream(
    lineage_audit._upstream_steps(lineage, table, columns[0], key, lineage_audit._marked_columns(lineage), true)
  )) %}
{% endmacro %}

{#- A key that a run wrote twice has two rows per column. -#}
{% macro _one_row_per_column(rows) %}
  {% set positions = [] %}
  {% set kept = [] %}
  {% for row in rows | sort(attribute='column_position') %}
    {% if row.column_position not in positions %}
      {% do positions.append(row.column_position) %}
      {% do kept.append(row) %}
    {% endif %}
  {% endfor %}
  {% do return(kept) %}
{% endmacro %}

{#- The rules under some config hashes, each once. -#}
{% macro _rules_under(config_hashes) %}
  {% set rules = [] %}
  {% if config_hashes %}
    {% set sql = 'select distinct\n  config_hash,\n  business_rule_id,\n  rule_category,\n  transform_expr,\n  severity,\n  message\nfrom '
      ~ lineage_audit._store('config_version') ~ "\nwhere kind = 'rule' and config_hash in " ~ lineage_audit._in_list(config_hashes) %}
    {% do rules.extend(lineage_audit._json_rows(sql)) %}
  {% endif %}
  {% do return(rules | sort(attribute='business_rule_id') | list) %}
{% endmacro %}

{#- What the recomputation of the cells gives: {column_position: {replayed_value, is_unreadable}}. -#}
{% macro _replays(request, rows) %}
  {% set columns = [] %}
  {% set cells = [] %}
  {% for row in rows %}
    {% set column = lineage_audit._pinned_column(row, request.written.gold_columns) %}
    {% if column.unprovable is none %}
      {% do columns.append(column) %}
      {% do cells.append(
        'select\n        ' ~ column.position ~ ' as _lineage_position,\n        cast(' ~ lineage_audit.list_of_texts(row.source_values) ~ ' as '
        ~ lineage_audit.store_types().texts ~ ') as _lineage_values'
      ) %}
    {% endif %}
  {% endfor %}
  {% set replays = {} %}
  {% if columns %}
    {% set relation = '(\n      ' ~ cells | join('\n      union all\n      ') ~ '\n    ) as cells' %}
    {% for row in lineage_audit._json_rows(lineage_audit._replayed_cells(relation, [], columns)) %}
      {% do replays.update({row.column_position: row}) %}
    {% endfor %}
  {% endif %}
  {% do return(replays) %}
{% endmacro %}

{% macro _check_asked_column(request, rows, refusals, target_column) %}
  {% if target_column is not none %}
    {% set names = rows | map(attribute='target_column') | list %}
    {% if not rows %}
      {% do names.extend(fromjson(refusals[0].mapped_values_json).keys()) %}
    {% endif %}
    {% if (target_column | lower) not in names | map('lower') %}
      {% do exceptions.raise_compiler_error(
        "lineage_audit: '" ~ target_column ~ "' was no mapped column of " ~ request.written.target_table ~ ' in that run. '
        ~ lineage_audit._did_you_mean(target_column, names, 'There are: ' ~ names | join(', ') ~ '.')
      ) %}
    {% endif %}
  {% endif %}
{% endmacro %}

{% macro _raise_unknown_record(request) %}
  {% set written = request.written %}
  {% set given = request.key | map(attribute='given') | list %}
  {% set target_pk = given[0] if given | length == 1 else tojson(given).replace('", "', '","') %}
  {% set record = written.target_table ~ ' / ' ~ target_pk %}
  {% if request.run_id is not none %}
    {% set runs = [] %}
    {% for row in run_query(
      'select run_id\nfrom ' ~ lineage_audit._store('run_event') ~ "\nwhere event_type = 'SUCCESS' and target_relation = " ~ lineage_audit.text_literal(written.target_relation)
      ~ '\ngroup by run_id\norder by max(event_ts) desc\nlimit 1000'
    ).rows %}
      {% do runs.append(row[0] | string) %}
    {% endfor %}
    {% if request.run_id not in runs %}
      {% do exceptions.raise_compiler_error(
        "lineage_audit: no successful run of " ~ written.target_relation ~ " has the run_id '" ~ request.run_id ~ "'. "
        ~ lineage_audit._did_you_mean(request.run_id, runs, 'The last one: ' ~ runs[0] ~ '.')
      ) %}
    {% endif %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: run ' ~ request.run_id ~ ' neither wrote nor refused ' ~ record ~ ', or its lineage stood in rows (capture in_row) that gold holds no more. Leave run_id out for the last answer.'
    ) %}
  {% elif request.as_of is not none %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: at ' ~ request.as_of ~ ' UTC ' ~ record ~ ' was neither written nor refused, as far as the audit store knows. Leave as_of out for the last answer.'
    ) %}
  {% endif %}
  {% set keys = lineage_audit._keys_like(request) %}
  {% do exceptions.raise_compiler_error(
    'lineage_audit: no run has written or refused ' ~ record ~ '. ' ~ lineage_audit._did_you_mean(target_pk, keys, 'Look for the key in ' ~ written.target_relation ~ '.')
  ) %}
{% endmacro %}

{#- The keys in gold that differ least from the one asked for. -#}
{% macro _keys_like(request) %}
  {% set written = request.written %}
  {% set keys = [] %}
  {% if written.gold is not none and not written.key_columns | rejectattr('sensitivity', 'equalto', 'none') | list %}
    {% set target_pk = lineage_audit._target_pk(written.layouts[0]) %}
    {% set rows = lineage_audit._json_rows(
      'select\n  target_pk\nfrom (select ' ~ target_pk ~ ' as target_pk from ' ~ written.gold ~ ') as keys\nwhere target_pk is not null\ngroup by target_pk\norder by levenshtein(target_pk, '
      ~ request.target_pk ~ '), target_pk\nlimit 10'
    ) %}
    {% do keys.extend(rows | map(attribute='target_pk')) %}
  {% endif %}
  {% do return(keys) %}
{% endmacro %}
