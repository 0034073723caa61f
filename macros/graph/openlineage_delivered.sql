{#- Operation: notes events that a destination has accepted. -#}
{% macro openlineage_delivered(events, destination) %}
  {% set rows = [] %}
  {% set now = modules.datetime.datetime.now(modules.pytz.utc).strftime('%Y-%m-%d %H:%M:%S.%f') %}
  {% for event in events %}
    {% do rows.append(lineage_audit._store_row('openlineage_delivery', {
      'run_id': event[0], 'event_type': event[1], 'event_time': event[2], 'destination': destination, 'delivered_ts': now
    })) %}
  {% endfor %}
  {% do run_query(lineage_audit._insert_rows('openlineage_delivery', rows)) %}
{% endmacro %}
