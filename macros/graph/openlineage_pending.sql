{#- Operation: prints the events that no destination has got yet, a JSON object per line, oldest first. -#}
{% macro openlineage_pending(limit=500) %}
  {% set pending = lineage_audit._pending_events_sql(lineage_audit._openlineage_events(), lineage_audit._store('openlineage_delivery'), limit | int) %}
  {% for row in lineage_audit._json_rows(pending) %}
    {% do print(tojson(dict(row, event=fromjson(row.event)))) %}
  {% endfor %}
{% endmacro %}

{% macro _pending_events_sql(events, deliveries, limit) %}
  {% do return(
    'select\n  event.run_id,\n  event.event_type,\n  event.event_time,\n  event.event\nfrom ' ~ events ~ ' as event\nleft join ' ~ deliveries ~ ' as delivery\n'
    ~ '  on event.run_id = delivery.run_id and event.event_type = delivery.event_type and event.event_time = delivery.event_time\n'
    ~ 'where delivery.run_id is null\norder by event.event_time, event.event_type desc, event.run_id\nlimit ' ~ limit
  ) %}
{% endmacro %}

{#- The table of events as built; an error says how to get one. -#}
{% macro _openlineage_events() %}
  {% do lineage_audit._graph_relations() %}
  {% set node = graph.nodes.get('model.lineage_audit.openlineage_event') %}
  {% set relation = adapter.get_relation(database=node.database, schema=node.schema, identifier=node.alias) if node %}
  {% if not relation %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: there are no OpenLineage events: ' ~ ('openlineage_event is not built yet. Run dbt build, then dbt run --select lineage_audit.graph.' if node else 'the model openlineage_event is disabled.')
    ) %}
  {% endif %}
  {% do return(relation) %}
{% endmacro %}
