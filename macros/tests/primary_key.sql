{% test primary_key(model) -%}
{{ lineage_audit._primary_key_test(model) }}
{%- endtest %}

{% macro _primary_key_test(rows) %}
  {% set relations = lineage_audit._config_relations() %}
  {% set tested = lineage_audit._tested_when_built(rows, relations) %}
  {% if tested is string %}
    {% do return(tested) %}
  {% endif %}
  {% do return(lineage_audit._primary_key_sql(lineage_audit._accepted_of_tested(tested), lineage_audit._key_of_tested(tested, lineage_audit._config_tables(relations)))) %}
{% endmacro %}

{#- Values are compared, not their texts: without the hash key hashed texts would all be NULL. -#}
{% macro _primary_key_sql(rows, key) %}
  {% set names = key | map(attribute='quoted') | list %}
  {% set reasons = [] %}
  {% set given = [] %}
  {% for column in key %}
    {% do reasons.append('case when ' ~ column.quoted ~ ' is null then ' ~ lineage_audit.text_literal('not_null:' ~ column.name) ~ ' end') %}
    {% do given.append(column.quoted ~ ' is not null') %}
  {% endfor %}
  {% do reasons.append('case when _lineage_row_count > 1 and ' ~ given | join(' and ') ~ " then 'duplicate_key' end") %}
  {% set texts = [] %}
  {% for column in key %}
    {% do texts.append(lineage_audit._mapped_text(column)) %}
  {% endfor %}
  {% set counted = lineage_audit._cte('counted', names + ['count(*) as _lineage_row_count'], rows ~ '\n  group by ' ~ names | join(', '), []) %}
  {% set judged = lineage_audit._cte('judged', [
    (texts[0] if texts | length == 1 else lineage_audit.json_array(texts)) ~ ' as target_pk',
    lineage_audit.list_without_nulls(reasons, '    ') ~ ' as reasons',
    '_lineage_row_count as row_count'
  ], 'counted', []) %}
  {% do return('with ' ~ counted ~ ',\n' ~ judged ~ '\nselect\n  target_pk,\n  reason,\n  row_count\nfrom ' ~ lineage_audit.unnested('judged', 'reasons', 'reason')) %}
{% endmacro %}
