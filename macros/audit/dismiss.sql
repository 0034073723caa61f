{#- Operation: closes refused records by hand. See _audit.yml for the arguments. -#}
{% macro dismiss(target_table, record_key, reason, closed_by=none) %}
  {% set node = lineage_audit._mapped_node(target_table) %}
  {% set wanted = [record_key] if record_key is string or record_key is number else record_key %}
  {% if not (reason or '') | trim %}
    {% do exceptions.raise_compiler_error("lineage_audit: dismiss wants a reason: --args '{target_table: " ~ target_table ~ ", record_key: …, reason: \"…\"}'.") %}
  {% endif %}
  {% set target_relation = lineage_audit._relation_text(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)) %}
  {% set open_keys = [] %}
  {% set open_sql = 'with ' ~ lineage_audit._committed_ctes() | trim ~ ',\n' ~ lineage_audit._open_record_ctes(target_relation) | trim ~ '\nselect distinct record_key\nfrom open_records' %}
  {% for row in run_query(open_sql).rows %}
    {% do open_keys.append(row[0]) %}
  {% endfor %}
  {% set unknown = [] %}
  {% set rows = [] %}
  {% for each in wanted %}
    {% set key = each | string %}
    {% if key not in open_keys %}
      {% do unknown.append("'" ~ key ~ "' is not in quarantine. " ~ lineage_audit._did_you_mean(key, open_keys, 'Look into the view quarantine for record_key.')) %}
    {% else %}
      {% do rows.append(lineage_audit._dismissal(target_relation, key, reason, closed_by)) %}
    {% endif %}
  {% endfor %}
  {% if unknown or not rows %}
    {% do exceptions.raise_compiler_error('lineage_audit: nothing was dismissed in ' ~ target_relation ~ ':\n  ' ~ (unknown | join('\n  ') or 'no record_key was given.')) %}
  {% endif %}
  {% do run_query('insert into ' ~ lineage_audit._store('closed_record') ~ ' (\n  ' ~ lineage_audit._columns_of_store('closed_record') | join(',\n  ') ~ '\n)\n' ~ rows | join('\nunion all\n')) %}
  {% do print('dismissed ' ~ rows | length ~ (' record' if rows | length == 1 else ' records') ~ ' of ' ~ target_relation) %}
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
  {% set items = [] %}
  {% for column, kind in lineage_audit._store_tables().closed_record.items() %}
    {% do items.append('cast(' ~ values.get(column, 'null') ~ ' as ' ~ lineage_audit.store_type(kind) ~ ') as ' ~ column) %}
  {% endfor %}
  {% do return('select\n  ' ~ items | join(',\n  ')) %}
{% endmacro %}

{#- The mapped model of that target_table, or of that model name. -#}
{% macro _mapped_node(target_table) %}
  {% set names = [] %}
  {% for node in graph.nodes.values() %}
    {% set registered = (node.config.get('meta') or {}).get('lineage_audit') %}
    {% if node.resource_type == 'model' and registered %}
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
