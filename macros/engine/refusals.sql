{#- Which of the questions [{query, tell_why}] the engine refuses to compile: {position in the list: message}, without
    running one. A refusal comes back as data, where it would otherwise end the dbt command: Jinja catches no error. -#}
{% macro refusals(questions) %}
  {% do return(adapter.dispatch('refusals', 'lineage_audit')(questions)) %}
{% endmacro %}

{% macro default__refusals(questions) %}
  {% do return(lineage_audit._unsupported('refusals')) %}
{% endmacro %}

{#- A plan that DuckDB can make and not write down ('not implemented', 'serialization') is none that it refuses. -#}
{% macro duckdb__refusals(questions) %}
  {% set messages = {} %}
  {% if questions %}
    {% set values = [] %}
    {% for question in questions %}
      {% do values.append('(' ~ loop.index0 ~ ', ' ~ lineage_audit.text_literal(question.query) ~ ')') %}
    {% endfor %}
    {% for row in run_query(
      "select\n  position,\n  plan ->> '$.error_type' as error_type,\n  plan ->> '$.error_message' as error_message\nfrom (\n  select\n    position,\n    json_serialize_plan(query) as plan\n  from (values\n    "
      ~ values | join(',\n    ') ~ "\n  ) as queries (position, query)\n) as plans\nwhere (plan ->> '$.error') = 'true'"
    ).rows %}
      {% if row[1] not in ['not implemented', 'serialization'] %}
        {% do messages.update({row[0] | int: row[2] | replace('\n', ' ') | trim}) %}
      {% endif %}
    {% endfor %}
  {% endif %}
  {% do return(messages) %}
{% endmacro %}

{#- Where the question is why, `explain` tells, one by one: as an argument of `execute immediate` a syntax error, too, is an error
    of analysis, which `explain` returns. -#}
{% macro spark__refusals(questions) %}
  {% set messages = {} %}
  {% for position in lineage_audit._refused_in_script(questions | map(attribute='query') | list) %}
    {% set question = questions[position] %}
    {% do messages.update({position: lineage_audit._why_spark_refuses(question.query) if question.get('tell_why') else 'refused'}) %}
  {% endfor %}
  {% do return(messages) %}
{% endmacro %}

{#- One script executes all statements, and knows only which are refused: their positions. -#}
{% macro _refused_in_script(statements) %}
  {% if not statements %}
    {% do return([]) %}
  {% endif %}
  {% set lines = ['begin', '  declare _lineage_refused array<string> default array();'] %}
  {% for statement in statements %}
    {% do lines.extend([
      '  begin',
      "    declare exit handler for sqlexception set _lineage_refused = array_append(_lineage_refused, '" ~ loop.index0 ~ "');",
      '    execute immediate ' ~ lineage_audit.text_literal(statement) ~ ';',
      '  end;'
    ]) %}
  {% endfor %}
  {% do lines.extend(["  select array_join(_lineage_refused, ',') as refused;", 'end']) %}
  {% set refused = run_query(lines | join('\n')).rows[0][0] %}
  {% do return(refused.split(',') | map('int') | list if refused else []) %}
{% endmacro %}

{% macro _why_spark_refuses(query) %}
  {% set lines = [] %}
  {% for row in run_query('explain execute immediate ' ~ lineage_audit.text_literal(query)).rows %}
    {% do lines.append(row[0]) %}
  {% endfor %}
  {% set message = modules.re.search('\\[[A-Z_.]+\\] .*', lines | join('\n')) %}
  {% do return(modules.re.sub('\\s*SQLSTATE:.*$', '', message.group(0)) if message else lines | join(' ')) %}
{% endmacro %}
