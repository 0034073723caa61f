# Column edges of one SQL statement, by a walk over the tree that sqlglot parses.
# dbt ships this one file to a cluster: it imports nothing of the project. Its annotations stay real ones (no
# `from __future__ import annotations`): adapters load the file without registering a module, where dataclasses can't resolve texts.
import difflib
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

try:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import ParseError, SqlglotError
except ImportError as missing:
    raise ImportError(
        "lineage_audit: the lineage graph reads SQL with sqlglot, which is not installed where Python models run. "
        "Run pip install 'sqlglot==30.30.0' there, or set the var lineage_audit_graph to false."
    ) from missing

# --- what is found ---------------------------------------------------------------------------------------------

DIRECT, INDIRECT = "DIRECT", "INDIRECT"
# Subtypes of OpenLineage's column lineage facet, https://openlineage.io/docs/spec/facets/dataset-facets/column_lineage_facet
IDENTITY, TRANSFORMATION, AGGREGATION = "IDENTITY", "TRANSFORMATION", "AGGREGATION"
JOIN, GROUP_BY, FILTER, SORT, WINDOW, CONDITIONAL = "JOIN", "GROUP_BY", "FILTER", "SORT", "WINDOW", "CONDITIONAL"


@dataclass(frozen=True)
class ColumnEdge:
    """One column, or table, that an output column or the whole output depends on.

    `upstream_column` None: only the table is known, or only its rows matter (`count(*)`, a cross join).
    `downstream_column` None: the whole output depends on it, or the names of the output columns aren't known.
    `masking`: the upstream value can't be seen in the output, as with a hash or a count.
    `rows_alone`: it is known that only the table's rows matter.
    """

    upstream_table: str
    upstream_column: str | None
    downstream_column: str | None
    transformation_type: str
    transformation_subtype: str
    expression: str
    masking: bool = False
    rows_alone: bool = False


@dataclass
class StatementLineage:
    """What one statement depends on. `complete` is False where output columns aren't known by name, as with `select *` from
    a table whose columns nobody told; `columns` then holds those that are known."""

    edges: list[ColumnEdge] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    complete: bool = True


def column_edges(sql: str, dialect: str, columns_of: Mapping[str, Sequence[str]]) -> StatementLineage:
    """The column edges of a select.

    sql: one statement, as compiled by dbt. dialect: `duckdb` or `databricks`. columns_of: columns by relation, the relation as
    its parts joined by `.`, lower-case and unquoted; relations may be missing. Nothing is raised for the SQL's sake: what can't
    be parsed or resolved is told in `problems`, and has edges from whole tables.
    """
    try:
        statements = [each for each in sqlglot.parse(sql, dialect=dialect) if each is not None]
    except RecursionError:
        return _tables_alone(sql, dialect, columns_of, "can't be parsed: it is nested too deeply")
    except SqlglotError as error:
        return _tables_alone(sql, dialect, columns_of, _parse_problem(error))
    statements = [each for each in statements if not isinstance(each, exp.Semicolon)]
    if len(statements) != 1:
        return _tables_alone(sql, dialect, columns_of, f"{len(statements)} statements; one select is expected")
    query = statements[0]
    if isinstance(query, (exp.Create, exp.Insert)) and isinstance(query.expression, exp.Query):
        query = query.expression
    if not isinstance(query, (exp.Query, exp.Values, exp.Pivot, exp.Table)):
        return _tables_alone(sql, dialect, columns_of, f"it is no select but {type(query).__name__.lower()}")
    try:
        return _Statement(dialect, columns_of).lineage(query)
    except RecursionError:
        return _tables_alone(sql, dialect, columns_of, "can't be followed: it is nested too deeply")
    except Exception as error:  # a form of SQL that this file doesn't know must not end the whole graph
        return _tables_alone(sql, dialect, columns_of, f"can't be followed ({type(error).__name__}: {error})")


def _parse_problem(error: SqlglotError) -> str:
    """sqlglot's reason, with the place where it gives one."""
    if isinstance(error, ParseError) and error.errors:
        first = error.errors[0]
        return f"can't be parsed (line {first['line']}, col {first['col']}): {first['description'].splitlines()[0]}"
    return f"can't be parsed: {str(error).splitlines()[0]}"


# --- when SQL can't be parsed ----------------------------------------------------------------------------------

