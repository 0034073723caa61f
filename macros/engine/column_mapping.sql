{#- Readies the gold table for names that its file format can't hold. Called with the plan, before the model's SQL is sent. -#}
{% macro allow_names(plan) %}
  {% do return(adapter.dispatch('allow_names', 'lineage_audit')(plan)) %}
{% endmacro %}

{% macro default__allow_names(plan) %}
  {% do return(lineage_audit._unsupported('allow_names')) %}
{% endmacro %}

{% macro duckdb__allow_names(plan) %}
  {% do return(none) %}
{% endmacro %}

{#- On Delta such names need column mapping. That a table has any is known only now, from the mapping; the adapter makes the
    table with the model's tblproperties, so the property joins those. A table that is there already gets it by a hook. -#}
{% macro spark__allow_names(plan) %}
  {% if not lineage_audit._has_name_for_column_mapping(plan) %}
    {% do return(none) %}
  {% endif %}
  {% set properties = dict(config.get('tblproperties') or {}) %}
  {% do properties.setdefault('delta.columnMapping.mode', 'name') %}
  {% do config.model.config.extra.update({'tblproperties': properties}) %}
  {% if plan.incremental and lineage_audit._is_running() %}
    {% set is_on = namespace(value=false) %}
    {% for row in run_query('show tblproperties ' ~ plan.gold).rows %}
      {% if row[0] == 'delta.columnMapping.mode' and row[1] != 'none' %}
        {% set is_on.value = true %}
      {% endif %}
    {% endfor %}
    {% do plan.update({'turns_on_column_mapping': not is_on.value}) %}
  {% endif %}
{% endmacro %}

{#- Parquet holds no name with a space or one of ,;{}()=, tab and newline. Fields of nested types count too. -#}
{% macro _has_name_for_column_mapping(plan) %}
  {% set names = plan.columns | map(attribute='name') | list %}
  {% do names.extend(plan.struct_fields | map(attribute='name')) %}
  {% for type in (plan.columns | map(attribute='type') | list) + (plan.struct_fields | map(attribute='field_type') | list) %}
    {% if type and lineage_audit._is_nested_type(type) %}
      {#- struct<a b:decimal(10,2)> leaves `struct`, `a b` and `decimal` -#}
      {% for name in modules.re.split('[<>,:]', modules.re.sub('\\([0-9, ]+\\)', '', type)) %}
        {% do names.append(name | trim) %}
      {% endfor %}
    {% endif %}
  {% endfor %}
  {% for name in names %}
    {% if modules.re.search('[ ,;{}()\\n\\t=]', name) %}
      {% do return(true) %}
    {% endif %}
  {% endfor %}
  {% do return(false) %}
{% endmacro %}
