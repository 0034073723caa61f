{#- What gold itself holds of its records: source values and, where it keeps them, the refused ones. -#}

{#- Of a table that keeps its refused rows. -#}
{% macro _is_accepted() %}
  {% do return(lineage_audit.list_length('_lineage_failed_rules') ~ ' = 0') %}
{% endmacro %}

{% macro _is_refused() %}
  {% do return(lineage_audit.list_length('_lineage_failed_rules') ~ ' > 0') %}
{% endmacro %}

{#- The refused records in a gold table, as expressions: [{record_key, where}]. A record without a key is known by source
    values, of the columns that the run which refused it read. -#}
{% macro _kept_records(plan) %}
  {% set target_pk = lineage_audit._target_pk(plan) %}
  {% set kept = [{'record_key': target_pk, 'where': [lineage_audit._is_refused(), target_pk ~ ' is not null']}] %}
  {% for fields in plan.unkeyed %}
    {% do kept.append({
      'record_key': lineage_audit.sha256_of(lineage_audit._source_values_json(fields)), 'where': [lineage_audit._is_refused(), target_pk ~ ' is null']
    }) %}
  {% endfor %}
  {% do return(kept) %}
{% endmacro %}

{#- The same as rows of rejected_record, such as _open_record_ctes takes them: as far as it tells one from another. -#}
{% macro _kept_rejections(plan) %}
  {% set selects = [] %}
  {% for kept in lineage_audit._kept_records(plan) %}
    {% do selects.append('select\n    ' ~ [
      lineage_audit.text_literal(plan.target_relation) ~ ' as target_relation',
      '_lineage_invocation_id as invocation_id',
      kept.record_key ~ ' as record_key',
      lineage_audit._target_pk(plan) ~ ' as target_pk',
      '_lineage_failed_rules as failed_rules',
      'cast(null as ' ~ lineage_audit.store_types().text ~ ') as mapped_values_json',
      lineage_audit._source_values_json(plan.fields) ~ ' as source_values_json'
    ] | join(',\n    ') ~ '\n  from ' ~ plan.gold ~ '\n' ~ lineage_audit._where(kept.where, '  ')) %}
  {% endfor %}
  {% do return('(\n  ' ~ selects | join('\n  union all\n  ') ~ '\n)') %}
{% endmacro %}

{#- How the rows that gold holds now were laid out by the runs that wrote them, one layout unless config or capture have
    changed since the table was built: {gold, target_relation, target_table, keeps_refused, layouts: [{hash, columns, fields}],
    gold_columns: [{name, type}], reader: the model or operation that asks}, columns and fields as in a plan. none where the table or its runs are not there. -#}
{% macro _gold_as_written(source) %}
  {% set gold = lineage_audit._relation_as_built(source) %}
  {% set target_relation = lineage_audit._relation_text(gold) %}
  {% set events = lineage_audit._store('run_event') %}
  {% if lineage_audit._is_fixture(source) or lineage_audit._missing_relations({'gold': gold, 'the audit store': events}) %}
    {% do return(none) %}
  {% endif %}
  {% set of_gold = "event_type = 'SUCCESS' and target_relation = " ~ lineage_audit.text_literal(target_relation) %}
  {% set rows = run_query(
    'select\n  source_fields,\n  target_columns,\n  max(target_table) as target_table\nfrom ' ~ events ~ '\nwhere ' ~ of_gold
    ~ '\n  and event_ts >= (select max(event_ts) from ' ~ events ~ ' where ' ~ of_gold ~ ' and whole_table)\ngroup by source_fields, target_columns'
  ).rows %}
  {% if rows | length == 0 %}
    {% do return(none) %}
  {% endif %}
  {% set gold_columns = lineage_audit.columns_of(gold) %}
  {% set layouts = [] %}
  {% for row in rows %}
    {% set fields = [] %}
    {% for field in lineage_audit._recorded_fields(fromjson(row[0] or '[]')) %}
      {% do fields.append({'name': field.name, 'field_type': field.field_type, 'verbatim': none if field.in_struct else field.gold_column}) %}
    {% endfor %}
    {% set columns = [] %}
    {% for column in fromjson(row[1] or '[]') %}
      {% if 'mark' in column and lineage_audit._find_column(gold_columns, column.name) %}
        {% do columns.append(lineage_audit._column_as_written(column)) %}
      {% endif %}
    {% endfor %}
    {% if not columns %}
      {% do exceptions.raise_compiler_error(
        'lineage_audit: model ' ~ model.name ~ ' reads ' ~ target_relation ~ ', which holds rows that an earlier version of the package wrote: it did not note where their source values are. '
        ~ 'Run that model once with --full-refresh, or read column_lineage.'
      ) %}
    {% endif %}
    {% do layouts.append({'hash': local_md5((row[0] or '') ~ (row[1] or '')), 'fields': fields, 'columns': columns}) %}
  {% endfor %}
  {% do return({
    'gold': gold, 'target_relation': target_relation, 'target_table': rows[0][2], 'layouts': layouts | sort(attribute='hash') | list,
    'keeps_refused': lineage_audit._find_column(gold_columns, '_lineage_failed_rules') is not none, 'gold_columns': gold_columns,
    'reader': model.name
  }) %}
{% endmacro %}

{#- A column of gold, such as _mapped_text takes it. A hashed one that is a source column is read where it stands hashed: who
    reads a view need not have the key. -#}
{% macro _column_as_written(column) %}
  {% if column.mark == 'hash' and column.source_field %}
    {% do return({
      'name': column.name, 'quoted': '_lineage_source_values.' ~ lineage_audit.quote_name(column.source_field), 'type': lineage_audit.store_types().text,
      'mark': 'none', 'is_key': column.is_key, 'sensitivity': column.mark
    }) %}
  {% endif %}
  {% do return({'name': column.name, 'quoted': lineage_audit.quote_name(column.name), 'type': column.type, 'mark': column.mark, 'is_key': column.is_key, 'sensitivity': column.mark}) %}
{% endmacro %}

{#- A CTE that follows _committed_ctes: the runs whose rows gold holds, each with the place of its layout, 0 where this SQL
    does not know it. -#}
{% macro _gold_runs_cte(written) %}
gold_runs as (
  select
    committed.*,
    case md5(events.source_fields || events.target_columns)
{%- for layout in written.layouts %}
      when '{{ layout.hash }}' then {{ loop.index }}
{%- endfor %}
      else 0
    end as layout
  from committed
  inner join {{ lineage_audit._store('run_event') }} as events
    on committed.attempt_id = events.attempt_id
    and events.event_type = 'SUCCESS'
  where committed.target_relation = {{ lineage_audit.text_literal(written.target_relation) }}
    and committed.committed_ts >= (
      select max(committed_ts)
      from successes
      where target_relation = {{ lineage_audit.text_literal(written.target_relation) }} and whole_table
    )
)
{%- endmacro %}

{#- Selects over gold, one per layout, with what each row's own run says of it; and one that fails where there is a layout
    that came after this SQL. -#}
{% macro _select_per_layout(written, items_of, predicate, out_of_date) %}
  {% set selects = [] %}
  {% for layout in written.layouts %}
    {% set predicates = ['_lineage_invocation_id in (select invocation_id from gold_runs where layout = ' ~ loop.index ~ ')'] %}
    {% do selects.append('select\n    ' ~ items_of(written, layout) | join(',\n    ') ~ '\n  from ' ~ written.gold ~ '\n'
      ~ lineage_audit._where(predicates + ([predicate] if predicate else []), '  ')) %}
  {% endfor %}
  {% do selects.append('select\n    ' ~ out_of_date | join(',\n    ') ~ '\n  from gold_runs\n  where layout < 1') %}
  {% do return(selects | join('\n  union all\n  ')) %}
{% endmacro %}

{#- With the condition inside: Spark looks at what a query filters or joins by before it knows the layout of a run. -#}
{% macro _raise_out_of_date(written) %}
  {% set text = 'lineage_audit: since this view was built, ' ~ written.target_relation ~ ' was written from another config; build the view again: dbt run --select ' ~ written.reader ~ '. The run: ' %}
  {% do return('case when layout < 1 then ' ~ lineage_audit.raise_in_sql(lineage_audit.text_literal(text) ~ ' || run_id') ~ ' end') %}
{% endmacro %}

{#- CTE: the refused rows of a table that keeps them, as rows of rejected_record. -#}
{% macro _kept_cte(written) %}
  {% set text = lineage_audit.store_types().text %}
  {% set fails = 'cast(' ~ lineage_audit._raise_out_of_date(written) ~ ' as ' ~ text ~ ')' %}
  {% set out_of_date = [
    'run_id', 'invocation_id', 'target_relation', 'target_table', fails ~ ' as record_key', 'null as target_pk', lineage_audit.list_of([fails]) ~ ' as failed_rules',
    'null as mapped_values_json', 'null as source_values_json'
  ] %}
  {% do return('kept as (\n  ' ~ lineage_audit._select_per_layout(written, lineage_audit._kept_items, lineage_audit._is_refused(), out_of_date) ~ '\n)') %}
{% endmacro %}

{% macro _kept_items(written, layout) %}
  {% set target_pk = lineage_audit._target_pk(layout) %}
  {% set source_values_json = lineage_audit._source_values_json(layout.fields) %}
  {% do return([
    '_lineage_run_id as run_id',
    '_lineage_invocation_id as invocation_id',
    lineage_audit.text_literal(written.target_relation) ~ ' as target_relation',
    lineage_audit.text_literal(written.target_table) ~ ' as target_table',
    'coalesce(' ~ target_pk ~ ', ' ~ lineage_audit.sha256_of(source_values_json) ~ ') as record_key',
    target_pk ~ ' as target_pk',
    '_lineage_failed_rules as failed_rules',
    lineage_audit._mapped_values_json(layout) ~ ' as mapped_values_json',
    source_values_json ~ ' as source_values_json'
  ]) %}
{% endmacro %}
