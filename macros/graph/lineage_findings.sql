{#- SQL of the rows of lineage_reconciliation that a check is to look at. -#}
{% macro lineage_findings(findings=none, layers=none, owners=none) %}
  {% do return(lineage_audit._lineage_findings_sql(ref('lineage_audit', 'lineage_reconciliation'), none, findings, layers, owners)) %}
{% endmacro %}

{% macro _lineage_findings_sql(reconciliation, table_name, findings, layers, owners) %}
  {% set known = lineage_audit._lineage_findings() %}
  {% set asked = [findings] if findings is string else findings %}
  {% set problems = [] %}
  {% for finding in asked or [] if finding not in known %}
    {% do problems.append("'" ~ finding ~ "' is no finding of lineage_reconciliation. " ~ lineage_audit._did_you_mean(finding | string, known, 'There are: ' ~ known | join(', ') ~ '.')) %}
  {% endfor %}
  {% if problems %}
    {% do exceptions.raise_compiler_error('lineage_audit: ' ~ problems | join('\n  ')) %}
  {% endif %}
  {% set predicates = [] %}
  {% if table_name is not none %}
    {% do predicates.append('table_name = ' ~ lineage_audit.text_literal(table_name)) %}
  {% endif %}
  {% for column, values in {'finding': asked, 'layer': layers, 'owner': owners}.items() if values is not none %}
    {% do predicates.append(column ~ ' in ' ~ lineage_audit._in_list([values] if values is string else values)) %}
  {% endfor %}
  {% do return('select *\nfrom ' ~ reconciliation ~ ('\n' ~ lineage_audit._where(predicates, '') if predicates else '')) %}
{% endmacro %}
