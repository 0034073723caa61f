{#- The statements between STARTED and the model's own SQL; each is sent only where it is needed. -#}

{#- Mapping rows and rules under their hash, the first time that the hash is seen. -#}
{% macro _config_version_sql() %}
  {% set plan = lineage_audit._plan_of_run() %}
  {% if not plan or plan.config_hash in plan.history.known_hashes %}
    {% do return('') %}
  {% endif %}
  {% set kinds = lineage_audit._store_tables().config_version %}
  {% set now = lineage_audit._utc_now() %}
  {% set selects = [] %}
  {% for row in plan.config_rows %}
    {% set values = {} %}
    {% for column, kind in kinds.items() %}
      {% if column == 'config_hash' %}
        {% set value = lineage_audit.text_literal(plan.config_hash) %}
      {% elif column == 'created_ts' %}
        {% set value = now %}
      {% elif column in ['endpoint_name', 'target_table'] %}
        {% set value = lineage_audit.text_literal(plan[column]) %}
      {% elif kind == 'texts' %}
        {% set value = lineage_audit.list_of_texts(row[column]) %}
      {% elif kind == 'position' %}
        {% set value = row[column] | string %}
      {% elif kind == 'positions' %}
        {% set value = lineage_audit.list_of(row[column]) %}
      {% else %}
        {% set value = lineage_audit.text_literal(row[column]) %}
      {% endif %}
      {% do values.update({column: value}) %}
    {% endfor %}
    {% do selects.append(lineage_audit._select_row('config_version', values)) %}
  {% endfor %}
  {% do return('insert into ' ~ lineage_audit._store('config_version') ~ ' (\n  ' ~ kinds.keys() | join(',\n  ') ~ '\n)\n' ~ selects | join('\nunion all\n')) %}
{% endmacro %}

{#- A source that has no versions is read once, here, and so is what a run reads again below its watermark; every later
    statement reads the copy. Where the transaction is the snapshot it begins here, if no other hook begins it: dbt-duckdb
    would read the source of an incremental model before. -#}
{% macro _stage_source_sql() %}
  {% set plan = lineage_audit._plan_of_run() %}
  {% if not plan %}
    {% do return('') %}
  {% elif not plan.staged %}
    {% do return(lineage_audit.begin_snapshot() if plan.incremental and not plan.new_fields else '') %}
  {% elif plan.reread == 'keys' %}
    {% do return(lineage_audit.create_staged_source(plan.staged, lineage_audit._reread_sql(plan))) %}
  {% endif %}
  {% set bounds = [lineage_audit._newer_than_mark(plan)] if plan.reread != 'all' and plan.watermark and plan.watermark['from'] is not none else [] %}
  {% do return(lineage_audit.create_staged_source(
    plan.staged,
    'select\n  ' ~ lineage_audit._quoted_names(plan.reads) | join(',\n  ') ~ '\nfrom ' ~ plan.unstaged_sql ~ ('\n' ~ lineage_audit._where(bounds, '') if bounds else '')
  )) %}
{% endmacro %}

{% macro _staged_source() %}
  {% do return(api.Relation.create(database=this.database, schema=this.schema, identifier=this.identifier ~ '__lineage_source', type='table')) %}
{% endmacro %}

{% macro _drop_staged_source_sql() %}
  {% set plan = lineage_audit._plan_of_run() %}
  {% do return('drop table if exists ' ~ plan.staged if plan and plan.staged else '') %}
{% endmacro %}

{#- The first name that the format of the existing table can't hold as it is. -#}
{% macro _column_mapping_sql() %}
  {% set plan = lineage_audit._plan_of_run() %}
  {% if not plan or not plan.get('turns_on_column_mapping') %}
    {% do return('') %}
  {% endif %}
  {% do return('alter table ' ~ plan.gold ~ " set tblproperties ('delta.columnMapping.mode' = 'name')") %}
{% endmacro %}

{#- Source columns that gold's struct does not have yet. -#}
{% macro _grow_struct_sql() %}
  {% set plan = lineage_audit._plan_of_run() %}
  {% if not plan or not plan.new_fields %}
    {% do return('') %}
  {% endif %}
  {% do return(lineage_audit.add_struct_fields(plan.gold, '_lineage_source_values', plan.new_fields)) %}
{% endmacro %}
