{#- Texts as Markdown. -#}

{#- A text as code, whatever it holds: fenced by more backticks than it has in a row. -#}
{% macro _code(text) %}
  {% set line = modules.re.sub('\\s+', ' ', text | string) | trim %}
  {% set most = namespace(ticks=0) %}
  {% for run in modules.re.findall('`+', line) %}
    {% set most.ticks = [most.ticks, run | length] | max %}
  {% endfor %}
  {% if most.ticks == 0 %}
    {% do return('`' ~ line ~ '`') %}
  {% endif %}
  {% set fence = '`' * (most.ticks + 1) %}
  {% do return(fence ~ ' ' ~ line ~ ' ' ~ fence) %}
{% endmacro %}
