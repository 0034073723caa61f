{#- Operation: closes refused records by hand. See _audit.yml for the arguments. -#}
{% macro dismiss(target_table, reason, record_key=none, failed_rule=none, closed_by=none) %}
  {% set node = lineage_audit._mapped_node(target_table) %}
  {% set target_relation = lineage_audit._relation_text(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)) %}
  {% set wanted = [] %}
  {% set keys = [record_key] if record_key is string or record_key is number else record_key %}
  {% for key in keys or [] %}
    {% do wanted.append(key | string) %}
  {% endfor %}
  {% set wanted_rules = [failed_rule] if failed_rule is string else failed_rule or [] %}
  {% set problems = [] %}
  {% if not (reason or '') | trim %}
    {% do problems.append('A reason is missing: say why nobody will mend them.') %}
  {% endif %}
  {% if not wanted and not wanted_rules %}
    {% do problems.append('Name what is to be dismissed: record_key or failed_rule, one or a list.') %}
  {% endif %}
  {% set open_keys = [] %}
  {% set open_rules = [] %}
  {% set rows = [] %}
  {% for open in lineage_audit._open_reasons(node, target_relation) %}
    {% if open.record_key not in open_keys %}
      {% do open_keys.append(open.record_key) %}
      {% do open_rules.extend(open.failed_rules) %}
      {% if open.record_key in wanted or wanted_rules | select('in', open.failed_rules) | list %}
        {% do rows.append(lineage_audit._dismissal(target_relation, open.record_key, reason, closed_by)) %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {% for key in wanted if key not in open_keys %}
    {% do problems.append("record_key '" ~ key ~ "' is not in quarantine. " ~ lineage_audit._did_you_mean(key, open_keys, 'Look into the view quarantine for record_key.')) %}
  {% endfor %}
  {% for rule in wanted_rules if rule not in open_rules %}
    {% set reasons = open_rules | unique | list %}
    {% do problems.append("No open record was refused for '" ~ rule ~ "'. " ~ lineage_audit._did_you_mean(rule, reasons, 'There are: ' ~ (reasons | join(', ') or 'none') ~ '.')) %}
  {% endfor %}
  {% if problems %}
    {% do exceptions.raise_compiler_error('lineage_audit: nothing was dismissed in ' ~ target_relation ~ ':\n  ' ~ problems | join('\n  ')) %}
  {% endif %}
  {% do run_query('insert into ' ~ lineage_audit._store('closed_record') ~ ' (\n  ' ~ lineage_audit._columns_of_store('closed_record') | join(',\n  ') ~ '\n)\n' ~ rows | join('\nunion all\n')) %}
  {#- The look for a table that keeps its refused rows began a transaction, which dbt would roll back. -#}
  {% if node.config.meta.lineage_audit.get('rejected') == 'keep' %}
    {% do adapter.commit() %}
  {% endif %}
  {% do print('dismissed ' ~ rows | length ~ (' record' if rows | length == 1 else ' records') ~ ' of ' ~ target_relation) %}
{% endmacro %}

{#- The open records of a target: [{record_key, failed_rules}]. -#}
{% macro _open_reasons(node, target_relation) %}
  {% set ctes = [lineage_audit._committed_ctes() | trim] %}
  {% set gold = api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) %}
  {% set written = lineage_audit._gold_as_written(gold) if node.config.meta.lineage_audit.get('rejected') == 'keep' else none %}
  {% if written is not none and written.keeps_refused %}
    {% do ctes.extend([lineage_audit._gold_runs_cte(written) | trim, lineage_audit._kept_cte(written), lineage_audit._open_record_ctes(kept='kept') | trim]) %}
  {% else %}
    {% do ctes.append(lineage_audit._open_record_ctes(target_relation) | trim) %}
  {% endif %}
  {% set sql = 'with ' ~ ctes | join(',\n') ~ '\nselect\n  record_key,\n  ' ~ lineage_audit.json_array_of_list('failed_rules') ~ ' as failed_rules\nfrom open_records' %}
  {% set found = [] %}
  {% for row in run_query(sql).rows %}
    {% do found.append({'record_key': row[0], 'failed_rules': fromjson(row[1])}) %}
  {% endfor %}
  {% do return(found) %}
{% endmacro %}

{% macro _dismissal(target_relation, record_key, reason, closed_by) %}
  {% set values = {
    'run_id': lineage_audit.text_literal(lineage_audit.settings().run_id),
    'invocation_id': lineage_audit.text_literal(invocation_id),
    'target_relation': lineage_audit.text_literal(target_relation),
    'record_key': lineage_audit.text_literal(record_key),
    'closed_as': lineage_audit.text_literal('dismissed'),
    'closed_by': lineage_audit.text_literal(closed_by) if closed_by else lineage_audit.run_by(),
    'closed_ts': lineage_audit._utc_now(),
    'reason': lineage_audit.text_literal(reason)
  } %}
  {% do return(lineage_audit._select_row('closed_record', values)) %}
{% endmacro %}

{#- The mapped model of that target_table, or of that model name. -#}
{% macro _mapped_node(target_table) %}
  {% set names = [] %}
  {% for node in graph.nodes.values() %}
    {% set registered = (node.config.get('meta') or {}).get('lineage_audit') %}
    {% if node.resource_type == 'model' and lineage_audit._is_mapped(node) %}
      {% if registered.target_table == target_table or node.name == target_table %}
        {% do return(node) %}
      {% endif %}
      {% do names.append(registered.target_table) %}
    {% endif %}
  {% endfor %}
  {% do exceptions.raise_compiler_error(
    "lineage_audit: no mapped model builds '" ~ target_table ~ "'. " ~ lineage_audit._did_you_mean(target_table, names, 'There are: ' ~ (names | join(', ') or 'none') ~ '.')
  ) %}
{% endmacro %}
