{#- The config that `what_if` asks about: the loaded one with changes, or the tables of another schema. -#}

{#- {tables, loaded: the tables as they are, problems, config_schema}. -#}
{% macro _what_if_config(node, changes, config_schema) %}
  {% set relations = lineage_audit._loaded_config_relations() %}
  {% if (changes is none) == (config_schema is none) %}
    {% do exceptions.raise_compiler_error(
      'lineage_audit: what_if needs a changed config, from one place: changes, as {field_mapping: [{target_column: …, transform_expr: …}], business_rules: [{business_rule_id: …, rule_expression: …}]}, '
      ~ 'or config_schema, the schema that the edited CSVs were seeded into.'
    ) %}
  {% endif %}
  {% set loaded = lineage_audit._config_tables(relations) %}
  {% if config_schema is not none %}
    {% set edited = lineage_audit._relations_in_schema(relations, config_schema, node) %}
    {% do return({'tables': lineage_audit._config_tables(edited.relations), 'loaded': loaded, 'problems': [], 'config_schema': edited.schema}) %}
  {% endif %}
  {% set changed = lineage_audit._changed_tables(loaded, changes, node.config.meta.lineage_audit) %}
  {% do return(dict(changed, loaded=loaded, config_schema=none)) %}
{% endmacro %}

{#- The config tables as they stand in another schema; those that are not there stay as they are loaded. -#}
{% macro _relations_in_schema(relations, config_schema, node) %}
  {% for schema in [config_schema, generate_schema_name(config_schema, node) | trim] %}
    {% set found = {} %}
    {% for name, relation in relations.items() %}
      {% set edited = api.Relation.create(database=relation.database, schema=schema, identifier=relation.identifier) %}
      {% if load_relation(edited) is not none %}
        {% do found.update({name: edited}) %}
      {% endif %}
    {% endfor %}
    {% if found %}
      {% do return({'schema': schema, 'relations': dict(relations, **found)}) %}
    {% endif %}
  {% endfor %}
  {% set schemas = [] %}
  {% for relation in relations.values() %}
    {% do schemas.append(relation.schema) if relation.schema not in schemas %}
  {% endfor %}
  {% do exceptions.raise_compiler_error(
    "lineage_audit: no config table stands in schema '" ~ config_schema ~ "'. The loaded ones stand in " ~ schemas | join(', ') ~ '; seed the edited CSVs into another first (docs/ask.md has the command).'
  ) %}
{% endmacro %}

{#- {tables, problems}: the tables with the cells of the changes put in. Rows go by target_column and business_rule_id; one that is not
    there is added. -#}
{% macro _changed_tables(loaded, changes, registered) %}
  {% set keys = {'field_mapping': 'target_column', 'business_rules': 'business_rule_id'} %}
  {% set problems = [] %}
  {% set tables = {} %}
  {% do tables.update(loaded) %}
  {% if changes is not mapping or not changes %}
    {% do exceptions.raise_compiler_error('lineage_audit: changes is no mapping. Write {field_mapping: [{target_column: …, transform_expr: …}], business_rules: [{business_rule_id: …, rule_expression: …}]}.') %}
  {% endif %}
  {% for seed, rows in changes.items() %}
    {% if seed not in keys %}
      {% do problems.append(lineage_audit._problem('changes', seed, 'is no config table that can be changed here.', lineage_audit._did_you_mean(seed, keys.keys() | list, 'Write field_mapping or business_rules.'))) %}
    {% else %}
      {% for row in ([rows] if rows is mapping else rows) %}
        {% set changed = tables[seed] | list %}
        {% set cells = lineage_audit._cells_of_change(seed, row, problems) %}
        {% set key = keys[seed] %}
        {% set place = 'changes.' ~ seed %}
        {% if not cells.get(key) %}
          {% do problems.append(lineage_audit._problem(place, 'row ' ~ loop.index, 'has no ' ~ key ~ '.', 'Name the row that it changes, or the one that it adds.')) %}
        {% elif seed == 'field_mapping' and (cells.get('endpoint_name', registered.endpoint_name) != registered.endpoint_name or cells.get('target_table', registered.target_table) != registered.target_table) %}
          {% do problems.append(lineage_audit._problem(
            place, cells[key], 'is of another table, and what_if is asked of ' ~ registered.endpoint_name ~ ' / ' ~ registered.target_table ~ '.', 'Leave endpoint_name and target_table out.'
          )) %}
        {% else %}
          {% set places = [] %}
          {% set active_places = [] %}
          {% for present in changed %}
            {% set same = present.business_rule_id == cells[key] if seed == 'business_rules' else (
              present.endpoint_name == registered.endpoint_name and present.target_table == registered.target_table and (present.target_column or '') | lower == cells[key] | lower) %}
            {% if same %}
              {% do places.append(loop.index0) %}
              {% if lineage_audit._is_true(present.active_flag, true) %}
                {% do active_places.append(loop.index0) %}
              {% endif %}
            {% endif %}
          {% endfor %}
          {% if places %}
            {% set place = (active_places or places)[0] %}
            {% set whole = dict(changed[place], **cells) %}
            {% if seed == 'field_mapping' %}
              {% do whole.update({'target_column': changed[place].target_column}) %}
            {% endif %}
            {% set changed = changed[:place] + [whole] + changed[place + 1:] %}
          {% else %}
            {% set whole = {} %}
            {% for name in lineage_audit._config_columns()[seed] %}
              {% do whole.update({name: none}) %}
            {% endfor %}
            {% do whole.update({'endpoint_name': registered.endpoint_name, 'target_table': registered.target_table}) %}
            {% do whole.update(cells) %}
            {% set changed = changed + [whole] %}
          {% endif %}
        {% endif %}
        {% do tables.update({seed: changed}) %}
      {% endfor %}
    {% endif %}
  {% endfor %}
  {% do return({'tables': tables, 'problems': problems}) %}
{% endmacro %}

{#- The cells of a change as texts, such as the config tables are read; a name that is no column is a problem. -#}
{% macro _cells_of_change(seed, row, problems) %}
  {% set cells = {} %}
  {% set known = lineage_audit._config_columns()[seed] %}
  {% for name, value in (row.items() if row is mapping else []) %}
    {% if (name | string | lower) not in known %}
      {% do problems.append(lineage_audit._problem(
        'changes.' ~ seed, 'cell ' ~ name, 'is no column of ' ~ seed ~ '.', lineage_audit._did_you_mean(name | string, known, 'It has: ' ~ known | join(', ') ~ '.')
      )) %}
    {% elif value is none or (value | string | trim) == '' %}
      {% do cells.update({name | string | lower: none}) %}
    {% else %}
      {% do cells.update({name | string | lower: (value | string | lower) if value is boolean else (value | string | trim)}) %}
    {% endif %}
  {% endfor %}
  {% do return(cells) %}
{% endmacro %}

{#- What the changed config says otherwise than the loaded one, of the table and its endpoint's rules: [{seed, name, change, cell, from_value,
    to_value}]. -#}
{% macro _config_changes(loaded, tables, registered) %}
  {% set differences = [] %}
  {% for seed, key in {'field_mapping': 'target_column', 'business_rules': 'business_rule_id'}.items() %}
    {% set sides = [] %}
    {% for side in [loaded, tables] %}
      {% set rows = {} %}
      {% for row in lineage_audit._rows_of_endpoint(side[seed], registered.endpoint_name) %}
        {% if row[key] and (row.target_table in [none, registered.target_table] if seed == 'business_rules' else row.target_table == registered.target_table) %}
          {% if row[key] not in rows or lineage_audit._is_true(row.active_flag, true) %}
            {% do rows.update({row[key]: row}) %}
          {% endif %}
        {% endif %}
      {% endfor %}
      {% do sides.append(rows) %}
    {% endfor %}
    {% set names = (sides[0].keys() | list + sides[1].keys() | list) | unique(case_sensitive=true) | sort %}
    {% for name in names %}
      {% set was = sides[0].get(name, {}) %}
      {% set is = sides[1].get(name, {}) %}
      {% for cell in lineage_audit._config_columns()[seed] %}
        {% if was.get(cell) != is.get(cell) and cell != key and (was and is or cell not in ['endpoint_name', 'target_table']) %}
          {% do differences.append({
            'seed': seed, 'name': name, 'change': 'changed' if was and is else 'added' if is else 'removed', 'cell': cell,
            'from_value': was.get(cell), 'to_value': is.get(cell)
          }) %}
        {% endif %}
      {% endfor %}
    {% endfor %}
  {% endfor %}
  {% do return(differences) %}
{% endmacro %}