_NAME = r'(?:[A-Za-z_][\w$]*|"(?:[^"]|"")+"|`(?:[^`]|``)+`)'
_RELATION = re.compile(rf"\b(?:from|join)\s+({_NAME}(?:\s*\.\s*{_NAME})*)(?!\s*[\w.(])", re.IGNORECASE)
_RELATION_LOOSE = re.compile(rf"\b(?:from|join)\s+({_NAME}(?:\s*\.\s*{_NAME})*)", re.IGNORECASE)
_CTE = re.compile(
    rf"(?:\bwith(?:\s+recursive)?|,)\s*({_NAME})\s*(?:\([^()]*\)\s*)?as\s*(?:(?:not\s+)?materialized\s*)?\(",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def _tables_alone(sql: str, dialect: str, columns_of: Mapping[str, Sequence[str]], problem: str) -> StatementLineage:
    """Edges from the tables that stand behind `from` and `join`: as much as a text without a tree tells."""
    text = _COMMENT.sub(" ", sql)
    names = _Names(columns_of)
    ctes = {_unquoted(match).lower() for match in _CTE.findall(text)}
    found: dict[str, None] = {}
    for match in _RELATION_LOOSE.findall(text):
        parts = [_unquoted(part) for part in re.findall(_NAME, match)]
        if not (
            len(parts) == 1
            and (parts[0].lower() in ctes or parts[0].lower() in ("select", "lateral", "unnest", "values"))
        ):
            found.setdefault(names.full(parts))
    edges = [ColumnEdge(table, None, None, DIRECT, TRANSFORMATION, "") for table in found]
    return StatementLineage(edges, [f"the statement {problem}; its edges are from whole tables"], [], complete=False)


def _unquoted(name: str) -> str:
    """A name without its quotes."""
    return name[1:-1].replace(name[0] * 2, name[0]) if name[0] in '"`' else name


# --- names of relations ----------------------------------------------------------------------------------------


class _Names:
    """The relations whose columns are known, found by all of their name or by its end."""

    def __init__(self, columns_of: Mapping[str, Sequence[str]]):
        self.columns_of = columns_of
        self._by_end: dict[str, list[str]] | None = None

    def full(self, parts: Sequence[str]) -> str:
        """The name of a relation as `columns_of` has it; if it has not, the name as written, lower-case."""
        written = ".".join(parts).lower()
        if written in self.columns_of:
            return written
        if self._by_end is None:
            self._by_end = {}
            for name in self.columns_of:
                pieces = name.split(".")
                for start in range(1, len(pieces)):
                    self._by_end.setdefault(".".join(pieces[start:]), []).append(name)
        ends = self._by_end.get(written, [])
        if len(ends) == 1:
            return ends[0]
        for start in range(1, len(parts) - 1):  # the SQL says more than columns_of: a catalog that it leaves out
            shorter = ".".join(parts[start:]).lower()
            if shorter in self.columns_of:
                return shorter
        return written

    def columns(self, table: str) -> Sequence[str] | None:
        """The known columns of a relation, or None."""
        return self.columns_of.get(table)


# --- values: what a column is made of --------------------------------------------------------------------------

_ROWS = ""  # in place of a column: what is counted are the table's rows
_Leaf = tuple[str, str | None]  # a table and its column
_Key = tuple[_Leaf, str]  # and the subtype of the way from it
_Note = tuple[bool, object]  # masked; the expression, a tree or a text or None
_STRENGTH = {IDENTITY: 0, TRANSFORMATION: 1, AGGREGATION: 2}


class _Value:
    """The columns that a value is made of (`direct`) and that it depends on otherwise (`indirect`); of a struct that the
    statement packs, its fields."""

    __slots__ = ("direct", "fields", "indirect")

    def __init__(self) -> None:
        self.direct: dict[_Key, _Note] = {}
        self.indirect: dict[_Key, _Note] = {}
        self.fields: dict[str, tuple[str, _Value]] | None = None

    @classmethod
    def of(cls, table: str, column: str | None) -> "_Value":
        value = cls()
        value.direct[(table, column), IDENTITY] = (False, None)
        return value

    def add(self, other: "_Value") -> "_Value":
        """Takes over what another value is made of."""
        _merge(self.direct, other.direct)
        _merge(self.indirect, other.indirect)
        return self

    def add_as(self, other: "_Value", subtype: str, expression: object = None) -> "_Value":
        """Depends on all that another value is made of or depends on, by one subtype."""
        _merge(self.indirect, other.influence(subtype, expression))
        return self

    def influence(self, subtype: str, expression: object = None) -> dict[_Key, _Note]:
        """All columns behind this value, as influences of one subtype."""
        found: dict[_Key, _Note] = {}
        for side in (self.direct, self.indirect):
            _merge(
                found,
                {(leaf, subtype): (masked, expression) for (leaf, _), (masked, _) in side.items() if leaf[1] != _ROWS},
            )
        return found

    def through(self, subtype: str, masking: bool = False) -> "_Value":
        """This value after a step: the stronger of the step and the way so far."""
        result = _Value()
        for (leaf, before), (masked, expression) in self.direct.items():
            after = before if _STRENGTH[before] >= _STRENGTH[subtype] else subtype
            _merge(result.direct, {(leaf, after): (masked or masking, expression)})
        result.indirect = dict(self.indirect)
        return result

    def labelled(self, expression: object, overwrite: bool) -> "_Value":
        """The same with the expression that it came by; a column passed on keeps the one it has."""
        result = _Value()
        for mine, theirs in ((self.direct, result.direct), (self.indirect, result.indirect)):
            for key, (masked, before) in mine.items():
                theirs[key] = (masked, expression if overwrite or before is None else before)
        result.fields = self.fields
        return result

    def shape(self) -> tuple:
        """What may grow while a recursive CTE is followed."""
        return frozenset(self.direct), frozenset(self.indirect)


def _merge(into: dict[_Key, _Note], other: Mapping[_Key, _Note]) -> None:
    """A column that arrives twice is masked only if it is so both times; the first expression stays."""
    for key, (masked, expression) in other.items():
        before = into.get(key)
        into[key] = (masked, expression) if before is None else (before[0] and masked, before[1])


# --- relations: tables, subqueries, CTEs -----------------------------------------------------------------------


class _Rest:
    """The columns of a relation that aren't known by name: of a table, of a value (a struct, a table function), or of the
    branches of a union."""

    __slots__ = ("branches", "table", "value")

    def __init__(self, table: str | None = None, value: _Value | None = None, branches: "Sequence[_Relation]" = ()):
        self.table, self.value, self.branches = table, value, branches

    def column(self, name: str) -> _Value:
        if self.table is not None:
            return _Value.of(self.table, name)
        if self.value is not None:
            return self.value
        value = _Value()
        for branch in self.branches:
            value.add(branch.find(name.lower()) or branch.guess(name))
        return value

    def whole(self) -> _Value:
        """Every column at once, where the output's names aren't known."""
        if self.table is not None:
            return _Value.of(self.table, None)
        if self.value is not None:
            return self.value
        value = _Value()
        for branch in self.branches:
            for _, each in branch.columns:
                value.add(each)
            for rest in branch.rests:
                value.add(rest.whole())
        return value


class _Relation:
    """What stands in a from clause: columns in order, what isn't known of them, and what decides its rows."""

    __slots__ = ("_index", "columns", "rests", "rows", "table")

    def __init__(
        self, columns: Iterable[tuple[str, _Value]] = (), rests: Iterable[_Rest] = (), table: str | None = None
    ):
        self.columns = list(columns)
        self.rests = list(rests)
        self.table = table
        self.rows: dict[_Key, _Note] = {}
        self._index: dict[str, _Value] | None = None

    def itself(self) -> "_Relation":
        return self

    def find(self, name: str) -> _Value | None:
        """The value of a column by its lower-case name, if it is known."""
        if self._index is None:
            self._index = {}
            for each, value in self.columns:
                self._index.setdefault(each.lower(), value)
        return self._index.get(name)

    def guess(self, name: str) -> _Value:
        """A column that isn't known by name: it is in the only place that may hold it, or in one of several tables."""
        if len(self.rests) == 1:
            return self.rests[0].column(name)
        value = _Value()
        for rest in self.rests:
            value.add(rest.whole())
        return value

    def tables(self) -> list[str]:
        """The tables behind it."""
        found: dict[str, None] = {}
        if self.table is not None:
            found[self.table] = None
        for value in (*(each for _, each in self.columns), *(rest.whole() for rest in self.rests)):
            for (table, _), _ in value.direct:
                found[table] = None
        return list(found)

    def renamed(self, names: Sequence[str]) -> "_Relation":
        """The same with other names, as an alias with columns gives them."""
        if not names:
            return self
        kept = [
            (names[place] if place < len(names) else name, value) for place, (name, value) in enumerate(self.columns)
        ]
        if len(kept) < len(names) and self.rests:
            # More names than known columns: each is some column of what isn't known.
            kept += [(name, self.rests[0].whole()) for name in names[len(kept) :]]
        result = _Relation(kept, () if len(kept) >= len(names) and len(names) > len(self.columns) else self.rests)
        result.rows = self.rows
        return result


class _Ctes:
    """The CTEs that a query sees, by lower-case name: each is followed when it is first read, and once. One that nothing reads
    contributes nothing."""

    __slots__ = ("_cell",)

    def __init__(self, around: "_Ctes | None" = None):
        self._cell: dict[str, list] = dict(around._cell) if around is not None else {}

    def define(self, name: str, relation: Callable[[], _Relation]) -> None:
        self._cell[name] = [relation, None]

    def relation(self, name: str) -> _Relation | None:
        cell = self._cell.get(name)
        if cell is None:
            return None
        if cell[1] is None:
            cell[1] = cell[0]()
        return cell[1]


class _Source:
    """A relation under the name that it has in one from clause."""

    __slots__ = ("merged", "parts", "relation")

    def __init__(self, parts: tuple[str, ...], relation: _Relation):
        self.parts, self.relation = parts, relation
        self.merged: set[str] = set()  # columns that `*` shows once, with the left side's

    def is_called(self, qualifier: tuple[str, ...]) -> bool:
        return bool(self.parts) and self.parts[-len(qualifier) :] == qualifier


class _Scope:
    """What names mean at one place of the statement."""

    __slots__ = ("aliases", "bound", "ctes", "merged", "outputs", "parent", "rows", "sources", "variables", "windows")

    def __init__(self, parent: "_Scope | None", ctes: "_Ctes"):
        self.parent, self.ctes = parent, ctes
        self.sources: list[_Source] = []
        self.merged: dict[str, _Value] = {}
        self.aliases: dict[str, _Value] = {}
        self.outputs: list[tuple[str, _Value]] = []
        self.rows: dict[_Key, _Note] = {}
        self.variables: tuple[str, ...] = ()
        self.windows: dict[str, exp.Window] = {}
        self.bound: _Value | None = None  # what COLUMNS(…) stands for while it is expanded

    def chain(self) -> "Iterator[_Scope]":
        scope: _Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


# --- functions that mean something to lineage --------------------------------------------------------------------


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Aggregates that sqlglot leaves untyped, of DuckDB and of Spark.
_AGGREGATES = _words(
    "any_value approx_percentile approx_quantile approx_top_k arbitrary array_agg avg bit_and bit_or bit_xor bitmap_construct_agg"
    " bitmap_or_agg bitstring_agg bool_and bool_or collect_list collect_set corr count count_distinct count_if count_min_sketch"
    " covar_pop covar_samp entropy every favg first fsum geomean geometric_mean group_concat grouping histogram histogram_exact"
    " histogram_numeric hll_sketch_agg hll_union_agg json_group_array json_group_object json_group_structure kahan_sum kurtosis"
    " kurtosis_pop last list listagg mad max mean median min mode percentile percentile_approx product quantile quantile_cont"
    " quantile_disc regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy"
    " reservoir_quantile schema_of_json_agg sem skewness some std stddev stddev_pop stddev_samp string_agg sum sum_no_overflow"
    " sumkahan try_avg try_sum var_pop var_samp variance"
)
# Functions that choose a row of the window: their value is one row's, as it is.
_SHIFTS = _words(
    "lag lead first_value last_value nth_value first last any_value firstvalue lastvalue nthvalue anyvalue"
)
# What leaves nothing to read of the value: OpenLineage's `masking`, which names hashes and counts as examples.
_MASKS = _words(
    "md5 md5_number md5_number_lower md5_number_upper md5digest sha sha1 sha1digest sha2 sha2digest sha256 sha512 hash xxhash64"
    " crc32 murmur3 hive_hash mask farmfingerprint standardhash aes_encrypt"
    " count countif count_if count_distinct approxdistinct approx_count_distinct hll"
)
# Of no column, as in count(*) and sum(1), these tell how many rows there are.
_COUNTS = _words("count sum avg mean")
# The value of the first argument in the row where the second is at its end.
_AT_EXTREME = _words("argmax argmin arg_max arg_min max_by min_by arg_max_null arg_min_null")
# Table functions that read what is no relation of the project.
_FILE_READERS = re.compile(r"^(read_\w+|readcsv|readparquet|\w+_scan|cloud_files|sniff_csv|glob)$")
# Units that a function may take as a bare word.
_UNITS = _words(
    "microsecond millisecond second minute hour day dayofyear week month quarter year days weeks months years hours minutes"
    " seconds"
)
_ORDER_CLAUSES = ("order", "sort", "cluster")


def _arg(node: exp.Expression, name: str):
    """An argument that sqlglot names with an underscore where Python has the word, by its version."""
    return node.args.get(f"{name}_") or node.args.get(name)


def _function_name(node: exp.Expression) -> str:
    return (node.name if isinstance(node, (exp.Anonymous, exp.AnonymousAggFunc)) else node.key).lower()


def _unwrapped(node: exp.Expression) -> exp.Expression:
    """An expression without alias and parentheses."""
    while isinstance(node, (exp.Alias, exp.Paren)):
        node = node.this
    return node


def _place(node: exp.Expression) -> str:
    """` (line 3, col 8)`, where the parser has kept it."""
    for each in (node, node.this if isinstance(node.this, exp.Expression) else None):
        if each is not None and "line" in each.meta:
            return f" (line {each.meta['line']}, col {each.meta['col']})"
    return ""


def _conjuncts(node: exp.Expression) -> Iterator[exp.Expression]:
    """The conditions that `and` holds together."""
    stack = [node]
    while stack:
        each = stack.pop()
        while isinstance(each, exp.Paren):
            each = each.this
        if isinstance(each, exp.And):
            stack += [each.expression, each.this]
        else:
            yield each


def _identifiers(nodes: Iterable[exp.Expression] | None) -> list[str]:
    return [each.name for each in nodes or ()]


# --- the walk --------------------------------------------------------------------------------------------------


class _Statement:
    """Follows one statement from its tables to its output. Every subquery is looked at once, a CTE too."""

    def __init__(self, dialect: str, columns_of: Mapping[str, Sequence[str]]):
        self.dialect = dialect
        self.names = _Names(columns_of)
        self.problems: dict[str, None] = {}
        self.physical: dict[str, _Relation] = {}
        self._texts: dict[int, str] = {}
        self._special: dict[type, Callable[[exp.Expression, _Scope], _Value]] = {
            exp.Column: self._column,
            exp.Columns: self._bound_columns,
            exp.Paren: lambda node, scope: self.value(node.this, scope),
            exp.Alias: lambda node, scope: self.value(node.this, scope),
            exp.Distinct: self._each_as_it_is,
            exp.IgnoreNulls: lambda node, scope: self.value(node.this, scope),
            exp.RespectNulls: lambda node, scope: self.value(node.this, scope),
            exp.Case: self._case,
            exp.If: self._if,
            exp.Nvl2: self._if,
            exp.Coalesce: self._coalesce,
            exp.Window: self._window,
            exp.Filter: self._filter,
            exp.WithinGroup: self._within_group,
            exp.Order: self._ordered_argument,
            exp.HavingMax: self._having_max,
            exp.Struct: self._struct,
            exp.Dot: self._dot,
            exp.Bracket: self._bracket,
            exp.StructExtract: self._struct_extract,
            exp.Lambda: self._lambda,
            exp.Comprehension: self._comprehension,
            exp.Exists: self._exists,
            exp.PropertyEQ: lambda node, scope: self.value(node.expression, scope),
            exp.Kwarg: lambda node, scope: self.value(node.expression, scope),
            exp.Array: self._array,
        }

    # --- the result

    def lineage(self, query: exp.Expression) -> StatementLineage:
        """All edges of a statement."""
        relation = self.query(query, None, _Ctes())
        edges: dict[tuple, ColumnEdge] = {}

        def keep(leaf: _Leaf, column: str | None, kind: str, subtype: str, note: _Note) -> None:
            expression = self.text(note[1]) if note[1] is not None else (leaf[1] or "*")
            edge = ColumnEdge(leaf[0], leaf[1] or None, column, kind, subtype, expression, note[0], leaf[1] == _ROWS)
            edges.setdefault((leaf, column, kind, subtype), edge)

        names = self._output_names(relation)
        for name, (_, value) in zip(names, relation.columns, strict=True):
            of_rows_alone = all(column == _ROWS for (_, column), _ in value.direct)
            for (leaf, subtype), note in value.direct.items():
                if leaf[1] != _ROWS or of_rows_alone:
                    keep(leaf, name, DIRECT, subtype, note)
            for (leaf, subtype), note in value.indirect.items():
                keep(leaf, name, INDIRECT, subtype, note)
        for rest in relation.rests:
            value = rest.whole()
            self._star_problem(value)
            for (leaf, subtype), note in value.direct.items():
                keep(leaf, None, DIRECT, subtype, note)
        for (leaf, subtype), note in relation.rows.items():
            keep(leaf, None, INDIRECT, subtype, note)
        seen = {edge.upstream_table for edge in edges.values()}
        for table in self.physical:
            if table not in seen:  # its rows alone matter
                keep((table, _ROWS), None, INDIRECT, JOIN, (False, None))
        return StatementLineage(list(edges.values()), list(self.problems), names, not relation.rests)

    def _output_names(self, relation: _Relation) -> list[str]:
        """DuckDB numbers the later of equal names when it makes a table of them; elsewhere they are an error."""
        taken: set[str] = set()
        names = []
        for name, _ in relation.columns:
            shown = name
            for number in itertools.count(1):
                if self.dialect != "duckdb" or shown.lower() not in taken:
                    break
                shown = f"{name}_{number}"
            taken.add(shown.lower())
            names.append(shown)
        return names

    def _star_problem(self, value: _Value) -> None:
        tables = [table for (table, column), _ in value.direct if column is None]
        if tables:
            self.problem(f"select *: the columns of {_listed(tables)} aren't known; the edges are from the whole table")
        else:
            self.problem("select *: the names of the output columns aren't known")

    def problem(self, text: str) -> None:
        self.problems.setdefault(text)

    def text(self, expression: object) -> str:
        """An expression as SQL, in lower case but for names in quotes and texts; rendered once."""
        if not isinstance(expression, exp.Expression):
            return str(expression)
        key = id(expression)
        if key not in self._texts:
            node = _unwrapped(expression)
            try:
                sql = node.sql(dialect=self.dialect, comments=False, normalize_functions="lower")
            except (SqlglotError, ValueError, RecursionError):
                sql = type(node).__name__.lower()
            self._texts[key] = _lower(sql)
        return self._texts[key]

    # --- queries

    def query(self, node: exp.Expression, parent: _Scope | None, ctes: _Ctes) -> _Relation:
        """The relation that a query gives. parent: what an enclosing query lets it see."""
        ctes = self._with(node, parent, ctes)
        if isinstance(node, exp.Select):
            return self._select(node, parent, ctes)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, parent, ctes)
        scope = _Scope(parent, ctes)
        if isinstance(node, exp.Subquery):
            if isinstance(node.this, exp.Query) and not (node.args.get("pivots") or node.args.get("joins")):
                relation = self.query(node.this, parent, ctes)
                return self._sorted(node, relation, scope)
            self._from(node, scope)
        else:
            self._from(node, scope)
        columns, rests = self._star(scope, exp.Star())
        result = _Relation(columns, rests)
        result.rows = scope.rows
        return self._sorted(node, result, scope)

    def _with(self, node: exp.Expression, parent: _Scope | None, ctes: _Ctes) -> _Ctes:
        """The CTEs that a query sees: those around it, then its own, of which each sees the earlier ones."""
        clause = _arg(node, "with")
        if clause is None:
            return ctes
        seen = _Ctes(ctes)
        for cte in clause.expressions:
            name = cte.alias.lower()
            names = cte.alias_column_names
            body = cte.this
            recursive = clause.recursive and isinstance(_inner(body), exp.SetOperation) and _reads(body, name)
            earlier = _Ctes(seen)
            if recursive:
                seen.define(name, partial(self._recursive, body, name, names, parent, earlier))
            else:
                seen.define(name, partial(self._named, body, names, parent, earlier))
        return seen

    def _named(self, body: exp.Expression, names: Sequence[str], parent: _Scope | None, ctes: _Ctes) -> _Relation:
        return self.query(body, parent, ctes).renamed(names)

    def _recursive(
        self,
        body: exp.Expression,
        name: str,
        names: Sequence[str],
        parent: _Scope | None,
        ctes: _Ctes,
    ) -> _Relation:
        """A recursive CTE: its first branch, then the others over what was found so far, until nothing is new."""
        union = _inner(body)
        ctes = self._with(union, parent, ctes if union is body else self._with(body, parent, ctes))
        relation = self.query(union.this, parent, ctes).renamed(names)
        while True:
            seen = _Ctes(ctes)
            seen.define(name, partial(_Relation.itself, relation))
            step = self.query(union.expression, parent, seen)
            before = [value.shape() for _, value in relation.columns], frozenset(relation.rows)
            relation = self._together(union, relation, step)
            if ([value.shape() for _, value in relation.columns], frozenset(relation.rows)) == before:
                return relation

    def _set_operation(self, node: exp.SetOperation, parent: _Scope | None, ctes: _Ctes) -> _Relation:
        spine = [node]  # a long chain of unions leans to the left
        while isinstance(spine[-1].this, exp.SetOperation) and not any(
            _arg(spine[-1].this, each) for each in ("with", *_ORDER_CLAUSES)
        ):
            spine.append(spine[-1].this)
        relation = self.query(spine[-1].this, parent, ctes)
        for each in reversed(spine):
            relation = self._together(each, relation, self.query(each.expression, parent, ctes))
        return self._sorted(node, relation, _Scope(parent, ctes))

    def _together(self, node: exp.SetOperation, left: _Relation, right: _Relation) -> _Relation:
        """The rows of two relations: all of them, each once, those in both, or those in the first alone."""
        only_left = isinstance(node, (exp.Except, exp.Intersect))
        columns: list[tuple[str, _Value]] = []
        rests: list[_Rest] = []
        if only_left:
            columns, rests = left.columns, left.rests
        elif node.args.get("by_name"):
            if left.rests or right.rests:
                rests = [_Rest(branches=(left, right))]
            else:
                names = {name.lower(): name for name, _ in (*right.columns, *left.columns)}
                order = dict.fromkeys(name.lower() for name, _ in (*left.columns, *right.columns))
                columns = [(names[key], self._both(left.find(key), right.find(key))) for key in order]
        elif left.rests:
            rests = [_Rest(branches=(left, right))]
        elif right.rests:
            columns = [
                (name, self._both(value, right.find(name.lower()) or right.guess(name))) for name, value in left.columns
            ]
        else:
            if len(left.columns) != len(right.columns):
                self.problem(
                    f"{node.key}: {len(left.columns)} columns on one side and {len(right.columns)} on the other{_place(node)}"
                )
            others = [value for _, value in right.columns]
            columns = [
                (name, self._both(value, others[place] if place < len(others) else None))
                for place, (name, value) in enumerate(left.columns)
            ]
        result = _Relation(columns, rests)
        _merge(result.rows, left.rows)
        _merge(result.rows, right.rows)
        compared = FILTER if only_left else GROUP_BY if node.args.get("distinct") else None
        if compared:
            for side in (left, right):
                for value in (*(each for _, each in side.columns), *(rest.whole() for rest in side.rests)):
                    _merge(result.rows, value.influence(compared, node.key))
        return result

    @staticmethod
    def _both(one: _Value | None, other: _Value | None) -> _Value:
        value = _Value()
        for each in (one, other):
            if each is not None:
                value.add(each)
        return value

    # --- select

    def _select(self, node: exp.Select, parent: _Scope | None, ctes: _Ctes) -> _Relation:
        scope = _Scope(parent, ctes)
        scope.windows = {each.name.lower(): each for each in node.args.get("windows") or ()}
        source = _arg(node, "from")
        if source is not None:
            self._from(source.this, scope)
        for join in node.args.get("joins") or ():
            self._join(join, scope)
        for lateral in node.args.get("laterals") or ():
            self._from(lateral, scope)

        rests: list[_Rest] = []
        places: list[tuple[exp.Expression, list[_Value]]] = []  # the select items with their values
        for item in node.expressions:
            columns, more = self._projection(item, scope)
            scope.outputs += columns
            rests += more
            places.append((item, [value for _, value in columns]))
            if isinstance(item, (exp.Alias, exp.Aliases)):
                for name, value in columns:
                    scope.aliases.setdefault(name.lower(), value)

        for clause in ("where", "having", "qualify"):
            if node.args.get(clause) is not None:
                self._condition(node.args[clause].this, FILTER, scope)
        self._group(node.args.get("group"), places, scope)
        distinct = node.args.get("distinct")
        if distinct is not None:
            on = distinct.args.get("on")
            if on is not None:
                for each in on.expressions if isinstance(on, exp.Tuple) else [on]:
                    self._whole(self.value(each, scope), GROUP_BY, each, scope)
            else:
                for _, value in scope.outputs:
                    self._whole(value, GROUP_BY, "distinct", scope)
                for rest in rests:
                    self._whole(rest.whole(), GROUP_BY, "distinct", scope)
        relation = _Relation(scope.outputs, rests)
        relation.rows = scope.rows
        return self._sorted(node, relation, scope)

    def _whole(self, value: _Value, subtype: str, expression: object, scope: _Scope) -> None:
        """The rows of a scope depend on a value."""
        _merge(scope.rows, value.influence(subtype, expression))

    def _condition(self, node: exp.Expression, subtype: str, scope: _Scope) -> None:
        for each in _conjuncts(node):
            self._whole(self.value(each, scope), subtype, each, scope)

    def _group(
        self, group: exp.Group | None, places: Sequence[tuple[exp.Expression, list[_Value]]], scope: _Scope
    ) -> None:
        if group is None:
            return
        if group.args.get("all"):
            for item, values in places:
                if not item.find(exp.AggFunc):
                    for value in values:
                        self._whole(value, GROUP_BY, item, scope)
        listed: list[exp.Expression] = list(group.expressions)
        for kind in ("grouping_sets", "cube", "rollup"):
            listed += [each for each in group.args.get(kind) or () if isinstance(each, exp.Expression)]
        while listed:
            each = listed.pop(0)
            if isinstance(each, (exp.GroupingSets, exp.Cube, exp.Rollup, exp.Tuple)):
                listed[:0] = each.expressions
            elif isinstance(each, exp.Paren):
                listed.insert(0, each.this)
            else:
                self._whole(self._place_or_value(each, scope), GROUP_BY, each, scope)

    def _place_or_value(self, node: exp.Expression, scope: _Scope) -> _Value:
        """The value of an expression, or of the select item whose place a bare number tells."""
        if isinstance(node, exp.Literal) and not node.is_string:
            place = int(node.name) if node.name.isdigit() else 0
            return scope.outputs[place - 1][1] if 0 < place <= len(scope.outputs) else _Value()
        return self.value(node, scope)

    def _sorted(self, node: exp.Expression, relation: _Relation, scope: _Scope) -> _Relation:
        """Order by, sort by and cluster by: of the names there, output columns go before columns of the sources."""
        clauses = [node.args[each] for each in _ORDER_CLAUSES if isinstance(node.args.get(each), exp.Expression)]
        if not clauses:
            return relation
        if not scope.outputs:
            scope.outputs = relation.columns
        if not scope.sources:
            scope.sources = [_Source((), relation)]
        rows = dict(relation.rows)
        for clause in clauses:
            for ordered in clause.expressions:
                each = ordered.this if isinstance(ordered, exp.Ordered) else ordered
                plain = each if isinstance(each, exp.Column) and not each.table else None
                value = relation.find(plain.name.lower()) if plain is not None else None
                if value is None and isinstance(each, (exp.Column, exp.Var)) and each.name.lower() == "all":
                    value = _Value()
                    for _, column in relation.columns:
                        value.add(column)
                if value is None:
                    value = self._place_or_value(each, scope)
                _merge(rows, value.influence(SORT, each))
        result = _Relation(relation.columns, relation.rests, relation.table)
        result.rows = rows
        return result

    # --- select items

    def _projection(self, item: exp.Expression, scope: _Scope) -> tuple[list[tuple[str, _Value]], list[_Rest]]:
        """The columns that one select item gives."""
        core = _unwrapped(item)
        if isinstance(core, exp.Star):
            return self._star(scope, core)
        if isinstance(core, exp.Column) and isinstance(core.this, exp.Star):
            return self._qualified_star(core, scope)
        if isinstance(core, exp.Dot) and isinstance(core.expression, exp.Star):
            return self._fields(self.value(core.this, scope))
        if isinstance(item, exp.Aliases):
            return self._generated(item.this, _identifiers(item.expressions), scope).columns, []
        pattern = item.find(exp.Columns)
        if pattern is not None:
            return self._columns_of_pattern(item, pattern, scope)
        if isinstance(core, (exp.Explode, exp.Unnest)) and not isinstance(item, exp.Alias) and self.dialect == "duckdb":
            inner = self.value(core.this if isinstance(core, exp.Explode) else core.expressions[0], scope)
            if inner.fields:
                return self._fields(inner)
        value = self.value(item, scope).labelled(core, not isinstance(core, exp.Column))
        return [(self._output_name(item), value)], []

    def _output_name(self, item: exp.Expression) -> str:
        """The name that an engine gives a select item."""
        if isinstance(item, exp.Alias):
            return item.alias
        core = _unwrapped(item)
        if self.dialect != "duckdb":
            while isinstance(core, exp.Cast):
                core = core.this
        if isinstance(core, exp.Column):
            return core.name
        if isinstance(core, exp.Dot) and isinstance(core.expression, exp.Identifier):
            return core.expression.name
        return self.text(core)

    @staticmethod
    def _fields(value: _Value) -> tuple[list[tuple[str, _Value]], list[_Rest]]:
        """The columns that a struct is unpacked into."""
        if value.fields is not None:
            return list(value.fields.values()), []
        return [], [_Rest(value=value.through(TRANSFORMATION))]

    def _qualified_star(self, node: exp.Column, scope: _Scope) -> tuple[list[tuple[str, _Value]], list[_Rest]]:
        qualifier = tuple(part.name.lower() for part in node.parts[:-1])
        for each in scope.chain():
            for source in each.sources:
                if source.is_called(qualifier):
                    return self._modified(list(source.relation.columns), list(source.relation.rests), node.this, scope)
        # No relation has that name: it is a struct, and the star its fields.
        parts = [part.copy() for part in node.parts[:-1]]
        struct = exp.Column(**dict(zip(("this", "table", "db", "catalog"), reversed(parts), strict=False)))
        columns, rests = self._fields(self._column(struct, scope))
        return self._modified(columns, rests, node.this, scope)

    def _star(self, scope: _Scope, star: exp.Star) -> tuple[list[tuple[str, _Value]], list[_Rest]]:
        columns: list[tuple[str, _Value]] = []
        rests: list[_Rest] = []
        shown: set[str] = set()
        if self.dialect != "duckdb":  # columns of USING come first
            for name, value in scope.merged.items():
                columns.append((name, value))
                shown.add(name)
        for source in scope.sources:
            for name, value in source.relation.columns:
                key = name.lower()
                if key in scope.merged:
                    if key in shown and (key in source.merged or self.dialect != "duckdb"):
                        continue
                    shown.add(key)
                    value = scope.merged[key]
                columns.append((name, value))
            rests += source.relation.rests
        return self._modified(columns, rests, star, scope)

    def _modified(
        self, columns: list[tuple[str, _Value]], rests: list[_Rest], star: exp.Expression, scope: _Scope
    ) -> tuple[list[tuple[str, _Value]], list[_Rest]]:
        """A star's columns after exclude (except), replace and rename."""
        left_out = {_unwrapped(each).name.lower() for each in _arg(star, "except") or ()}
        replaced = {each.alias.lower(): each for each in _arg(star, "replace") or ()}
        names = {_unwrapped(each).name.lower(): each.alias for each in _arg(star, "rename") or ()}
        if not (left_out or replaced or names):
            return columns, rests
        result = []
        for name, value in columns:
            key = name.lower()
            if key in left_out:
                continue
            if key in replaced:
                node = replaced.pop(key)
                value = self.value(node.this, scope).labelled(node.this, True)
            result.append((names.pop(key, name), value))
        if rests:  # among the columns that aren't known
            result += [
                (each.alias, self.value(each.this, scope).labelled(each.this, True)) for each in replaced.values()
            ]
        return result, rests

    def _columns_of_pattern(
        self, item: exp.Expression, pattern: exp.Columns, scope: _Scope
    ) -> tuple[list[tuple[str, _Value]], list[_Rest]]:
        """DuckDB's COLUMNS(…): the select item once for each column that the pattern names."""
        what = pattern.this
        if isinstance(what, exp.Star):
            columns, rests = self._star(scope, what)
        else:
            columns, rests = self._star(scope, exp.Star())
            if isinstance(what, exp.Literal):
                columns = [(name, value) for name, value in columns if re.search(what.name, name)]
            elif isinstance(what, (exp.Array, exp.Tuple, exp.List)):
                wanted = {each.name.lower() for each in what.expressions}
                columns = [(name, value) for name, value in columns if name.lower() in wanted]
            else:
                self.problem(
                    f"columns({self.text(what)}) may leave out some of the columns that are listed{_place(item)}"
                )
        result = []
        core = _unwrapped(item)
        for name, each in columns:
            scope.bound = each
            value = self.value(item, scope).labelled(core, not isinstance(core, exp.Columns))
            result.append((item.alias.replace("\\0", name) if isinstance(item, exp.Alias) else name, value))
        scope.bound = None
        return result, rests

    def _bound_columns(self, node: exp.Columns, scope: _Scope) -> _Value:
        return scope.bound or _Value()

    # --- from

    def _from(self, node: exp.Expression, scope: _Scope) -> None:
        """Adds what a from clause or a join names to the scope."""
        source = self._source(node, scope)
        if source is not None:
            scope.sources.append(source)
            _merge(scope.rows, source.relation.rows)
        if not isinstance(node, exp.Lateral):
            for join in node.args.get("joins") or ():
                self._join(join, scope)

    def _source(self, node: exp.Expression, scope: _Scope) -> _Source | None:
        alias = node.args.get("alias")
        name = alias.name.lower() if isinstance(alias, exp.TableAlias) and alias.this else ""
        names = _identifiers(alias.args.get("columns")) if isinstance(alias, exp.TableAlias) else []
        parts: tuple[str, ...] = (name,) if name else ()
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            relation, own = self._table(node, scope)
            parts = parts or own
        elif isinstance(node, exp.Table):
            relation = self._table_function(node.this, names, scope)
            parts = parts or (_function_name(node.this),)
            names = []
        elif isinstance(node, exp.Lateral) and isinstance(node.this, (exp.Subquery, exp.Query)):
            relation = self.query(node.this, scope, scope.ctes)
        elif isinstance(node, exp.Lateral):
            relation = self._table_function(node.this, names, scope)
            names = []
        elif isinstance(node, exp.Unnest):
            relation = self._unnest(node, names, scope)
            parts = parts or ("unnest",)
            names = []
        elif isinstance(node, exp.Values):
            relation = self._values(node, scope)
        elif isinstance(node, exp.Pivot):
            inner = _Scope(scope, scope.ctes)
            self._from(node.this, inner)
            relation = self._pivoted(inner.sources[-1].relation, node, inner)
        elif isinstance(node, exp.Subquery):
            if isinstance(node.this, exp.Query):
                relation = self.query(node.this, scope, self._with(node, scope, scope.ctes))
            elif parts:  # parentheses around a join, under a name
                inner = _Scope(scope, scope.ctes)
                self._from(node.this, inner)
                columns, rests = self._star(inner, exp.Star())
                relation = _Relation(columns, rests)
                relation.rows = inner.rows
            else:  # parentheses around a join: its relations keep their names
                self._from(node.this, scope)
                for pivot in node.args.get("pivots") or ():
                    last = scope.sources[-1]
                    last.relation = self._pivoted(last.relation, pivot, scope)
                return None
        elif isinstance(node, exp.Query):
            relation = self.query(node, scope, scope.ctes)
        else:
            relation = self._table_function(node, names, scope)
            names = []
        for pivot in node.args.get("pivots") or ():
            inner = _Scope(scope, scope.ctes)
            inner.sources = [_Source(parts, relation)]
            inner.rows = dict(relation.rows)
            relation = self._pivoted(relation, pivot, inner)
            pivot_alias = pivot.args.get("alias")
            if pivot_alias is not None:
                parts = (pivot_alias.name.lower(),)
                names = _identifiers(pivot_alias.args.get("columns"))
        return _Source(parts, relation.renamed(names))

    def _table(self, node: exp.Table, scope: _Scope) -> tuple[_Relation, tuple[str, ...]]:
        """A CTE, where the name has one part and one is called so; otherwise a table."""
        written = [part.name for part in node.parts]
        own = tuple(part.lower() for part in written)
        if len(own) == 1 and (cte := scope.ctes.relation(own[0])) is not None:
            return cte, own
        full = self.names.full(written)
        if full not in self.physical:
            known = self.names.columns(full)
            if known is None:
                self.physical[full] = _Relation((), [_Rest(table=full)], full)
            else:
                self.physical[full] = _Relation([(each, _Value.of(full, each)) for each in known], (), full)
        return self.physical[full], own

    def _table_function(self, node: exp.Expression, names: Sequence[str], scope: _Scope) -> _Relation:
        """range(…), explode(…), read_csv(…): rows made of the function's arguments."""
        function = _function_name(node)
        if _FILE_READERS.match(function):
            self.problem(f"{self.text(node)} reads files; no table stands for them{_place(node)}")
        return self._generated(node, names, scope)

    def _generated(self, node: exp.Expression, names: Sequence[str], scope: _Scope) -> _Relation:
        """The columns of a function that makes rows; each comes from all of its arguments, but for `stack`, which deals
        them out."""
        if _function_name(node) == "stack" and names:
            values = [_Value() for _ in names]
            _, *cells = node.expressions if isinstance(node, exp.Anonymous) else node.iter_expressions()
            for place, cell in enumerate(cells):
                values[place % len(names)].add(self.value(cell, scope).labelled(cell, True))
            return _Relation(zip(names, values, strict=True))
        value = self.value(node, scope).through(TRANSFORMATION).labelled(node, True)
        if names:
            return _Relation([(name, value) for name in names])
        return _Relation((), [_Rest(value=value)])

    def _unnest(self, node: exp.Unnest, names: Sequence[str], scope: _Scope) -> _Relation:
        values = [self.value(each, scope).through(TRANSFORMATION).labelled(node, True) for each in node.expressions]
        if not names:
            both = _Value()
            for value in values:
                both.add(value)
            return _Relation((), [_Rest(value=both)])
        # With more names than lists, the others are ordinality or fields: all come from the last list.
        return _Relation([(name, values[min(place, len(values) - 1)]) for place, name in enumerate(names)])

    def _values(self, node: exp.Values, scope: _Scope) -> _Relation:
        columns: list[tuple[str, _Value]] = []
        first = 0 if self.dialect == "duckdb" else 1
        for row in node.expressions:
            cells = row.expressions if isinstance(row, exp.Tuple) else [row]
            for place, cell in enumerate(cells):
                if place == len(columns):
                    columns.append((f"col{place + first}", _Value()))
                columns[place][1].add(self.value(cell, scope).labelled(cell, True))
        return _Relation(columns)

    # --- joins

    def _join(self, join: exp.Join, scope: _Scope) -> None:
        before = len(scope.sources)
        self._from(join.this, scope)
        added = scope.sources[before:]
        for names in (_identifiers(join.args.get("using")), self._natural(join, scope, before)):
            for name in names:
                self._using(name, join, scope, before)
        if join.args.get("on") is not None:
            self._condition(join.args["on"], JOIN, scope)
        if join.kind in ("SEMI", "ANTI"):
            scope.sources = [each for each in scope.sources if each not in added]

    def _natural(self, join: exp.Join, scope: _Scope, before: int) -> list[str]:
        if join.method != "NATURAL":
            return []
        left, right = scope.sources[:before], scope.sources[before:]
        if any(each.relation.rests for each in scope.sources):
            tables = [table for each in scope.sources if each.relation.rests for table in each.relation.tables()]
            self.problem(
                f"natural join: the columns of {_listed(tables)} aren't known; those that it compares aren't listed"
            )
        on_the_left = {name.lower() for each in left for name, _ in each.relation.columns}
        return [name for each in right for name, _ in each.relation.columns if name.lower() in on_the_left]

    def _using(self, name: str, join: exp.Join, scope: _Scope, before: int) -> None:
        """One column that both sides of a join have: it is shown once."""
        key = name.lower()
        right = _Value()
        for source in scope.sources[before:]:
            right.add(source.relation.find(key) or source.relation.guess(name))
            source.merged.add(key)
        left = scope.merged.get(key)
        if left is None:
            inner = _Scope(None, scope.ctes)
            inner.sources = scope.sources[:before]
            left = self._unqualified(name, inner, join)
        for side in (left, right):
            self._whole(side, JOIN, f"using ({name})", scope)
        if join.kind in ("SEMI", "ANTI"):
            return
        if join.side == "RIGHT":
            merged = right
        elif join.side == "FULL":
            merged = _Value().add(left.through(TRANSFORMATION)).add(right.through(TRANSFORMATION))
        else:
            merged = left
        scope.merged[key] = merged

    # --- pivot

    def _pivoted(self, relation: _Relation, pivot: exp.Pivot, scope: _Scope) -> _Relation:
        if pivot.args.get("unpivot"):
            return self._unpivoted(relation, pivot)
        simple = not pivot.args.get("fields")  # DuckDB's own form: on …, using …, group by …
        fields = pivot.expressions if simple else pivot.args["fields"]
        aggregates = (pivot.args.get("using") or []) if simple else pivot.expressions
        condition, used = _Value(), set()
        for each in fields:
            on = each.this if isinstance(each, exp.In) else each
            condition.add_as(self.value(on, scope), CONDITIONAL)
            used |= {column.name.lower() for column in on.find_all(exp.Column)}
        made = []
        for each in aggregates:
            made.append(_Value().add(self.value(each, scope)).add(condition).labelled(each, True))
            used |= {column.name.lower() for column in each.find_all(exp.Column)}
        made = made or [_Value().add(condition)]
        names = _identifiers(pivot.args.get("columns")) or self._pivot_names(fields, aggregates)
        group = pivot.args.get("group")
        if group is not None:
            kept = [(self._output_name(each), self.value(each, scope)) for each in group.expressions]
            rests = []
        else:
            kept = [(name, value) for name, value in relation.columns if name.lower() not in used]
            rests = list(relation.rests)
        columns = kept + [(name, made[place % len(made)]) for place, name in enumerate(names)]
        if not names:  # a column for each value that the data hold
            every = _Value()
            for value in made:
                every.add(value)
            rests.append(_Rest(value=every))
        result = _Relation(columns, rests)
        result.rows = dict(relation.rows)
        for _, value in kept:
            _merge(result.rows, value.influence(GROUP_BY, "pivot"))
        return result

    @staticmethod
    def _pivot_names(fields: Sequence[exp.Expression], aggregates: Sequence[exp.Expression]) -> list[str]:
        """The columns that DuckDB's own form of pivot makes, where it lists the values."""
        lists = []
        for each in fields:
            if not isinstance(each, exp.In):
                return []
            lists.append([value.alias or value.name for value in each.expressions])
        names = ["_".join(values) for values in itertools.product(*lists)]
        named = [each.alias for each in aggregates]
        if len(aggregates) == 1 and not named[0]:
            return names
        return [
            f"{name}_{alias or each.sql().lower()}"
            for name in names
            for alias, each in zip(named, aggregates, strict=True)
        ]

    def _unpivoted(self, relation: _Relation, pivot: exp.Pivot) -> _Relation:
        fields = pivot.args.get("fields") or []
        value_names, name_names, groups = [], [], []
        if fields:
            for each in pivot.expressions:
                value_names += _identifiers(each.expressions) if isinstance(each, exp.Tuple) else [each.name]
            name_names = [each.this.name for each in fields]
            groups = [each for part in fields for each in part.expressions]
        else:  # DuckDB's own form: on …, into name … value …
            groups = pivot.expressions
            into = pivot.args.get("into")
            name_names = [into.this.name] if into is not None else ["name"]
            value_names = _identifiers(into.expressions) if into is not None else ["value"]
        values = [_Value() for _ in value_names]
        used: set[str] = set()
        for each in groups:
            core = each.this if isinstance(each, (exp.PivotAlias, exp.Alias)) else each
            if core.find(exp.Columns, exp.Star):
                self.problem(f"unpivot on {self.text(core)}: its columns aren't listed{_place(core)}")
                return _Relation((), [_Rest(branches=(relation,))])
            members = core.expressions if isinstance(core, exp.Tuple) else [core]
            for place, column in enumerate(members):
                used.add(column.name.lower())
                found = relation.find(column.name.lower())
                values[min(place, len(values) - 1)].add(found if found is not None else relation.guess(column.name))
        kept = [(name, value) for name, value in relation.columns if name.lower() not in used]
        columns = [*kept, *((name, _Value()) for name in name_names), *zip(value_names, values, strict=True)]
        result = _Relation(columns, relation.rests)
        result.rows = relation.rows
        return result

    # --- columns

    def _column(self, node: exp.Column, scope: _Scope) -> _Value:
        """What a name of one or several parts means: a column of a relation, a field of a struct, an alias."""
        parts = [part.name for part in node.parts]
        lowered = tuple(part.lower() for part in parts)
        if any(lowered[0] in each.variables for each in scope.chain()):
            return _Value()  # a lambda's variable: what it runs over is an argument beside it
        if isinstance(node.this, exp.Star):
            return self._row_of(lowered[:-1], scope)
        lacking: _Source | None = None
        for each in scope.chain():
            for length in range(len(parts) - 1, 0, -1):
                source = next((one for one in each.sources if one.is_called(lowered[:length])), None)
                if source is None:
                    continue
                value = source.relation.find(lowered[length])
                if value is None and source.relation.rests:
                    value = self._guess(source.relation, parts[length], node)
                if value is not None:
                    return self._field_path(value, parts[length + 1 :])
                lacking = lacking or source
        if lacking is not None and len(parts) > 1:
            if self._known(lowered[0], scope):  # a struct column named as a relation
                return self._field_path(self._unqualified(parts[0], scope, node), parts[1:])
            return self._lacking([lacking], parts[-1], node)
        value = self._unqualified(parts[0], scope, node)
        return self._field_path(value, parts[1:])

    @staticmethod
    def _known(name: str, scope: _Scope) -> bool:
        return any(source.relation.find(name) is not None for each in scope.chain() for source in each.sources)

    def _row_of(self, qualifier: tuple[str, ...], scope: _Scope) -> _Value:
        """`t.*` inside an expression, as in count(t.*)."""
        value = _Value()
        for each in scope.chain():
            for source in each.sources:
                if source.is_called(qualifier):
                    for _, column in source.relation.columns:
                        value.add(column)
                    for rest in source.relation.rests:
                        value.add(rest.whole())
                    return value
        return value

    def _field_path(self, value: _Value, path: Sequence[str]) -> _Value:
        for name in path:
            value = self._field_of(value, name)
        return value

    @staticmethod
    def _field_of(value: _Value, name: str) -> _Value:
        """A field of a struct: exactly what was packed into it, if the statement packed it."""
        found = (value.fields or {}).get(name.lower())
        if found is None:
            return value.through(TRANSFORMATION)
        inner = found[1]
        result = inner.through(TRANSFORMATION)
        result.fields = inner.fields
        return result

    def _unqualified(self, name: str, scope: _Scope, node: exp.Expression) -> _Value:
        key = name.lower()
        for each in scope.chain():
            if key in each.merged:
                return each.merged[key]
            found = [(source, value) for source in each.sources if (value := source.relation.find(key)) is not None]
            if len(found) == 1:
                return found[0][1]
            if found:
                self.problem(f"column {name} is ambiguous: {_sources(one for one, _ in found)} have it{_place(node)}")
                value = _Value()
                for _, one in found:
                    value.add(one)
                return value
            if key in each.aliases:
                return each.aliases[key]
            unknown = [source for source in each.sources if source.relation.rests]
            if len(unknown) == 1:
                return self._guess(unknown[0].relation, name, node)
            if unknown:
                self.problem(
                    f"column {name}: {_sources(unknown)} may hold it, their columns aren't known; "
                    f"the edges are from the whole tables{_place(node)}"
                )
                value = _Value()
                for source in unknown:
                    for table in source.relation.tables():
                        value.add(_Value.of(table, None))
                return value
            # A relation without a name of its own (DuckDB): the name of a source is its row.
            row = next((source for source in each.sources if source.is_called((key,))), None)
            if row is not None:
                return self._row_of((key,), each).through(TRANSFORMATION)
        if key in _UNITS and isinstance(node.parent, exp.Func):
            return _Value()
        sources = [source for each in scope.chain() for source in each.sources]
        return self._lacking(sources, name, node)

    def _guess(self, relation: _Relation, name: str, node: exp.Expression) -> _Value:
        if len(relation.rests) > 1:
            self.problem(
                f"column {name}: {_listed(relation.tables())} may hold it, their columns aren't known; "
                f"the edges are from the whole tables{_place(node)}"
            )
        return relation.guess(name)

    def _lacking(self, sources: Sequence[_Source], name: str, node: exp.Expression) -> _Value:
        """A column that no known relation has: the only table there is must hold it, or some of several."""
        tables = list(dict.fromkeys(table for source in sources for table in source.relation.tables()))
        alone = len(sources) == 1 and sources[0].relation.table is not None
        where = f"{_sources(sources)} may hold it" if len(sources) > 1 else f"{_sources(sources)} doesn't list it"
        self.problem(f"column {name}: {where if sources else 'there is no relation that has it'}{_place(node)}")
        value = _Value()
        for table in tables:
            value.add(_Value.of(table, name if alone else None))
        return value

    # --- expressions

    def value(self, node: exp.Expression, scope: _Scope) -> _Value:
        """What an expression is made of."""
        special = self._handler(node)
        if special is not None:
            return special(node, scope)
        if isinstance(node, (exp.Literal, exp.Identifier, exp.Var, exp.DataType, exp.Star)):
            return _Value()
        # What is left changes the value and nothing more. The stack keeps a chain of a thousand `||` or `or` off Python's own.
        result = _Value()
        stack = list(node.iter_expressions(reverse=True))
        while stack:
            each = stack.pop()
            special = self._handler(each)
            if special is not None:
                result.add(special(each, scope).through(TRANSFORMATION))
            elif not isinstance(each, (exp.DataType, exp.Literal, exp.Identifier)):
                stack.extend(each.iter_expressions(reverse=True))
        return result

    def _handler(self, node: exp.Expression) -> Callable[[exp.Expression, _Scope], _Value] | None:
        special = self._special.get(type(node))
        if special is not None:
            return special
        if isinstance(node, exp.Query):
            return self._scalar
        if isinstance(node, exp.Func):
            name = _function_name(node)
            if name in _AT_EXTREME:
                return self._at_extreme
            if name in ("decode", "decodecase"):
                return self._decode if len(list(node.iter_expressions())) > 2 else None
            if isinstance(node, exp.AggFunc) or name in _AGGREGATES or name in _MASKS:
                return self._function
        return None

    def _arguments(self, node: exp.Expression, scope: _Scope) -> _Value:
        value = _Value()
        for each in node.iter_expressions():
            value.add(self.value(each, scope))
        return value

    def _each_as_it_is(self, node: exp.Expression, scope: _Scope) -> _Value:
        return self._arguments(node, scope)

    def _function(self, node: exp.Expression, scope: _Scope, in_window: bool = False) -> _Value:
        """An aggregate, or a function that masks."""
        name = _function_name(node)
        aggregate = isinstance(node, exp.AggFunc) or name in _AGGREGATES
        if in_window and name in _SHIFTS:
            aggregate = False
        value = self._arguments(node, scope)
        if name in _COUNTS and not value.direct:
            for source in scope.sources:
                for table in source.relation.tables():
                    value.direct[(table, _ROWS), AGGREGATION] = (True, None)
        return value.through(AGGREGATION if aggregate else TRANSFORMATION, name in _MASKS)

    def _at_extreme(self, node: exp.Expression, scope: _Scope) -> _Value:
        first, *others = node.iter_expressions()
        value = self.value(first, scope).through(AGGREGATION)
        for each in others:
            value.add_as(self.value(each, scope), SORT)
        return value

    def _scalar(self, node: exp.Expression, scope: _Scope) -> _Value:
        """A subquery as a value: what it selects, and what decides its rows."""
        relation = self.query(node, scope, scope.ctes)
        value = _Value()
        for _, each in relation.columns:
            value.add(each)
        for rest in relation.rests:
            value.add(rest.whole())
        _merge(value.indirect, relation.rows)
        if len(relation.columns) == 1:
            value.fields = relation.columns[0][1].fields
        return value

    def _exists(self, node: exp.Exists, scope: _Scope) -> _Value:
        if not isinstance(node.this, exp.Query):  # the function over an array
            return self._arguments(node, scope).through(TRANSFORMATION)
        value = _Value()
        _merge(value.indirect, self.query(node.this, scope, scope.ctes).rows)
        return value

    def _array(self, node: exp.Array, scope: _Scope) -> _Value:
        of_query = len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Query)
        return self._arguments(node, scope).through(AGGREGATION if of_query else TRANSFORMATION)

    def _case(self, node: exp.Case, scope: _Scope) -> _Value:
        value = _Value()
        if node.this is not None:
            value.add_as(self.value(node.this, scope), CONDITIONAL)
        for branch in node.args.get("ifs") or ():
            value.add_as(self.value(branch.this, scope), CONDITIONAL)
            value.add(self.value(branch.args["true"], scope).through(TRANSFORMATION))
        if node.args.get("default") is not None:
            value.add(self.value(node.args["default"], scope).through(TRANSFORMATION))
        return value

    def _if(self, node: exp.Expression, scope: _Scope) -> _Value:
        value = _Value().add_as(self.value(node.this, scope), CONDITIONAL)
        for branch in ("true", "false"):
            if node.args.get(branch) is not None:
                value.add(self.value(node.args[branch], scope).through(TRANSFORMATION))
        return value

    def _decode(self, node: exp.Expression, scope: _Scope) -> _Value:
        """decode(x, search, result, …, default)."""
        first, *pairs = node.iter_expressions()
        value = _Value().add_as(self.value(first, scope), CONDITIONAL)
        for place, each in enumerate(pairs):
            if place % 2 == 0 and place + 1 < len(pairs):
                value.add_as(self.value(each, scope), CONDITIONAL)
            else:
                value.add(self.value(each, scope).through(TRANSFORMATION))
        return value

    def _coalesce(self, node: exp.Coalesce, scope: _Scope) -> _Value:
        """Each argument may be the value; whether the next is asked depends on all but the last."""
        value = _Value()
        arguments = [node.this, *node.expressions]
        for place, each in enumerate(arguments):
            one = self.value(each, scope)
            value.add(one.through(TRANSFORMATION))
            if place + 1 < len(arguments):
                value.add_as(one, CONDITIONAL)
        return value

    def _window(self, node: exp.Window, scope: _Scope) -> _Value:
        function = node.this
        wrapped = function
        while isinstance(wrapped, (exp.IgnoreNulls, exp.RespectNulls)):
            wrapped = wrapped.this
        if isinstance(wrapped, exp.Func) and _function_name(wrapped) in _SHIFTS:
            value = self._function(wrapped, scope, in_window=True)
        else:
            value = self.value(function, scope)
            if isinstance(wrapped, exp.Func):
                value = value.through(TRANSFORMATION)
        window: exp.Window | None = node
        seen: set[str] = set()
        while window is not None:
            order = window.args.get("order")
            for each in (*(window.args.get("partition_by") or ()), *(order.expressions if order is not None else ())):
                value.add_as(self.value(each.this if isinstance(each, exp.Ordered) else each, scope), WINDOW)
            name = window.alias.lower()
            window = scope.windows.get(name) if name and name not in seen else None
            seen.add(name)
        return value

    def _filter(self, node: exp.Filter, scope: _Scope) -> _Value:
        condition = node.expression.this if isinstance(node.expression, exp.Where) else node.expression
        return _Value().add(self.value(node.this, scope)).add_as(self.value(condition, scope), CONDITIONAL)

    def _within_group(self, node: exp.WithinGroup, scope: _Scope) -> _Value:
        """percentile_cont(0.5) within group (order by x) is made of x; listagg(y) within group (order by x) only ordered by it."""
        value = _Value().add(self.value(node.this, scope))
        made_of_order = not value.direct
        for ordered in node.expression.expressions:
            one = self.value(ordered.this if isinstance(ordered, exp.Ordered) else ordered, scope)
            if made_of_order:
                value.add(one.through(AGGREGATION))
            else:
                value.add_as(one, SORT)
        return value

    def _ordered_argument(self, node: exp.Order, scope: _Scope) -> _Value:
        """The argument of an aggregate that has an order: string_agg(x order by y)."""
        value = _Value()
        if node.this is not None:
            value.add(self.value(node.this, scope))
        for ordered in node.expressions:
            value.add_as(self.value(ordered.this if isinstance(ordered, exp.Ordered) else ordered, scope), SORT)
        return value

    def _having_max(self, node: exp.HavingMax, scope: _Scope) -> _Value:
        return _Value().add(self.value(node.this, scope)).add_as(self.value(node.expression, scope), SORT)

    # --- structs and lambdas

    def _struct(self, node: exp.Struct, scope: _Scope) -> _Value:
        value = _Value()
        fields: dict[str, tuple[str, _Value]] = {}
        for place, each in enumerate(node.expressions):
            if isinstance(each, exp.PropertyEQ):
                name, of = each.this.name, each.expression
            else:
                name, of = (each.alias or each.name or f"col{place + 1}"), _unwrapped(each)
            one = self.value(of, scope)
            value.add(one.through(TRANSFORMATION))
            field_value = one.through(TRANSFORMATION)
            field_value.fields = one.fields
            fields[name.lower()] = (name, field_value)
        value.fields = fields
        return value

    def _dot(self, node: exp.Dot, scope: _Scope) -> _Value:
        value = self.value(node.this, scope)
        if isinstance(node.expression, exp.Identifier):
            return self._field_of(value, node.expression.name)
        value = value.through(TRANSFORMATION)
        return value.add(self.value(node.expression, scope).through(TRANSFORMATION))

    def _bracket(self, node: exp.Bracket, scope: _Scope) -> _Value:
        value = self.value(node.this, scope)
        if (
            len(node.expressions) == 1
            and isinstance(node.expressions[0], exp.Literal)
            and node.expressions[0].is_string
        ):
            return self._field_of(value, node.expressions[0].name)
        value = value.through(TRANSFORMATION)
        for each in node.expressions:
            value.add(self.value(each, scope).through(TRANSFORMATION))
        return value

    def _struct_extract(self, node: exp.StructExtract, scope: _Scope) -> _Value:
        return self._field_of(self.value(node.this, scope), node.expression.name)

    def _lambda(self, node: exp.Lambda, scope: _Scope) -> _Value:
        return self._with_variables([each.name for each in node.expressions], [node.this], scope)

    def _comprehension(self, node: exp.Comprehension, scope: _Scope) -> _Value:
        """[f(x) for x in list if g(x)]"""
        value = self.value(node.args["iterator"], scope).through(TRANSFORMATION)
        variables = [node.args[each].name for each in ("expression", "position") if node.args.get(each) is not None]
        bodies = [node.this] + ([node.args["condition"]] if node.args.get("condition") is not None else [])
        return value.add(self._with_variables(variables, bodies, scope))

    def _with_variables(self, names: Iterable[str], bodies: Iterable[exp.Expression], scope: _Scope) -> _Value:
        inner = _Scope(scope, scope.ctes)
        inner.variables = tuple(each.lower() for each in names)
        inner.windows, inner.bound = scope.windows, scope.bound
        value = _Value()
        for body in bodies:
            value.add(self.value(body, inner).through(TRANSFORMATION))
        return value


