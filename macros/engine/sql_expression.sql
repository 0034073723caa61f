{#- An expression from config as the engine has to be given it. -#}
{% macro sql_expression(expression) %}
  {% do return(adapter.dispatch('sql_expression', 'lineage_audit')(expression)) %}
{% endmacro %}

{% macro default__sql_expression(expression) %}
  {% do return(lineage_audit._unsupported('sql_expression')) %}
{% endmacro %}

{% macro duckdb__sql_expression(expression) %}
  {% do return(expression) %}
{% endmacro %}

{#- Spark expands ${…} in any statement before it parses it. Within a literal it is text: only there is it escaped; r'…' knows no escapes, and is cut in two. -#}
{% macro spark__sql_expression(expression) %}
  {% set parts = [] %}
  {% for part in modules.re.split(lineage_audit.literal_pattern(), expression) %}
    {% set is_literal = part.startswith("'") or part.startswith('"') %}
    {% if modules.re.match('[rR][\'"]', part) and '${' in part %}
      {% do parts.append('concat(' ~ part.replace('${', '$' ~ part[1] ~ ', ' ~ part[0] ~ part[1] ~ '{') ~ ')') %}
    {% else %}
      {% do parts.append(part.replace('${', '\\u0024{') if is_literal else part) %}
    {% endif %}
  {% endfor %}
  {% do return(parts | join('')) %}
{% endmacro %}

{#- A regular expression, with one group, for what an expression quotes: texts and names. -#}
{% macro literal_pattern() %}
  {% do return(adapter.dispatch('literal_pattern', 'lineage_audit')()) %}
{% endmacro %}

{% macro default__literal_pattern() %}
  {% do return(lineage_audit._unsupported('literal_pattern')) %}
{% endmacro %}

{#- A backslash is a character like any other, but in e'…'; $$…$$ is a text, in which quotes mean nothing. A text between
    tags ($tag$…$tag$) is none here: no pattern with one group can find its end, and checks refuse it. -#}
{% macro duckdb__literal_pattern() %}
  {% do return("((?<![\\w$\\x80-\\U0010ffff])\\$\\$[\\s\\S]*?\\$\\$|(?<![\\w$\\x80-\\U0010ffff])[eE]'(?:[^'\\\\]|''|\\\\[\\s\\S])*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")") %}
{% endmacro %}

{#- In r'…' a backslash is a character like any other. -#}
{% macro spark__literal_pattern() %}
  {% do return("(\\b[rR](?:'[^']*'|\"[^\"]*\")|'(?:[^'\\\\]|''|\\\\[\\s\\S])*'|\"(?:[^\"\\\\]|\"\"|\\\\[\\s\\S])*\"|`(?:[^`]|``)*`)") %}
{% endmacro %}
