{#- The names that look most like one that was not found, best first: by the pairs of letters that they share
    (Sørensen–Dice coefficient). -#}
{% macro nearest_names(name, candidates, most=3, least=0.3) %}
  {% set wanted = lineage_audit._letter_pairs(name) %}
  {% set scored = [] %}
  {% for candidate in candidates %}
    {% set pairs = lineage_audit._letter_pairs(candidate) %}
    {% set shared = namespace(count=0) %}
    {% for pair in wanted %}
      {% if pair in pairs %}
        {% set shared.count = shared.count + 1 %}
      {% endif %}
    {% endfor %}
    {% set score = 2 * shared.count / (wanted | length + pairs | length) %}
    {% if score > least %}
      {% do scored.append({'score': 0 - score, 'name': candidate}) %}
    {% endif %}
  {% endfor %}
  {% set names = [] %}
  {% for candidate in scored | sort(attribute='score') %}
    {% if loop.index <= most %}
      {% do names.append(candidate.name) %}
    {% endif %}
  {% endfor %}
  {% do return(names) %}
{% endmacro %}

{% macro _letter_pairs(name) %}
  {% set text = '^' ~ (name | lower) ~ '$' %}
  {% set pairs = [] %}
  {% for position in range(text | length - 1) %}
    {% do pairs.append(text[position:position + 2]) %}
  {% endfor %}
  {% do return(pairs) %}
{% endmacro %}
