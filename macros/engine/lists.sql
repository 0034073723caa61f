{#- Lists of texts. -#}
{% macro list_of(expressions, indent=none) %}
  {% do return(adapter.dispatch('list_of', 'lineage_audit')(expressions, indent)) %}
{% endmacro %}

{% macro default__list_of(expressions, indent) %}
  {% do return(lineage_audit._unsupported('list_of')) %}
{% endmacro %}

{% macro duckdb__list_of(expressions, indent) %}
  {% if not expressions %}
    {% do return('cast([] as varchar[])') %}
  {% endif %}
  {% do return('[' ~ lineage_audit._list_items(expressions, indent) ~ ']') %}
{% endmacro %}

{% macro spark__list_of(expressions, indent) %}
  {% if not expressions %}
    {% do return('cast(array() as array<string>)') %}
  {% endif %}
  {% do return('array(' ~ lineage_audit._list_items(expressions, indent) ~ ')') %}
{% endmacro %}

{#- With an indent, a line per item. -#}
{% macro _list_items(expressions, indent) %}
  {% if indent is none %}
    {% do return(expressions | join(', ')) %}
  {% endif %}
  {% do return('\n' ~ indent ~ '  ' ~ expressions | join(',\n' ~ indent ~ '  ') ~ '\n' ~ indent) %}
{% endmacro %}

{% macro list_of_texts(values) %}
  {% set literals = [] %}
  {% for value in values %}
    {% do literals.append(lineage_audit.text_literal(value)) %}
  {% endfor %}
  {% do return(lineage_audit.list_of(literals)) %}
{% endmacro %}

{#- The list of those expressions that are not NULL. -#}
{% macro list_without_nulls(expressions, indent='  ') %}
  {% if not expressions %}
    {% do return(lineage_audit.list_of([])) %}
  {% endif %}
  {% do return(adapter.dispatch('list_without_nulls', 'lineage_audit')(expressions, indent)) %}
{% endmacro %}

{% macro default__list_without_nulls(expressions, indent) %}
  {% do return(lineage_audit._unsupported('list_without_nulls')) %}
{% endmacro %}

{% macro duckdb__list_without_nulls(expressions, indent) %}
  {% do return('list_filter([\n' ~ indent ~ '  ' ~ expressions | join(',\n' ~ indent ~ '  ') ~ '\n' ~ indent ~ '], lambda reason: reason is not null)') %}
{% endmacro %}

{#- No expression occurs twice, so that a set will do; for filter() with a lambda Spark compiles none of the query. -#}
{% macro spark__list_without_nulls(expressions, indent) %}
  {% do return('array_except(array(\n' ~ indent ~ '  ' ~ expressions | join(',\n' ~ indent ~ '  ') ~ '\n' ~ indent ~ '), array(cast(null as string)))') %}
{% endmacro %}

{% macro list_length(expression) %}
  {% do return(adapter.dispatch('list_length', 'lineage_audit')(expression)) %}
{% endmacro %}

{% macro default__list_length(expression) %}
  {% do return(lineage_audit._unsupported('list_length')) %}
{% endmacro %}

{% macro duckdb__list_length(expression) %}
  {% do return('len(' ~ expression ~ ')') %}
{% endmacro %}

{% macro spark__list_length(expression) %}
  {% do return('size(' ~ expression ~ ')') %}
{% endmacro %}

{#- The items of a list at the places, counted from 1, that another list names. -#}
{% macro items_at(list, positions) %}
  {% do return(adapter.dispatch('items_at', 'lineage_audit')(list, positions)) %}
{% endmacro %}

{% macro default__items_at(list, positions) %}
  {% do return(lineage_audit._unsupported('items_at')) %}
{% endmacro %}

{% macro duckdb__items_at(list, positions) %}
  {% do return('list_select(' ~ list ~ ', ' ~ positions ~ ')') %}
{% endmacro %}

{% macro spark__items_at(list, positions) %}
  {% do return('transform(' ~ positions ~ ', position -> get(' ~ list ~ ', position - 1))') %}
{% endmacro %}

{#- The item at a place, counted from 1; NULL where the list is shorter. -#}
{% macro item_at(list, position) %}
  {% do return(adapter.dispatch('item_at', 'lineage_audit')(list, position)) %}
{% endmacro %}

{% macro default__item_at(list, position) %}
  {% do return(lineage_audit._unsupported('item_at')) %}
{% endmacro %}

{% macro duckdb__item_at(list, position) %}
  {% do return(list ~ '[' ~ position ~ ']') %}
{% endmacro %}

{% macro spark__item_at(list, position) %}
  {% do return('get(' ~ list ~ ', ' ~ (position - 1) ~ ')') %}
{% endmacro %}

{#- Do two lists of texts differ in an item whose name both have? NULL where a list is. -#}
{% macro shared_items_differ(names, items, other_names, other_items) %}
  {% do return(adapter.dispatch('shared_items_differ', 'lineage_audit')(names, items, other_names, other_items)) %}
{% endmacro %}

{% macro default__shared_items_differ(names, items, other_names, other_items) %}
  {% do return(lineage_audit._unsupported('shared_items_differ')) %}
{% endmacro %}

{% macro duckdb__shared_items_differ(names, items, other_names, other_items) %}
  {% do return(
    'len(list_filter(' ~ names ~ ', lambda name: list_contains(' ~ other_names ~ ', name) and ' ~ items ~ '[list_position(' ~ names ~ ', name)] is distinct from '
    ~ other_items ~ '[list_position(' ~ other_names ~ ', name)])) > 0'
  ) %}
{% endmacro %}

{% macro spark__shared_items_differ(names, items, other_names, other_items) %}
  {% do return(
    'exists(' ~ names ~ ', name -> array_contains(' ~ other_names ~ ', name) and not (get(' ~ items ~ ', cast(array_position(' ~ names ~ ', name) as int) - 1) <=> get('
    ~ other_items ~ ', cast(array_position(' ~ other_names ~ ', name) as int) - 1)))'
  ) %}
{% endmacro %}

{% macro first_item(list) %}
  {% do return(lineage_audit.item_at(list, 1)) %}
{% endmacro %}

{#- The from-clause that turns each list of a relation into rows: alias.item. -#}
{% macro unnested(relation, list, item) %}
  {% do return(adapter.dispatch('unnested', 'lineage_audit')(relation, list, item)) %}
{% endmacro %}

{% macro default__unnested(relation, list, item) %}
  {% do return(lineage_audit._unsupported('unnested')) %}
{% endmacro %}

{% macro duckdb__unnested(relation, list, item) %}
  {% do return(relation ~ ', unnest(' ~ list ~ ') as unnested(' ~ item ~ ')') %}
{% endmacro %}

{% macro spark__unnested(relation, list, item) %}
  {% do return(relation ~ ' lateral view explode(' ~ list ~ ') unnested as ' ~ item) %}
{% endmacro %}

{#- Is a text, given as it is, one of a list's items? -#}
{% macro list_holds(list, text) %}
  {% do return(adapter.dispatch('list_holds', 'lineage_audit')(list, lineage_audit.text_literal(text))) %}
{% endmacro %}

{% macro default__list_holds(list, literal) %}
  {% do return(lineage_audit._unsupported('list_holds')) %}
{% endmacro %}

{% macro duckdb__list_holds(list, literal) %}
  {% do return('list_contains(' ~ list ~ ', ' ~ literal ~ ')') %}
{% endmacro %}

{% macro spark__list_holds(list, literal) %}
  {% do return('array_contains(' ~ list ~ ', ' ~ literal ~ ')') %}
{% endmacro %}

{#- The items of a list in one order. -#}
{% macro sorted_list(list) %}
  {% do return(adapter.dispatch('sorted_list', 'lineage_audit')(list)) %}
{% endmacro %}

{% macro default__sorted_list(list) %}
  {% do return(lineage_audit._unsupported('sorted_list')) %}
{% endmacro %}

{% macro duckdb__sorted_list(list) %}
  {% do return('list_sort(' ~ list ~ ')') %}
{% endmacro %}

{% macro spark__sorted_list(list) %}
  {% do return('array_sort(' ~ list ~ ')') %}
{% endmacro %}
