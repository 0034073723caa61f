{#- A text as a whole number; NULL where it is none. A plain cast would not do: DuckDB makes 13 of 12.5. -#}
{% macro sample_whole_number(column, data_type='bigint') -%}
  case
    when try_cast({{ column }} as decimal(18, 2)) = try_cast({{ column }} as {{ data_type }})
      then try_cast({{ column }} as {{ data_type }})
  end
{%- endmacro %}
