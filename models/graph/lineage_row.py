# Which rows of a table a row of a model is made of: the columns that are equal in both, and what filters them, as far as SQL says it.
# dbt ships this one file to a cluster: it imports nothing of the project.
import hashlib
import json
import re

try:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
except ImportError as missing:
    raise ImportError(
        "lineage_audit: the lineage graph reads SQL with sqlglot, which is not installed where Python models run. "
        "Run pip install 'sqlglot==30.30.0' there, or set the var lineage_audit_graph to false."
    ) from missing

# The columns of the table; both engines know the type.
COLUMNS = {
    "downstream_table": "string",
    "upstream_table": "string",
    "reading": "string",
    "keys_json": "string",
    "filters_json": "string",
    "expressions_json": "string",
    "problem": "string",
    "model_version": "string",
    "read_with": "string",
}
# Raised when this file finds other rows than before: then all SQL is read again.
READER = f"1 sqlglot {sqlglot.__version__}"
# A CTE is followed anew wherever it is read. A statement that reads more tables than this, all told, is not followed.
MOST_READINGS = 200


def row_sources(sql, dialect, columns_of):
    """What ties the rows of each table that a select reads to the rows that it gives.

    sql, dialect and columns_of as column_edges has them. Gives a list, a dict for each place where a table is read:
    upstream_table; keys {output column: SQL over the table that equals it}; filters [SQL over the table]; expressions {output
    column: {sql, is_aggregate}}, what it is computed by from this table's columns alone; problems [text], why rows may be missing
    or too many. Raises nothing for the SQL's sake: what can't be followed has no entry.
    """
    try:
        statements = [each for each in sqlglot.parse(sql, dialect=dialect) if isinstance(each, exp.Query)]
        if len(statements) != 1:
            return []
        return _Statement(dialect, columns_of).sources(statements[0])
    except (SqlglotError, RecursionError, _NotFollowedError):
        return []
    except Exception:  # a form of SQL that this file doesn't know must not end the whole graph
        return []


class _NotFollowedError(Exception):
    """The statement is more than this file follows."""


class _Reading:
    """One place where the statement reads a table."""

    def __init__(self, table):
        self.table = table
        self.filters = []
        self.problems = {}


class _Relation:
    """What a from clause or a CTE gives: per column, what it equals and what it is computed by, in terms of the tables read."""

    def __init__(self, readings=(), is_grouped=False):
        self.readings = list(readings)
        self.is_grouped = is_grouped
        self.names = []
        self.keys = {}  # column: {reading: expression over its table}
        self.values = {}  # the same, where it is not equal but computed
        self.unlisted = None  # the reading of a table whose columns nobody told

    def put(self, name, keys, values):
        """Adds a column; of equal names the first one counts."""
        lower = name.lower()
        if lower not in self.keys:
            self.names.append(lower)
            self.keys[lower], self.values[lower] = keys, values

    def has(self, name):
        return name in self.keys or self.unlisted is not None

    def keys_of(self, name):
        return self._of(self.keys, name)

    def values_of(self, name):
        return self._of(self.values, name)

    def _of(self, columns, name):
        if name in columns:
            return columns[name]
        return {self.unlisted: _column(name)} if self.unlisted is not None else {}

    def say(self, problem):
        for reading in self.readings:
            reading.problems.setdefault(problem)


