{#- What dbt knows of the project's tables and exposures, which a Python model can't see: a JSON array of nodes per row. -#}
{% macro _lineage_definition_sql() %}
  {% set selects = [] %}
  {% if execute %}
    {#- Few long texts are read faster than many short ones. -#}
    {% for batch in lineage_audit._batches(lineage_audit._node_definitions(), 1000, 200000) %}
      {% do selects.append('select ' ~ lineage_audit.text_literal('[' ~ batch | join(', ') ~ ']') ~ ' as definitions') %}
    {% endfor %}
  {% endif %}
  {% do return(selects | join('\nunion all\n') or "select '[]' as definitions") %}
{% endmacro %}

{#- A JSON object per table and exposure of the project, in the order of their ids:
    {id, kind, relation, name, layer, owner, description, columns: {name: description}, depends_on: relations, upstream, uses, feeds}. -#}
{% macro _node_definitions() %}
  {% set definitions = [] %}
  {% for node in graph.sources.values() | sort(attribute='unique_id') %}
    {% set meta = lineage_audit._graph_meta(node) %}
    {% do definitions.append(tojson({
      'id': node.unique_id, 'kind': 'source', 'name': node.source_name ~ '.' ~ node.name,
      'relation': lineage_audit._relation_text(api.Relation.create(database=node.database, schema=node.schema, identifier=node.identifier)),
      'layer': meta.get('layer'), 'owner': lineage_audit._owner_of(node), 'description': node.description,
      'columns': lineage_audit._described_columns(node), 'upstream': meta.get('upstream') or []
    })) %}
  {% endfor %}
  {% for node in graph.nodes.values() | sort(attribute='unique_id') %}
    {% if node.resource_type == 'seed' or (lineage_audit._is_in_graph(node) and node.config.materialized != 'ephemeral') %}
      {% set meta = lineage_audit._graph_meta(node) %}
      {% do definitions.append(tojson({
        'id': node.unique_id, 'kind': 'seed' if node.resource_type == 'seed' else 'model', 'name': node.name ~ ('.v' ~ node.version if node.get('version') else ''), 'relation': lineage_audit._node_relation(node),
        'layer': meta.get('layer') or node.config.get('schema'), 'owner': lineage_audit._owner_of(node), 'description': node.description,
        'columns': lineage_audit._described_columns(node)
      })) %}
    {% endif %}
  {% endfor %}
  {% for node in graph.exposures.values() | sort(attribute='unique_id') %}
    {% set meta = lineage_audit._graph_meta(node) %}
    {% do definitions.append(tojson({
      'id': node.unique_id, 'kind': 'exposure', 'name': node.name, 'relation': node.unique_id, 'label': node.label or node.name,
      'layer': meta.get('layer') or node.type, 'owner': lineage_audit._owner_of(node), 'description': node.description, 'columns': {},
      'depends_on': lineage_audit._relations_read_by(node.depends_on.nodes) | unique | sort | list,
      'uses': meta.get('columns') or [], 'feeds': meta.get('feeds') or []
    })) %}
  {% endfor %}
  {% do return(definitions) %}
{% endmacro %}

{% macro _graph_meta(node) %}
  {% set meta = (node.config.get('meta') or node.get('meta') or {}).get('lineage_audit') %}
  {% do return(meta if meta is mapping else {}) %}
{% endmacro %}

{#- An exposure has an owner; others name one in meta, or have that of their group. -#}
{% macro _owner_of(node) %}
  {% set owner = node.get('owner') or (node.config.get('meta') or node.get('meta') or {}).get('owner') %}
  {% if not owner and node.config.get('group') %}
    {% for group in graph.get('groups', {}).values() if group.name == node.config.get('group') %}
      {% set owner = group.owner %}
      {% do return(owner.get('name') or owner.get('email')) %}
    {% endfor %}
  {% endif %}
  {% do return((owner.get('name') or owner.get('email')) if owner is mapping else owner) %}
{% endmacro %}

{% macro _described_columns(node) %}
  {% set columns = {} %}
  {% for column in (node.get('columns') or {}).values() %}
    {% do columns.update({column.name: column.description or ''}) %}
  {% endfor %}
  {% do return(columns) %}
{% endmacro %}

{#- The columns of all relations in the schemas that the project names: relation, column_name, position, data_type. -#}
{% macro _lineage_catalog_sql() %}
  {% set schemas = {} %}
  {% if execute %}
    {% for node in graph.nodes.values() | list + graph.sources.values() | list %}
      {% if node.resource_type in ['model', 'snapshot', 'seed', 'source'] and node.schema not in schemas.setdefault(node.database or '', []) %}
        {% do schemas[node.database or ''].append(node.schema) %}
      {% endif %}
    {% endfor %}
  {% endif %}
  {% do return(lineage_audit.columns_in_schemas(schemas)) %}
{% endmacro %}
