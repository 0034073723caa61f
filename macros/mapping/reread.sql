{#- Which source rows below the watermark an incremental run reads again: 'none', 'keys' (those of open records, where they
    are to be reprocessed; those of gold rows that a dead attempt wrote in place of older ones) or 'all'. A strategy that
    overwrites partitions needs all rows of a partition, the accepted ones too. -#}
{% macro _reread(plan, request) %}
  {% if not plan.incremental or not plan.watermark or plan.watermark['from'] is none %}
    {% do return('none') %}
  {% endif %}
  {% set open = request.reprocess and plan.history.has_rejected %}
  {% if request.strategy in ['insert_overwrite', 'replace_where'] %}
    {% do return('all' if open or plan.history.dead else 'none') %}
  {% endif %}
  {% do return('keys' if open or (plan.history.dead and request.strategy != 'append') else 'none') %}
{% endmacro %}

{#- The query whose result a run with reread 'keys' stages: what is new, and once more the rows of the keys in question.
    Where a key has one row in gold, the newest source row of the key alone; where gold appends, the rows that it does
    not hold yet. -#}
{% macro _reread_sql(plan) %}
  {% set keys = [] %}
  {% set ctes = [] %}
  {% if plan.reprocesses %}
    {% set kept = lineage_audit._kept_rejections(plan) if plan.rejected == 'keep' else none %}
    {% do ctes.extend([lineage_audit._committed_ctes() | trim, lineage_audit._open_record_ctes(plan.target_relation, kept) | trim]) %}
    {% do keys.append('select record_key from open_records') %}
  {% endif %}
  {% if plan.history.dead %}
    {% do keys.append('select ' ~ lineage_audit._target_pk(plan) ~ ' as record_key from ' ~ plan.gold ~ '\n  ' ~ lineage_audit._where([lineage_audit._written_by_dead(plan)], '')) %}
  {% endif %}
  {% do ctes.append('reread_keys as (\n  ' ~ keys | join('\n  union\n  ') ~ '\n)') %}

  {% set items = lineage_audit._quoted_names(plan.reads) %}
  {% do items.extend([lineage_audit._newer_than_mark(plan) ~ ' as _lineage_is_new', lineage_audit._source_pk(plan) ~ ' as _lineage_target_pk']) %}
  {% set is_reread = ['_lineage_target_pk in (select record_key from reread_keys)'] %}
  {% for fields in plan.unkeyed %}
    {% do items.append(lineage_audit.sha256_of(lineage_audit._source_row_json(fields)) ~ ' as _lineage_source_key_' ~ loop.index) %}
    {% do is_reread.append('_lineage_source_key_' ~ loop.index ~ ' in (select record_key from reread_keys)') %}
  {% endfor %}
  {% set in_gold = ['_lineage_target_pk = ' ~ lineage_audit._target_pk(plan)] %}
  {% if plan.appends %}
    {% for field in plan.known_in_gold %}
      {% set text = '_lineage_text_' ~ loop.index %}
      {% set held = lineage_audit.text_of_value(field.in_gold, field.field_type) %}
      {% do items.append(lineage_audit._text_in_source(field) ~ ' as ' ~ text) %}
      {% do in_gold.append('(' ~ held ~ ' is null or ' ~ held ~ ' = ' ~ text ~ ')') %}
    {% endfor %}
  {% endif %}
  {% do ctes.append(lineage_audit._cte('keyed', items, plan.unstaged_sql, [])) %}
  {% set bounds = ['(_lineage_is_new or ' ~ is_reread | join(' or ') ~ ')'] %}
  {% if plan.appends %}
    {% do ctes.append(lineage_audit._cte('looked_at', ['*'], 'keyed', bounds)) %}
    {% if plan.history.dead %}
      {% do in_gold.append('not ' ~ lineage_audit._written_by_dead(plan)) %}
    {% endif %}
    {% if plan.rejected == 'keep' %}
      {% do in_gold.append(lineage_audit._is_accepted()) %}
    {% endif %}
    {% set wanted = '_lineage_is_new or not exists (\n  select 1 from ' ~ plan.gold ~ '\n' ~ lineage_audit._where(in_gold, '  ') ~ '\n)' %}
  {% else %}
    {% set one_record = '_lineage_target_pk' ~ (', case when _lineage_target_pk is null then _lineage_source_key_1 end' if plan.unkeyed else '') %}
    {% set age = 'rank() over (partition by ' ~ one_record ~ ' order by ' ~ lineage_audit.quote_name(plan.latest_by or plan.watermark.column) ~ ' desc nulls last) as _lineage_age' %}
    {% do ctes.append(lineage_audit._cte('looked_at', ['*', age], 'keyed', bounds)) %}
    {% set wanted = '_lineage_is_new or _lineage_age = 1' %}
  {% endif %}
  {% do return('with ' ~ ctes | join(',\n') ~ '\nselect\n  ' ~ lineage_audit._quoted_names(plan.reads) | join(',\n  ') ~ '\nfrom looked_at\nwhere ' ~ wanted) %}
{% endmacro %}

{#- target_pk as an expression over the source columns. -#}
{% macro _source_pk(plan) %}
  {% set columns = [] %}
  {% for column in lineage_audit._key_columns(plan) %}
    {% set inline = {} %}
    {% do inline.update(column) %}
    {% do inline.update({'value': '(' ~ column.expression ~ ')', 'default': '(' ~ column.default_expression ~ ')'}) %}
    {% do inline.update({'quoted': lineage_audit._cast(inline)}) %}
    {% do columns.append(inline) %}
  {% endfor %}
  {% do return(lineage_audit._target_pk({'columns': columns})) %}
{% endmacro %}

{#- A source value as text, masked as it is marked, as an expression over the source column. -#}
{% macro _text_in_source(field) %}
  {% do return(lineage_audit.text_of_value(lineage_audit._marked(lineage_audit.quote_name(field.column), field.type, field.mark), field.field_type)) %}
{% endmacro %}

{% macro _source_row_json(fields) %}
  {% set members = [] %}
  {% for field in fields %}
    {% do members.append({'name': field.name, 'expression': lineage_audit._text_in_source(field)}) %}
  {% endfor %}
  {% do return(lineage_audit.json_object(members)) %}
{% endmacro %}

{% macro _written_by_dead(plan) %}
  {% do return('_lineage_invocation_id in ' ~ lineage_audit._in_list(plan.history.dead)) %}
{% endmacro %}