class _Statement:
    def __init__(self, dialect, columns_of):
        self.dialect = dialect
        self.columns_of = columns_of
        self.count = 0

    def sources(self, query):
        relation = self.query(query, {})
        found = []
        for reading in relation.readings:
            expressions = {
                name: {
                    "sql": self.text(values[reading]),
                    "is_aggregate": values[reading].find(exp.AggFunc) is not None,
                }
                for name, values in relation.values.items()
                if reading in values and not name.startswith("_lineage_")
            }
            found.append(
                {
                    "upstream_table": reading.table,
                    "keys": {
                        name: self.text(keys[reading])
                        for name, keys in relation.keys.items()
                        if reading in keys and not name.startswith("_lineage_")
                    },
                    "filters": [self.text(each) for each in reading.filters],
                    "expressions": expressions,
                    "problems": list(reading.problems),
                }
            )
        return found

    def text(self, node):
        return _lower(node.sql(dialect=self.dialect, comments=False), self.dialect)

    # --- queries

    def query(self, node, ctes):
        ctes = self._with(node, ctes)
        if isinstance(node, exp.Subquery):
            relation = self.query(node.this, ctes) if isinstance(node.this, exp.Query) else self._opaque(node)
        elif isinstance(node, exp.SetOperation):
            relation = self._set_operation(node, ctes)
        elif isinstance(node, exp.Select):
            relation = self._select(node, ctes)
        else:
            relation = self._opaque(node)
        for clause in ("limit", "offset"):
            if node.args.get(clause) is not None:
                relation.say(f"{clause} picks among the rows")
        return relation

    def _with(self, node, ctes):
        clause = _arg(node, "with")
        if clause is None:
            return ctes
        ctes = dict(ctes)
        for cte in clause.expressions:
            name = cte.alias.lower()
            recursive = clause.recursive and any(
                table.name.lower() == name and not table.db for table in cte.this.find_all(exp.Table)
            )
            ctes[name] = (cte, None if recursive else dict(ctes))
        return ctes

    def _named(self, name, ctes):
        """A CTE, followed anew for each place that reads it."""
        cte, around = ctes[name]
        if around is None:
            relation = self._opaque(cte.this)
            relation.say(f"{name} is recursive")
            return relation
        relation = self.query(cte.this, around)
        return _renamed(relation, cte.alias_column_names)

    def _opaque(self, node):
        """What this file doesn't follow: the tables in it are read, no more is known."""
        relation = _Relation()
        relation.readings.extend(self._reading(table) for table in node.find_all(exp.Table) if table.name)
        relation.say("this form of SQL is not followed")
        return relation

    def _reading(self, table):
        self.count += 1
        if self.count > MOST_READINGS:
            raise _NotFollowedError
        return _Reading(self._full_name([part.name.lower() for part in table.parts]))

    def _full_name(self, parts):
        written = ".".join(parts)
        if written in self.columns_of:
            return written
        ends = [name for name in self.columns_of if name.endswith("." + written)]
        return ends[0] if len(ends) == 1 else written

    def _table(self, node, ctes):
        if node.args.get("pivots") or node.args.get("sample"):
            return self._opaque(node)
        if not node.db and node.name.lower() in ctes:
            return self._named(node.name.lower(), ctes)
        if not isinstance(node.this, exp.Identifier):
            return _Relation()  # a table function
        reading = self._reading(node)
        relation = _Relation([reading])
        known = self.columns_of.get(reading.table)
        if known is None:
            relation.unlisted = reading
        for name in known or ():
            relation.put(name, {reading: _column(name)}, {reading: _column(name)})
        return relation

    def _set_operation(self, node, ctes):
        left, right = self.query(node.this, ctes), self.query(node.expression, ctes)
        if not isinstance(node, exp.Union):
            left.say(f"{node.key} leaves out rows")
            return left
        both = _Relation([*left.readings, *right.readings], left.is_grouped or right.is_grouped)
        by_name = node.args.get("by_name")
        for place, name in enumerate(left.names):
            other = name if by_name else (right.names[place] if place < len(right.names) else None)
            both.put(
                name,
                {**left.keys[name], **(right.keys.get(other) or {})},
                {**left.values[name], **(right.values.get(other) or {})},
            )
        both.say("union puts rows of other selects beside these")
        return both

    # --- select

    def _select(self, node, ctes):
        scope = _Scope()
        source = _arg(node, "from")
        if source is not None:
            self._add(scope, source.this, ctes)
        for join in node.args.get("joins") or ():
            self._join(scope, join, ctes)
        if node.args.get("laterals"):
            scope.say("a lateral view may repeat the rows")
        where = node.args.get("where")
        if where is not None:
            self._conditions(scope, where.this, scope.relations())
        grouped_by = self._groupings(node)
        is_grouped = bool(grouped_by) or any(_aggregates(each) for each in node.expressions)
        distinct = node.args.get("distinct")
        if node.args.get("qualify") is not None:
            scope.say(f"qualify {self.text(node.args['qualify'].this)} picks among the rows")
        if distinct is not None and distinct.args.get("on") is not None:
            scope.say("distinct on picks among the rows")
        if is_grouped and len(scope.sources) > 1:
            scope.say("rows are joined before they are aggregated: one may count several times, or not at all")

        relation = _Relation(scope.readings(), is_grouped or any(each.is_grouped for each in scope.relations()))
        for item in node.expressions:
            self._item(scope, relation, item, is_grouped)
        return relation

    @staticmethod
    def _groupings(node):
        group = node.args.get("group")
        return [] if group is None else [True] if group.args.get("all") else group.expressions or [True]

    def _add(self, scope, node, ctes):
        """A relation of the from clause, under its name there."""
        if isinstance(node, exp.Table):
            relation = self._table(node, ctes)
        elif isinstance(node, exp.Subquery):
            relation = self.query(node, ctes)
        else:
            relation = _Relation()  # unnest, values, table functions: no table is read
        alias = node.args.get("alias")
        relation = _renamed(relation, [each.name for each in (alias.args.get("columns") or ())] if alias else [])
        name = (node.alias_or_name or f"_{len(scope.sources)}").lower()
        scope.sources.append((name, relation))
        for join in node.args.get("joins") or ():
            self._join(scope, join, ctes)
        return relation

    def _join(self, scope, join, ctes):
        before = list(scope.sources)
        if (join.kind or "").upper() == "ANTI":
            return
        relation = self._add(scope, join.this, ctes)
        alias = scope.sources[-1][0]
        for column in join.args.get("using") or ():
            name = column.name.lower()
            for other, each in before:
                if each.has(name):
                    scope.equate((other, name), (alias, name))
                    break
        if join.method and join.method.upper() == "NATURAL":
            relation.say("a natural join's columns are not followed")
        on = join.args.get("on")
        if on is not None:
            side = (join.side or "").upper()
            # What an outer join asks of the other side keeps none of its rows out.
            self._conditions(
                scope, on, scope.relations() if not side else [relation] if side == "LEFT" else [], of_join=True
            )

    def _conditions(self, scope, node, filtered, of_join=False):
        """Equal columns tie tables together; other conditions filter the table that they are about."""
        for each in _conjuncts(node):
            if isinstance(each, exp.EQ):
                sides = [_unwrapped(each.this), _unwrapped(each.expression)]
                if all(isinstance(side, exp.Column) for side in sides):
                    places = [scope.place(side) for side in sides]
                    if all(places) and places[0][0] != places[1][0]:
                        scope.equate(*places)
                        continue
            found = self._computed(scope, each)
            if found and not any(value.find(exp.AggFunc) for value in found.values()):
                for reading, value in found.items():
                    if any(reading in relation.readings for relation in filtered):
                        reading.filters.append(value)
            elif not of_join:
                text = f"not followed: where {self.text(each)}"
                named = [scope.place(column) for column in each.find_all(exp.Column)]
                for name, relation in scope.sources:
                    if not named or any(place and place[0] == name for place in named):
                        relation.say(text)

    def _item(self, scope, relation, item, is_grouped):
        core = _unwrapped(item)
        star = core if isinstance(core, exp.Star) else core.this if isinstance(core, exp.Column) else None
        if isinstance(star, exp.Star):
            self._star(scope, relation, star, core.table.lower() if isinstance(core, exp.Column) else None)
            return
        name = item.alias_or_name or self.text(core)
        place = scope.place(core) if isinstance(core, exp.Column) else None
        if place:
            relation.put(name, scope.keys_of(place), scope.values_of(place))
            return
        if isinstance(core, exp.Column) and not core.table and core.name.lower() in relation.keys:
            # A name that an earlier item gave.
            if item.alias:
                earlier = core.name.lower()
                relation.put(name, relation.keys[earlier], relation.values[earlier])
            return
        values = self._computed(scope, core)
        # What rows are grouped by is the same in all rows of the group, however it is computed.
        keys = {} if not is_grouped else {r: v for r, v in values.items() if v.find(exp.AggFunc) is None}
        relation.put(name, keys, values)

    def _star(self, scope, relation, star, alias):
        left_out = {_unwrapped(each).name.lower() for each in _arg(star, "except") or ()}
        changed = {each.alias.lower(): each for each in _arg(star, "replace") or ()}
        for name, source in scope.sources:
            if alias is not None and name != alias:
                continue
            for column in source.names:
                if column in changed:
                    relation.put(column, {}, self._computed(scope, _unwrapped(changed[column])))
                elif column not in left_out:
                    relation.put(column, scope.keys_of((name, column)), scope.values_of((name, column)))
            if source.unlisted is not None and len(scope.sources) == 1 and not left_out:
                relation.unlisted = source.unlisted
        if _arg(star, "rename"):
            relation.say("select * rename is not followed")

    def _computed(self, scope, node):
        """{reading: the expression over its table}, where the columns of one table are all that it needs."""
        # What differs from run to run stands in the SQL as a placeholder.
        if node.find(exp.Window, exp.Query, exp.Columns, exp.Lambda, exp.Placeholder, exp.Parameter):
            return {}
        aggregates = _aggregates(node)
        columns = list(node.find_all(exp.Column))
        if not columns:
            only = scope.readings()
            if not aggregates or len(scope.sources) != 1 or len(only) != 1 or scope.sources[0][1].is_grouped:
                return {}
            return {only[0]: node.copy()}
        behind = {}
        for column in columns:
            place = scope.place(column)
            if not place:
                return {}
            behind[id(column)] = scope.values_of(place)
        shared = [reading for reading in behind[id(columns[0])] if all(reading in each for each in behind.values())]
        found = {}
        for reading in shared:
            values = [each[reading] for each in behind.values()]
            if aggregates and any(value.find(exp.AggFunc) for value in values):
                continue
            found[reading] = _replaced(node, [each[reading] for each in behind.values()])
        return found


