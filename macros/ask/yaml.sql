{#- Values as the YAML of dbt's properties. -#}

{#- A mapping as YAML, block by block. A text is what it says, also where dbt would see Jinja in it; {text: …} is one too, {jinja: …}
    stays Jinja. -#}
{% macro _yaml(value) %}
  {% do return(lineage_audit._yaml_lines(value) | join('\n')) %}
{% endmacro %}

{% macro _yaml_lines(value) %}
  {% set lines = [] %}
  {% if value is mapping %}
    {% for key, item in value.items() %}
      {% if lineage_audit._is_yaml_scalar(item) %}
        {% do lines.append(lineage_audit._yaml_text(key) ~ ': ' ~ lineage_audit._yaml_scalar(item)) %}
      {% else %}
        {% do lines.append(lineage_audit._yaml_text(key) ~ ':') %}
        {% for line in lineage_audit._yaml_lines(item) %}
          {% do lines.append('  ' ~ line) %}
        {% endfor %}
      {% endif %}
    {% endfor %}
  {% else %}
    {% for item in value %}
      {% set inner = ['- ' ~ lineage_audit._yaml_scalar(item)] if lineage_audit._is_yaml_scalar(item) else [] %}
      {% for line in ([] if inner else lineage_audit._yaml_lines(item)) %}
        {% do inner.append(('- ' if loop.first else '  ') ~ line) %}
      {% endfor %}
      {% do lines.extend(inner) %}
    {% endfor %}
  {% endif %}
  {% do return(lines) %}
{% endmacro %}

{% macro _is_yaml_scalar(value) %}
  {% do return(value is none or value is string or value is number or value is boolean or value == [] or (value is mapping and ('text' in value or 'jinja' in value))) %}
{% endmacro %}

{% macro _yaml_scalar(value) %}
  {% if value is string %}
    {% do return(lineage_audit._yaml_text(lineage_audit._not_jinja(value))) %}
  {% elif value is mapping and 'jinja' in value %}
    {% do return(lineage_audit._yaml_text(value.jinja)) %}
  {% elif value is mapping %}
    {% do return(lineage_audit._yaml_text(lineage_audit._not_jinja(value.text))) %}
  {% elif value is boolean %}
    {% do return('true' if value else 'false') %}
  {% endif %}
  {% do return('null' if value is none else value | string) %}
{% endmacro %}

{#- A text that dbt renders to itself. -#}
{% macro _not_jinja(text) %}
  {% do return(modules.re.sub('(\\{[{%#])', "{{ '\\1' }}", text)) %}
{% endmacro %}

{#- A text as a YAML scalar: plain where nobody reads a name otherwise, else in double quotes, with escapes for what they can't hold. -#}
{% macro _yaml_text(text) %}
  {% set plain = modules.re.match('^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z0-9_]+)*$', text) %}
  {% if plain and (text | lower) not in ['true', 'false', 'null', 'yes', 'no', 'on', 'off', 'y', 'n'] %}
    {% do return(text) %}
  {% endif %}
  {% set quoted = namespace(text=text.replace('\\', '\\\\').replace('"', '\\"').replace('\n', '\\n')) %}
  {% for character in modules.re.findall('[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ufeff\\ufffe\\uffff]', quoted.text) | unique %}
    {% set quoted.text = quoted.text.replace(character, tojson(character)[1:-1]) %}
  {% endfor %}
  {% do return('"' ~ quoted.text ~ '"') %}
{% endmacro %}
