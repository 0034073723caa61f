{#-
  What a newcomer wants to see after `dbt build`: the runs, the records that were refused, and where the amount of
  order 12345 comes from.

      dbt run-operation show_sample --quiet
-#}
{% macro show_sample() %}
  {% if not execute %}
    {{- return('') -}}
  {% endif %}

  {{- lineage_audit._show_runs(lineage_audit._sample_relation('ingestion_run')) -}}
  {{- lineage_audit._show_quarantine(lineage_audit._sample_relation('quarantine')) -}}
  {{- lineage_audit._show_order(
    '12345',
    lineage_audit._sample_relation('orders_api'),
    lineage_audit._sample_relation('gold_orders'),
    lineage_audit._sample_relation('column_lineage')
  ) -}}
{% endmacro %}


{#- The relation of one of the package's models, as it was built. -#}
{% macro _sample_relation(model_name) %}
  {% set node = graph.nodes.get('model.lineage_audit.' ~ model_name) %}
  {% set relation = none %}
  {% if node %}
    {% set relation = adapter.get_relation(database=node.get('database'), schema=node.schema, identifier=node.alias) %}
  {% endif %}
  {% if relation is none %}
    {{- exceptions.raise_compiler_error(
      "lineage_audit: show_sample finds no " ~ model_name ~ ". It shows the package's own sample: run `dbt build` in a "
      ~ "clone of the package first, for the same target."
    ) -}}
  {% endif %}
  {{- return(relation) -}}
{% endmacro %}


{% macro _show_runs(ingestion_run) %}
  {% set rows = lineage_audit._query_rows(
    "select run_start_ts, endpoint_name, target_table, status, input_record_count, filtered_record_count, "
    ~ "rejected_record_count, output_record_count, error_message from " ~ ingestion_run
    ~ " order by run_start_ts, target_table"
  ) %}
  {{- lineage_audit._print_table(
    'Runs: every source row was filtered, rejected or written',
    ['started (UTC)', 'endpoint', 'table', 'status', 'input', 'filtered', 'rejected', 'output', 'error'],
    rows
  ) -}}
{% endmacro %}


{% macro _show_quarantine(quarantine) %}
  {% set rows = lineage_audit._query_rows(
    "select target_table, target_pk, failed_rules, messages from " ~ quarantine
    ~ " order by target_table, target_pk nulls last, record_key"
  ) %}
  {#- A record that fails several rules takes a line for each. -#}
  {% set lines = [] %}
  {% for row in rows %}
    {% set messages = lineage_audit._as_list(row[3]) %}
    {% for failed_rule in lineage_audit._as_list(row[2]) %}
      {% set table_and_key = [row[0], row[1] if row[1] is not none else '(no key)'] if loop.first else ['', ''] %}
      {% do lines.append(table_and_key + [failed_rule, messages[loop.index0]]) %}
    {% endfor %}
  {% endfor %}
  {{- lineage_audit._print_table(
    'Quarantine: ' ~ rows | length ~ ' records that a rule refused, and why',
    ['table', 'key', 'failed rule', 'message'],
    lines
  ) -}}
{% endmacro %}


{% macro _show_order(order_id, orders_api, gold_orders, column_lineage) %}
  {% set api_columns = ['order_id', 'amount_received', 'currency_code', 'fx_rate', 'order_amount'] %}
  {{- lineage_audit._print_table(
    'Order ' ~ order_id ~ ' as the API serves it',
    api_columns,
    lineage_audit._query_rows(
      "select " ~ api_columns | join(', ') ~ " from " ~ orders_api ~ " where order_id = '" ~ order_id ~ "'"
    )
  ) -}}

  {#- Every run explains the values that it wrote; shown is the run that wrote what gold holds now. -#}
  {% set lineage_columns = [
    'target_column', 'api_field_name', 'api_json_path', 'source_columns', 'source_values_json', 'transform_expr',
    'business_rule_id'
  ] %}
  {% set rows = lineage_audit._query_rows(
    "select " ~ lineage_columns | join(', ') ~ " from " ~ column_lineage
    ~ " where target_table = 'gold_orders' and target_pk = '" ~ order_id ~ "' and invocation_id = (select _lineage_invocation_id from "
    ~ gold_orders ~ " where order_id = '" ~ order_id ~ "')"
    ~ " order by case target_column when 'order_amount' then 0 else 1 end, target_column"
  ) %}
  {% set lines = [] %}
  {% for row in rows %}
    {% set source_columns = lineage_audit._as_list(row[3]) | join(', ') %}
    {% do lines.append([row[0], row[1], row[2], source_columns, row[4], row[5], row[6]]) %}
  {% endfor %}
  {{- lineage_audit._print_table(
    'Order ' ~ order_id ~ ', column by column: where each value comes from',
    ['column', 'API field', 'path in the payload', 'source columns', 'source values', 'expression', 'rule'],
    lines
  ) -}}
{% endmacro %}


{#- The rows of a query as plain lists. -#}
{% macro _query_rows(sql) %}
  {% set rows = [] %}
  {% for row in run_query(sql).rows %}
    {% set values = [] %}
    {% for value in row %}
      {% do values.append(value) %}
    {% endfor %}
    {% do rows.append(values) %}
  {% endfor %}
  {{- return(rows) -}}
{% endmacro %}


{#- A list column as a list: some adapters hand it over as JSON text. -#}
{% macro _as_list(value) %}
  {% if value is string %}
    {{- return(fromjson(value)) -}}
  {% endif %}
  {{- return(value if value is not none else []) -}}
{% endmacro %}


{% macro _print_table(heading, header, rows) %}
  {% do print('\n' ~ heading ~ '\n' ~ lineage_audit._table_text(header, rows)) %}
{% endmacro %}
