{#- CTEs for analyses of the lineage as it is: `current_runs`, the committed runs since each table was last written whole, and
    `current_lineage`, of each record and column the last row of column_lineage by these runs. -#}
{% macro _current_lineage_ctes() -%}
{{ lineage_audit._committed_ctes() | trim }},
current_runs as (
  select committed.*
  from committed
  left join (
    select
      target_relation,
      max(committed_ts) as rebuilt_ts
    from successes
    where whole_table
    group by target_relation
  ) as rebuilt
    on committed.target_relation = rebuilt.target_relation
  where rebuilt.rebuilt_ts is null or committed.committed_ts >= rebuilt.rebuilt_ts
),
current_lineage as (
  select *
  from (
    select
      lineage.*,
      row_number() over (
        partition by lineage.target_relation, lineage.target_pk, lineage.target_column
        order by lineage.created_ts desc
      ) as copy_number
    from {{ ref('lineage_audit', 'column_lineage') }} as lineage
    inner join current_runs
      on lineage.invocation_id = current_runs.invocation_id
      and lineage.target_relation = current_runs.target_relation
  ) as numbered
  where copy_number = 1
)
{%- endmacro %}

{#- A select of the columns that the mapped tables of this project have: target_relation, column_name. -#}
{% macro _gold_columns_sql() %}
  {% set rows = [] %}
  {% for node in (lineage_audit._mapped_nodes(none) if execute else []) %}
    {% set gold = api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) %}
    {% if load_relation(gold) is not none %}
      {% for column in lineage_audit.columns_of(gold) if not column.name.startswith('_lineage_') %}
        {% do rows.append('(' ~ lineage_audit.text_literal(lineage_audit._relation_text(gold)) ~ ', ' ~ lineage_audit.text_literal(column.name) ~ ')') %}
      {% endfor %}
    {% endif %}
  {% endfor %}
  {% if not rows %}
    {% set text = lineage_audit.store_types().text %}
    {% do return('select\n    cast(null as ' ~ text ~ ') as target_relation,\n    cast(null as ' ~ text ~ ') as column_name\n  where 1 = 0') %}
  {% endif %}
  {% do return('select *\n  from (\n    values\n      ' ~ rows | join(',\n      ') ~ '\n  ) as listed(target_relation, column_name)') %}
{% endmacro %}
