{#- What a FAILED event says: the engine's message, then target column and expression at the place that the engine names.
    Of a model with marked columns only the class of the error is kept beside them: the rest may quote data. -#}
{% macro _error_text(message, plan, node) %}
  {% set is_own = 'lineage_audit:' in message %}
  {% set sensitive = plan.get('fields', []) | rejectattr('mark', 'equalto', 'none') | list | length > 0 %}
  {% set text = message %}
  {% if sensitive and not is_own %}
    {% set text = lineage_audit._error_classes(message) ~ ' (the message is not kept: the model has columns marked mask or hash)' %}
  {% endif %}
  {% if is_own or not plan %}
    {% do return(text) %}
  {% endif %}
  {% set lines = [text] %}
  {% for column in lineage_audit._columns_at_fault(message, plan, node) %}
    {% do lines.append('target column ' ~ column.name ~ ', expression ' ~ column.shown_expression) %}
  {% endfor %}
  {% do return(lines | join('\n')) %}
{% endmacro %}

{% macro _error_classes(message) %}
  {% set classes = modules.re.findall('(?:[A-Z][A-Za-z]+ )+Error|\\[[A-Z_]+(?:\\.[A-Z_]+)*\\]', message) %}
  {% do return(classes | unique | join(', ') or 'error') %}
{% endmacro %}

{#- By the place in the SQL where the engine gives one, else by the source columns that its message names. -#}
{% macro _columns_at_fault(message, plan, node) %}
  {% set computed = plan.columns | rejectattr('identity') | list %}
  {% set found = [] %}
  {% set fragment = modules.re.search('== SQL[^\\n]*==\\n(.*?)\\n *\\^', message, modules.re.DOTALL) %}
  {% if fragment %}
    {% set text = fragment.group(1).split('\n')[-1] | trim %}
    {% for column in computed %}
      {% if text in column.expression or text in (column.default_expression or '') or (column.expression ~ ' as ' ~ column.value) in text %}
        {% do found.append(column) %}
      {% endif %}
    {% endfor %}
  {% endif %}
  {% set place = lineage_audit._duckdb_place(message, node) %}
  {% if place is not none %}
    {% for column in computed %}
      {% set start = node.compiled_code.find(column.expression ~ ' as ' ~ column.value) %}
      {% if start >= 0 and start <= place and place < start + column.expression | length %}
        {% do found.append(column) %}
      {% endif %}
    {% endfor %}
  {% endif %}
  {% if not found %}
    {% for name in modules.re.findall('(?:source column|Referenced column|with name|cannot resolve|routine) ["`\']?([^"`\'\\s]+)', message) %}
      {% for column in computed %}
        {% if modules.re.search('(?<![A-Za-z0-9_])' ~ modules.re.escape(name) ~ '(?![A-Za-z0-9_])', column.expression) and column not in found %}
          {% do found.append(column) %}
        {% endif %}
      {% endfor %}
    {% endfor %}
  {% endif %}
  {% do return(found) %}
{% endmacro %}

{#- Where in the compiled SQL DuckDB's "LINE n: …" with its ^ points to, none if nowhere. DuckDB 2.0 counts the place in the
    whole statement and shows it in the statement without its leading comment: the comment that dbt writes in front
    is taken off again. -#}
{% macro _duckdb_place(message, node) %}
  {#- dbt indents the lines of a message, the first one apart, by two. -#}
  {% set found = modules.re.search('( *)(LINE [0-9]+: )([^\\n]*)\\n( *)\\^', message) %}
  {% if not found or not found.group(3) | trim or not node.compiled_code %}
    {% do return(none) %}
  {% endif %}
  {% set shown = found.group(3) %}
  {% set line_start = node.compiled_code.find(shown | trim) %}
  {% if line_start < 0 %}
    {% do return(none) %}
  {% endif %}
  {% set column = found.group(4) | length - found.group(1) | length - found.group(2) | length %}
  {% set leading = shown | length - shown | trim | length %}
  {% set comment = '/* ' ~ tojson({
    'app': 'dbt', 'dbt_version': dbt_version, 'profile_name': target.profile_name, 'target_name': target.name, 'node_id': node.unique_id
  }) ~ ' */' %}
  {% do return(line_start + column - leading - comment | length - 1) %}
{% endmacro %}