def _inner(node: exp.Expression) -> exp.Expression:
    """A query without parentheses around it."""
    while isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
        node = node.this
    return node


def _reads(node: exp.Expression, name: str) -> bool:
    """Does a query name that relation?"""
    return any(len(table.parts) == 1 and table.name.lower() == name for table in node.find_all(exp.Table))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _sources(sources: Iterable[_Source]) -> str:
    return _listed(".".join(source.parts) or "a subquery" for source in sources)


_QUOTED = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`)")


def _lower(sql: str) -> str:
    """SQL in lower case but for what stands in quotes."""
    pieces = _QUOTED.split(sql)
    return "".join(piece if place % 2 else piece.lower() for place, piece in enumerate(pieces))


# --- the model: the edges of the whole project -----------------------------------------------------------------

# The columns of the table, with the types that both engines know them by.
COLUMNS = {
    "upstream_table": "string",
    "upstream_column": "string",
    "downstream_table": "string",
    "downstream_column": "string",
    "transformation_type": "string",
    "transformation_subtype": "string",
    "expression": "string",
    "origin": "string",
    "model_version": "string",
    "masking": "boolean",
    "problem": "string",
    "read_with": "string",
}
DECLARED, OBSERVED, BOTH = "declared", "observed", "both"
# Raised when this file finds other edges than before: then all SQL is read again.
READER = f"2 sqlglot {sqlglot.__version__}"
# What two edges are the same by.
_KEY = ("upstream_table", "upstream_column", "downstream_table", "downstream_column", "transformation_subtype")


def model(dbt, session):
    """A row per edge, from what the project's models were built with, the config tables and what meta says of the rest."""
    dbt.config(materialized="table", packages=["sqlglot==30.30.0"])
    versions = _rows_of(dbt.ref("current_model_version"))
    nodes = [node for row in _rows_of(dbt.ref("lineage_definition")) for node in json.loads(row["definitions"])]
    catalog = {}
    for row in sorted(_rows_of(dbt.ref("lineage_catalog")), key=lambda row: row["position"] or 0):
        catalog.setdefault(row["relation"], []).append(row["column_name"])
    _ask_for_missing(session, catalog, [*(node["relation"] for node in nodes), *_parents(versions)])
    former = _former_rows(session, (dbt.this.database, dbt.this.schema, dbt.this.identifier))
    return _frame(session, COLUMNS, project_edges(versions, nodes, catalog, former))


def project_edges(versions, nodes, catalog, former=()):
    """Rows of the table, in a fixed order.

    versions: rows of current_model_version; nodes: what lineage_definition tells of tables and exposures; catalog: columns by
    relation as built; former: this table's rows of the last time, which are taken over where nothing has changed.
    """
    names = {name.lower(): name for name in [*(node["relation"] for node in nodes), *catalog]}
    columns_of = {name.lower(): columns for name, columns in catalog.items()}
    spelt = {name: {column.lower(): column for column in columns} for name, columns in columns_of.items()}
    reread = {}
    for row in former:
        if row["origin"] != DECLARED and row["read_with"]:
            reread.setdefault((row["downstream_table"], row["read_with"]), []).append({**row, "origin": OBSERVED})
    edges = []
    for target, group in sorted(_of_this_project(versions, nodes).items()):
        read_with = _read_with(target, group, columns_of)
        found = reread.get((target, read_with)) or _observed(target, group, columns_of, names, spelt, read_with)
        edges += _with_declared(found, target, group, read_with)
    edges += _external_edges(nodes, catalog)
    edges += _exposure_edges(nodes, catalog)
    return sorted(edges, key=lambda row: tuple(str(row[name] or "") for name in COLUMNS))


def _of_this_project(versions, nodes):
    """{relation: its versions}. A model of ours that is no more, or that was built elsewhere, is left out."""
    built = {node["relation"] for node in nodes}
    packages = {node["id"].split(".")[1] for node in nodes}
    groups = {}
    for version in versions:
        if version["target_relation"] in built or version["node_id"].split(".")[1] not in packages:
            groups.setdefault(version["target_relation"], []).append(version)
    return groups


def _parents(versions):
    """The relations that dbt says the models depend on."""
    return [name for version in versions for name in version["depends_on"] or []]


def _read_with(target, group, columns_of):
    """What the edges of a table depend on, as one text: as long as it is the same, so are they."""
    read = {name: columns_of.get(name.lower()) for name in [target, *_parents(group)]}
    known = [READER, sorted(version["model_version"] for version in group), sorted(read.items())]
    return hashlib.md5(json.dumps(known).encode(), usedforsecurity=False).hexdigest()


def _observed(target, group, columns_of, names, spelt, read_with):
    """The edges that the compiled SQL of a table's forms shows, each once. Where SQL tells no more than tables, the reason is said."""
    rows = {}
    for version in sorted(group, key=lambda version: version["created_ts"], reverse=True):
        if version["language"] == "sql":
            lineage = column_edges(version["compiled_sql"], version["dialect"], columns_of)
            found, problems = lineage.edges, lineage.problems
        else:
            found, problems = [], [f"it is a {version['language']} model: dbt's own dependencies are all that is known"]
        if not found and problems:
            found = [ColumnEdge(name.lower(), None, None, None, None, None) for name in _parents([version])] or [None]
        said = "\n".join(problems) or None
        carried = False
        for edge in found:
            row = dict.fromkeys(COLUMNS)
            row.update(
                downstream_table=target, origin=OBSERVED, model_version=version["model_version"], read_with=read_with
            )
            if edge:
                row.update(
                    upstream_table=names.get(edge.upstream_table, edge.upstream_table),
                    upstream_column=_spelt(spelt.get(edge.upstream_table), edge.upstream_column),
                    downstream_column=_spelt(spelt.get(target.lower()), edge.downstream_column),
                    transformation_type=edge.transformation_type,
                    transformation_subtype=edge.transformation_subtype,
                    expression=edge.expression,
                    masking=edge.masking,
                )
            if row["upstream_column"] is None and not (edge and edge.rows_alone):
                row["problem"] = said
                carried = True
            rows.setdefault(tuple(row[name] for name in _KEY), row)
        if said and not carried:
            row = {**dict.fromkeys(COLUMNS), "downstream_table": target, "origin": OBSERVED, "problem": said}
            row.update(model_version=version["model_version"], read_with=read_with)
            rows.setdefault(tuple(row[name] for name in _KEY), row)
    return list(rows.values())


def _spelt(columns, name):
    """A column as the warehouse spells it: SQL may write it otherwise, and means the same."""
    return (columns or {}).get(name.lower(), name) if name else name


def _with_declared(found, target, group, read_with):
    """The observed edges of a table, merged with those that field_mapping declares."""
    mapped = [version for version in group if version["mapping_json"]]
    if not mapped:
        return found
    version = max(mapped, key=lambda version: version["created_ts"])
    mapping = json.loads(version["mapping_json"])
    declared = {}
    for column in mapping["columns"]:
        for source_column in column["source_columns"]:
            declared[mapping["source_relation"], source_column, column["target_column"]] = column
    rows = []
    for row in found:
        pair = (row["upstream_table"], row["upstream_column"], row["downstream_column"])
        if row["transformation_type"] == DIRECT and pair in declared:
            rows.append({**row, "origin": BOTH, "expression": declared[pair]["expression"]})
        else:
            rows.append(row)
    seen = {
        (row["upstream_table"], row["upstream_column"], row["downstream_column"])
        for row in rows
        if row["origin"] == BOTH
    }

    def add(upstream_table, upstream_column, column, expression, plain):
        rows.append(
            {
                **dict.fromkeys(COLUMNS),
                "upstream_table": upstream_table,
                "upstream_column": upstream_column,
                "downstream_table": target,
                "downstream_column": column["target_column"],
                "transformation_type": DIRECT,
                "transformation_subtype": IDENTITY if plain else TRANSFORMATION,
                "expression": expression,
                "origin": DECLARED,
                "model_version": version["model_version"],
                "masking": False,
            }
        )

    for (relation, source_column, target_column), column in declared.items():
        if (relation, source_column, target_column) not in seen:
            add(relation, source_column, column, column["expression"], column["is_plain"])
    for column in mapping["columns"]:
        field = column["api_json_path"] or column["api_field_name"]
        if field:
            api = f"api://{mapping['source_system'] or ''}/{mapping['endpoint_name']}"
            add(api, field, column, column["api_field_name"], False)
    return rows


def _external_edges(nodes, catalog):
    """What lies before dbt's sources: `upstream` of meta, farthest first, column by column."""
    rows = []
    for node in nodes:
        steps = node.get("upstream") or []
        columns = catalog.get(node["relation"]) or list(node["columns"]) or [None]
        for place, step in enumerate(steps):
            following = steps[place + 1] if place + 1 < len(steps) else None
            for column in columns:
                rows.append(
                    _told(
                        _external_name(step),
                        (step.get("columns") or {}).get(column, column),
                        _external_name(following) if following else node["relation"],
                        (following.get("columns") or {}).get(column, column) if following else column,
                        expression=step.get("method"),
                    )
                )
    return rows


def _external_name(step):
    """A dataset outside dbt as OpenLineage names it."""
    return f"{str(step.get('namespace') or '').rstrip('/')}/{step.get('name')}"


def _exposure_edges(nodes, catalog):
    """What consumers use: `columns` of meta, by table and column or by what a new name is made of, and `feeds`."""
    exposures = {node["name"]: node for node in nodes if node["kind"] == "exposure"}
    tables = {node["name"]: node for node in nodes if node["kind"] != "exposure"}
    uses = {name: [_use(each) for each in node.get("uses") or []] for name, node in exposures.items()}
    rows = []
    for name, node in exposures.items():
        mine = []
        for column, sources, expression in uses[name]:
            for source in sources:
                table, _, source_column = source.rpartition(".")
                upstream = tables.get(table) or exposures.get(table)
                row = _told(
                    upstream and upstream["relation"], source_column, node["relation"], column, expression=expression
                )
                if expression:
                    row["transformation_subtype"] = TRANSFORMATION
                if upstream is None:
                    known = sorted([*tables, *exposures])
                    row.update(upstream_column=None, transformation_type=None, transformation_subtype=None)
                    row["problem"] = (
                        f"meta names {source}: there is no table or exposure {table}{_perhaps(table, known)}"
                    )
                elif (has := _columns_of_node(upstream, catalog, uses)) and source_column.lower() not in map(
                    str.lower, has
                ):
                    row.update(upstream_column=None)
                    row["problem"] = f"meta names {source}, a column that {table} lacks{_perhaps(source_column, has)}"
                elif has:
                    row.update(upstream_column=_spelt({each.lower(): each for each in has}, source_column))
                mine.append(row)
        named = {row["upstream_table"] for row in mine}
        mine += [
            _told(table, None, node["relation"], None) for table in node.get("depends_on") or [] if table not in named
        ]
        rows += mine
    for name, node in exposures.items():
        for fed in node.get("feeds") or []:
            if fed not in exposures:
                row = _told(node["relation"], None, None, None)
                row.update(
                    upstream_table=None,
                    downstream_table=node["relation"],
                    transformation_type=None,
                    transformation_subtype=None,
                )
                row["problem"] = f"meta feeds {fed}: there is no such exposure{_perhaps(fed, list(exposures))}"
                rows.append(row)
            elif not any(source.rpartition(".")[0] == name for _, sources, _ in uses[fed] for source in sources):
                # Which columns are handed on nobody says: all.
                given = [column for column, _, _ in uses[name]] or [None]
                rows += [_told(node["relation"], column, exposures[fed]["relation"], column) for column in given]
    return rows


def _use(each):
    """(column, what it is made of, how) of an entry of `columns`."""
    if isinstance(each, str):
        return each.rpartition(".")[2], [each], None
    sources = each.get("from") or []
    return each.get("name"), [sources] if isinstance(sources, str) else sources, each.get("expression")


def _columns_of_node(node, catalog, uses):
    if node["kind"] == "exposure":
        return [column for column, _, _ in uses[node["name"]]]
    return catalog.get(node["relation"]) or list(node["columns"])


def _perhaps(name, candidates):
    near = difflib.get_close_matches(name, candidates, n=3)
    return f"; did you mean {', '.join(near)}?" if near else ""


def _told(upstream_table, upstream_column, downstream_table, downstream_column, expression=None):
    """An edge that meta declares."""
    return {
        **dict.fromkeys(COLUMNS),
        "upstream_table": upstream_table,
        "upstream_column": upstream_column,
        "downstream_table": downstream_table,
        "downstream_column": downstream_column,
        "transformation_type": DIRECT,
        "transformation_subtype": IDENTITY,
        "expression": expression,
        "origin": DECLARED,
        "masking": False,
    }


# --- where the model runs: DuckDB hands over relations and a connection, Spark data frames and a session -----------


def _rows_of(frame):
    if hasattr(frame, "fetchall"):
        return [dict(zip(frame.columns, row, strict=True)) for row in frame.fetchall()]
    return [row.asDict(recursive=True) for row in frame.collect()]


def _frame(session, columns, rows):
    """Rows as what dbt writes into a table on this engine; neither pandas nor pyarrow is needed."""
    if hasattr(session, "createDataFrame"):
        schema = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        return session.createDataFrame([tuple(row[name] for name in columns) for row in rows], schema)
    structure = json.dumps([{name: "VARCHAR" if kind == "string" else kind.upper() for name, kind in columns.items()}])
    texts = json.dumps([{name: row[name] for name in columns} for row in rows])
    return session.sql(f"select unnest(from_json($rows, '{structure}'), recursive := true)", params={"rows": texts})


def _former_rows(session, parts):
    """The rows of this table as it is, none where it is not there or an older version of the package made it."""
    if hasattr(session, "createDataFrame"):
        name = ".".join(f"`{part}`" for part in parts if part and part != "None")
        try:
            frame = session.table(name)
            return _rows_of(frame) if set(COLUMNS) <= set(frame.columns) else []
        except Exception:  # without them all SQL is read, which only takes longer
            return []
    there = "select 1 from duckdb_tables() where (database_name, schema_name, table_name) = ($1, $2, $3)"
    if not session.execute(there, list(parts)).fetchall():
        return []
    name = ".".join('"' + part.replace('"', '""') + '"' for part in parts)
    frame = session.sql(f"select * from {name}")
    return _rows_of(frame) if set(COLUMNS) <= set(frame.columns) else []


def _ask_for_missing(session, catalog, relations):
    """Columns of relations that no information schema tells of: those in hive_metastore."""
    if not hasattr(session, "createDataFrame"):
        return
    for relation in dict.fromkeys(relations):
        if relation not in catalog and relation.startswith("hive_metastore."):
            name = ".".join(f"`{part}`" for part in relation.split("."))
            if session.catalog.tableExists(name):
                catalog[relation] = session.table(name).columns
