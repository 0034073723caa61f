{#- What gold already is, against what this run would make of it. The struct in gold holds what gold's own columns don't, and
    it only grows: its fields stay in the order they have there, fields that no mapping uses any more stay as NULL, new
    ones come last. What the rows that are there could not follow is an error. -#}
{% macro _reconcile_with_gold(plan, last_success, request) %}
  {% do plan.update({'struct_fields': lineage_audit._new_struct(plan.fields), 'new_fields': [], 'known_in_gold': [], 'kept_columns': []}) %}
  {% if not plan.incremental or not lineage_audit._is_running() %}
    {% do return(none) %}
  {% endif %}
  {% if last_success is none and not plan.history.dead %}
    {% do lineage_audit._raise_problems(plan.model_name, [lineage_audit._problem(
      'model', plan.target_relation, 'the table is there, and the audit store knows of no run that built it.', 'Run the model once with --full-refresh.'
    )]) %}
  {% endif %}
  {% set source_fields = lineage_audit._source_fields_of_gold(plan, last_success) %}
  {% if not source_fields %}
    {% do return(none) %}
  {% endif %}
  {% set problems = lineage_audit._changed_columns(plan, last_success) if last_success else [] %}
  {% if last_success and last_success.rejected != plan.rejected %}
    {% do problems.append(lineage_audit._problem(
      'model', 'mapped_model in ' ~ plan.model_name, "rejected was '" ~ last_success.rejected ~ "' when " ~ plan.target_relation ~ " was built, and is '" ~ plan.rejected ~ "' now.",
      'Run the model once with --full-refresh.'
    )) %}
  {% endif %}
  {% set struct_fields = [] %}
  {% set known_in_gold = [] %}
  {% for field in source_fields %}
    {% set now = lineage_audit._find_column(plan.fields, field.name) %}
    {% if now and (now.type != field.type or now.mark != field.mark) %}
      {% do problems.append(lineage_audit._problem(
        'field_mapping', plan.endpoint_name ~ ' / ' ~ plan.target_table ~ ' / source column ' ~ field.name,
        'was ' ~ field.type ~ ', sensitivity ' ~ field.mark ~ ', when ' ~ plan.target_relation ~ ' was built, and is ' ~ now.type ~ ', sensitivity ' ~ now.mark ~ ', now.',
        'Run the model once with --full-refresh.'
      )) %}
    {% endif %}
    {% if field.in_struct %}
      {% do struct_fields.append(now or {
        'name': field.name, 'column': none, 'type': field.type, 'mark': field.mark, 'field_type': field.field_type
      }) %}
    {% endif %}
    {% if now and (field.in_struct or now.verbatim) %}
      {% set known = {} %}
      {% do known.update(now) %}
      {% do known.update({'in_gold': '_lineage_source_values.' ~ lineage_audit.quote_name(field.name) if field.in_struct else now.verbatim}) %}
      {% do known_in_gold.append(known) %}
    {% endif %}
  {% endfor %}
  {% if problems %}
    {% do lineage_audit._raise_problems(plan.model_name, problems) %}
  {% endif %}
  {% do plan.update({'kept_columns': lineage_audit._kept_columns(plan, last_success)}) %}
  {% set new_fields = [] %}
  {% for field in plan.struct_fields %}
    {% if not lineage_audit._find_column(struct_fields, field.name) and field.name != 'no_source_column' %}
      {% do new_fields.append(field) %}
    {% endif %}
  {% endfor %}
  {% do plan.update({'struct_fields': struct_fields + new_fields, 'new_fields': new_fields, 'known_in_gold': known_in_gold}) %}
{% endmacro %}

{#- The fields of the struct of a table that is made anew: the source columns that no column of it holds as they are. -#}
{% macro _new_struct(fields) %}
  {% set struct_fields = fields | selectattr('verbatim', 'none') | list %}
  {% if not struct_fields %}
    {% do struct_fields.append({
      'name': 'no_source_column', 'column': none, 'type': lineage_audit.store_types().text, 'mark': 'none', 'field_type': lineage_audit.store_types().text
    }) %}
  {% endif %}
  {% do return(struct_fields) %}
{% endmacro %}

{#- The source fields that gold holds: those of its last run, and those that attempts which died have added to the struct. -#}
{% macro _source_fields_of_gold(plan, last_success) %}
  {% set known = last_success.source_fields | list if last_success else [] %}
  {% set unsure = [] %}
  {% for field in plan.history.dead_fields | selectattr('in_struct') %}
    {% if not lineage_audit._find_column(known | selectattr('in_struct') | list, field.name) and not lineage_audit._find_column(unsure, field.name) %}
      {% do unsure.append(field) %}
    {% endif %}
  {% endfor %}
  {% do known.extend(lineage_audit.struct_fields_there(plan.gold, '_lineage_source_values', unsure)) %}
  {% do return(known) %}
{% endmacro %}

{#- Target columns that came, went, or are declared otherwise than in the run that wrote gold last. -#}
{% macro _changed_columns(plan, last_success) %}
  {% set problems = [] %}
  {% if last_success.target_columns is none %}
    {% do return(problems) %}
  {% endif %}
  {% set place = plan.endpoint_name ~ ' / ' ~ plan.target_table %}
  {% set on_schema_change = config.get('on_schema_change') or 'ignore' %}
  {% set keys_then = last_success.target_columns | selectattr('is_key') | map(attribute='name') | list %}
  {% set keys_now = lineage_audit._key_columns(plan) | map(attribute='name') | list %}
  {% if keys_then != keys_now %}
    {% do problems.append(lineage_audit._problem(
      'field_mapping', place, 'the primary key was [' ~ keys_then | join(', ') ~ '] when ' ~ plan.target_relation ~ ' was built, and is [' ~ keys_now | join(', ') ~ '] now.',
      'Run the model once with --full-refresh: its rows, their lineage and the quarantine go by the key.'
    )) %}
  {% endif %}
  {% for column in plan.columns %}
    {% set then = lineage_audit._find_column(last_success.target_columns, column.name) %}
    {% if not then and on_schema_change == 'ignore' %}
      {% do problems.append(lineage_audit._problem(
        'field_mapping', place ~ ' / ' ~ column.name, 'is new, and ' ~ plan.target_relation ~ ' has no such column, since on_schema_change is ignore.',
        "Set on_schema_change to 'append_new_columns' or 'sync_all_columns', or run the model once with --full-refresh."
      )) %}
    {% elif then and then.type and column.type and not lineage_audit._same_type(then.type, column.type) and on_schema_change != 'sync_all_columns' %}
      {% do problems.append(lineage_audit._problem(
        'field_mapping', place ~ ' / ' ~ column.name, 'was ' ~ then.type ~ ' when ' ~ plan.target_relation ~ ' was built, and is ' ~ column.type ~ ' now; written into it, values would be cast a second time.',
        "Run the model once with --full-refresh, or set on_schema_change to 'sync_all_columns'."
      )) %}
    {% endif %}
  {% endfor %}
  {% for column in last_success.target_columns %}
    {% if on_schema_change == 'ignore' and not lineage_audit._find_column(plan.columns, column.name) %}
      {% do problems.append(lineage_audit._problem(
        'field_mapping', place ~ ' / ' ~ column.name, 'is mapped no more, and ' ~ plan.target_relation ~ ' still has the column: with on_schema_change ignore dbt would look for it.',
        "Set on_schema_change to 'append_new_columns' (the column stays, NULL in new rows) or 'sync_all_columns' (it goes), or run the model once with --full-refresh."
      )) %}
    {% endif %}
  {% endfor %}
  {% do return(problems) %}
{% endmacro %}

{#- Columns of gold that are mapped no more and stay, NULL in new rows: [{name, type, is_key, kept}]. dbt-spark would look for
    them in what it inserts. -#}
{% macro _kept_columns(plan, last_success) %}
  {% set kept = [] %}
  {% if not last_success or config.get('on_schema_change') != 'append_new_columns' %}
    {% do return(kept) %}
  {% endif %}
  {% for column in last_success.target_columns or [] %}
    {% if not lineage_audit._find_column(plan.columns, column.name) %}
      {% set type = column.type or lineage_audit._find_column(lineage_audit.columns_of(plan.gold), column.name).type %}
      {% do kept.append({'name': column.name, 'type': type, 'is_key': false, 'kept': true}) %}
    {% endif %}
  {% endfor %}
  {% do return(kept) %}
{% endmacro %}