class _Scope:
    """The relations of one from clause, and which of their columns are equal."""

    def __init__(self):
        self.sources = []
        self._equal = {}

    def relations(self):
        return [relation for _, relation in self.sources]

    def readings(self):
        return [reading for relation in self.relations() for reading in relation.readings]

    def say(self, problem):
        for relation in self.relations():
            relation.say(problem)

    def relation(self, alias):
        return next(relation for name, relation in self.sources if name == alias)

    def place(self, column):
        """(alias, column) of a name, None where it may be several or is none of these."""
        name = column.name.lower()
        if column.table:
            wanted = column.table.lower()
            return next(((alias, name) for alias, each in self.sources if alias == wanted and each.has(name)), None)
        listed = [alias for alias, each in self.sources if name in each.keys]
        places = listed or [alias for alias, each in self.sources if each.has(name)]
        if len(places) > 1 and len({self._root((alias, name)) for alias in places}) == 1:
            return places[0], name  # using makes one column of them
        return (places[0], name) if len(places) == 1 else None

    def equate(self, one, other):
        self._equal[self._root(one)] = self._root(other)

    def _root(self, place):
        while place in self._equal:
            place = self._equal[place]
        return place

    def keys_of(self, place):
        root = self._root(place)
        found = dict(self.relation(place[0]).keys_of(place[1]))
        for each in list(self._equal):
            for alias, name in (each, self._equal[each]):
                if self._root((alias, name)) == root:
                    for reading, value in self.relation(alias).keys_of(name).items():
                        found.setdefault(reading, value)
        return found

    def values_of(self, place):
        return self.relation(place[0]).values_of(place[1])


