{#- `trace` of a table that no mapping makes: a model with SQL of its own, a seed or a source. The lineage graph knows it. -#}

{#- Does a mapped model build the table? -#}
{% macro _is_mapped_name(target_table) %}
  {% for node in graph.nodes.values() if node.resource_type == 'model' and lineage_audit._is_mapped(node) %}
    {% if target_table in [node.name, node.config.meta.lineage_audit.get('target_table')] %}
      {% do return(true) %}
    {% endif %}
  {% endfor %}
  {% do return(false) %}
{% endmacro %}

{#- The answer, with the keys of `trace`: what only mapped tables have is empty. -#}
{% macro _plain_trace_answer(lineage, target_table, target_pk, target_column) %}
  {% set table = lineage_audit._graph_table(lineage, target_table) %}
  {% set relation = lineage_audit._relation_of_table(lineage, table) %}
  {% if relation is none %}
    {% do exceptions.raise_compiler_error('lineage_audit: ' ~ table ~ ' is no table of this warehouse: trace needs one that is built.') %}
  {% endif %}
  {% set columns = lineage_audit._columns_by_name(relation) %}
  {% set names = columns.values() | map(attribute='name') | list %}
  {% set problems = [] %}
  {% if target_pk is not mapping or not target_pk %}
    {% do problems.append('no mapping tells the key of ' ~ table ~ ': write target_pk as {' ~ names[0] ~ ': …}, with columns that tell the row.') %}
  {% endif %}
  {% for name in (target_pk.keys() if target_pk is mapping else []) | list + ([target_column] if target_column is not none else []) if (name | string | lower) not in columns %}
    {% do problems.append(table ~ " has no column '" ~ name ~ "'. " ~ lineage_audit._did_you_mean(name | string, names, 'It has: ' ~ names | join(', ') ~ '.')) %}
  {% endfor %}
  {% if problems %}
    {% do exceptions.raise_compiler_error('lineage_audit: ' ~ problems | join('\n  ')) %}
  {% endif %}
  {% set key = {} %}
  {% for name, value in target_pk.items() %}
    {% do key.update({columns[name | string | lower].name: none if value is none else (value | string | lower) if value is boolean else value | string}) %}
  {% endfor %}
  {% set marked = lineage_audit._marked_columns(lineage) %}
  {% set answered = [] %}
  {% set state = namespace(row_count=0) %}
  {% for name in ([columns[target_column | lower].name] if target_column is not none else names) %}
    {% set is_marked = lineage_audit._is_marked(marked, table, name) %}
    {% set rows = lineage_audit._asked_rows(lineage, table, none if is_marked else name, key) %}
    {% set state.row_count = rows.row_count %}
    {% do answered.append({'target_column': name, 'value': rows.column_value, 'value_is': 'marked' if is_marked else 'table', 'data_type': columns[name | lower].type}) %}
  {% endfor %}
  {% if state.row_count == 0 %}
    {% do exceptions.raise_compiler_error('lineage_audit: ' ~ table ~ ' has no row with ' ~ tojson(key) ~ '.') %}
  {% endif %}
  {% do return({
    'schema_version': 1, 'target_table': target_table, 'target_relation': table, 'target_pk': key, 'as_of': none, 'gold_row_count': state.row_count, 'run': none, 'warnings': [],
    'columns': answered, 'refusals': [],
    'upstream': lineage_audit._shown_upstream(lineage_audit._upstream_steps(lineage, table, lineage_audit._graph_column(lineage, table, target_column), key, marked)) if target_column is not none else []
  }) %}
{% endmacro %}

{% macro _plain_trace_text(answer) %}
  {% set key = [] %}
  {% for name, value in answer.target_pk.items() %}
    {% do key.append(name ~ ' ' ~ lineage_audit._value_text(value)) %}
  {% endfor %}
  {% set heading = answer.target_relation.split('.')[-1] ~ ' with ' ~ key | join(', ') ~ (' (' ~ answer.gold_row_count ~ ' rows)' if answer.gold_row_count > 1 else '') %}
  {% set pairs = [] %}
  {% for column in answer.columns %}
    {% do pairs.append([column.target_column, '=', 'not shown: it is marked mask or hash, or made of such a column' if column.value_is == 'marked' else lineage_audit._value_text(column.value)]) %}
  {% endfor %}
  {% if answer.columns | length == 1 %}
    {% do return(heading ~ ': ' ~ pairs[0] | join(' ') ~ ('\n' ~ lineage_audit._upstream_text(answer.upstream) if answer.upstream else '')) %}
  {% endif %}
  {% do return(heading ~ '\n  ' ~ lineage_audit._aligned(pairs) | join('\n  ')) %}
{% endmacro %}