def _lower(sql, dialect):
    """SQL in lower case but for what stands in quotes, as the dialect's own tokens say: it is run, not only shown."""
    for token in sqlglot.tokenize(sql, read=dialect):
        word = sql[token.start : token.end + 1]
        if re.fullmatch(r"[\w\s]+", word):
            sql = sql[: token.start] + word.lower() + sql[token.end + 1 :]
    return sql


def _arg(node, name):
    """An argument that sqlglot names with an underscore where Python has the word, by its version."""
    return node.args.get(f"{name}_") or node.args.get(name)


def _unwrapped(node):
    while isinstance(node, (exp.Alias, exp.Paren)):
        node = node.this
    return node


def _conjuncts(node):
    node = _unwrapped(node)
    if isinstance(node, exp.And):
        yield from _conjuncts(node.this)
        yield from _conjuncts(node.expression)
    else:
        yield node


def _aggregates(node):
    """Does it aggregate the rows of its select, other than in a window?"""
    return any(_is_inside(node, each) for each in node.find_all(exp.AggFunc))


def _is_inside(node, aggregate):
    """Is there neither window nor subquery between an expression and an aggregate in it?"""
    each = aggregate
    while each is not node:
        each = each.parent
        if each is None or isinstance(each, (exp.Window, exp.Query)):
            return False
    return not isinstance(node, (exp.Window, exp.Query))


def _column(name):
    plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name.upper() not in sqlglot.Tokenizer.KEYWORDS
    return exp.Column(this=exp.Identifier(this=name, quoted=not plain))


def _replaced(node, values):
    """The expression with others in the place of its columns, in the order in which they stand there."""
    if isinstance(node, exp.Column):
        return values[0].copy()
    copied = node.copy()
    for column, value in zip(list(copied.find_all(exp.Column)), values, strict=True):
        value = value.copy()
        column.replace(value if isinstance(value, (exp.Column, exp.Func)) else exp.Paren(this=value))
    return copied


def _renamed(relation, names):
    """The same under other names, as an alias with columns gives them."""
    if not names:
        return relation
    result = _Relation(relation.readings, relation.is_grouped)
    for old, new in zip(relation.names, [*names, *relation.names[len(names) :]], strict=True):
        result.put(new, relation.keys[old], relation.values[old])
    return result


# --- the model -----------------------------------------------------------------------------------------------------


def model(dbt, session):
    """A row for each place where a model reads a table."""
    dbt.config(materialized="table", packages=["sqlglot==30.30.0"])
    versions = _rows_of(dbt.ref("current_model_version"))
    catalog = {}
    for row in sorted(_rows_of(dbt.ref("lineage_catalog")), key=lambda row: row["position"] or 0):
        catalog.setdefault(row["relation"], []).append(row["column_name"])
    former = _former_rows(session, (dbt.this.database, dbt.this.schema, dbt.this.identifier))
    return _frame(session, COLUMNS, project_rows(versions, catalog, former))


def project_rows(versions, catalog, former=()):
    """Rows of the table, in a fixed order: of each model by the SQL of its full build, where the store has it.

    versions: rows of current_model_version; catalog: columns by relation as built; former: this table's rows of the last time.
    """
    names = {name.lower(): name for name in catalog}
    columns_of = {name.lower(): columns for name, columns in catalog.items()}
    reread = {}
    for row in former:
        reread.setdefault((row["downstream_table"], row["read_with"]), []).append(row)
    chosen = {}
    for version in sorted(versions, key=lambda version: (version["form"] == "full", version["created_ts"])):
        if version["language"] == "sql":
            chosen[version["target_relation"]] = version
    rows = []
    for target, version in chosen.items():
        read = {name: columns_of.get(name.lower()) for name in [target, *(version["depends_on"] or [])]}
        known = json.dumps([READER, version["model_version"], sorted(read.items())])
        read_with = hashlib.md5(known.encode(), usedforsecurity=False).hexdigest()
        if (target, read_with) in reread:
            rows += reread[target, read_with]
            continue
        for place, source in enumerate(row_sources(version["compiled_sql"], version["dialect"], columns_of), start=1):
            rows.append(
                {
                    "downstream_table": target,
                    "upstream_table": names.get(source["upstream_table"], source["upstream_table"]),
                    "reading": f"{place:03}",
                    "keys_json": json.dumps(source["keys"]),
                    "filters_json": json.dumps(source["filters"]),
                    "expressions_json": json.dumps(source["expressions"]),
                    "problem": "; ".join(source["problems"]) or None,
                    "model_version": version["model_version"],
                    "read_with": read_with,
                }
            )
    return sorted(rows, key=lambda row: (row["downstream_table"], row["reading"]))


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
