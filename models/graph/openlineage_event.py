# OpenLineage events of what dbt ran: https://openlineage.io/docs/spec/object-model
# dbt ships this one file to a cluster: it imports nothing of the project.
import json
import uuid
from datetime import UTC, datetime

try:
    from openlineage.client import event_v2, facet_v2
    from openlineage.client.generated import lineage
    from openlineage.client.serde import Serde
    from openlineage.client.uuid import generate_static_uuid
except ImportError as missing:
    raise ImportError(
        "lineage_audit: openlineage_event builds its events with openlineage-python, which is not installed where Python "
        "models run. Run pip install 'openlineage-python==1.54.0' there, or leave the model out, in dbt_project.yml: "
        "models: {lineage_audit: {graph: {openlineage_event: {+enabled: false}}}}."
    ) from missing

# The columns of the table, with the type that both engines know.
COLUMNS = {
    "run_id": "string",
    "event_type": "string",
    "event_time": "string",
    "job_namespace": "string",
    "job_name": "string",
    "event": "string",
    "kind": "string",
    "invocation_id": "string",
    "target_relation": "string",
}
# Who makes the events, as OpenLineage asks for: a URI.
event_v2.set_producer("urn:dbt-package:lineage_audit")
RUN, TEST, JOB = "run", "test", "job"


def model(dbt, session):
    """A row for each event that is not in the table yet."""
    dbt.config(materialized="incremental", incremental_strategy="append", packages=["openlineage-python==1.54.0"])
    # dbt finds refs and config in plain statements alone.
    dataset_namespace = dbt.config.get("dataset_namespace")
    job_namespace = dbt.config.get("job_namespace")
    pipeline_name = dbt.config.get("pipeline_name")
    edges = _rows_of(dbt.ref("lineage_edge"))
    nodes = _rows_of(dbt.ref("lineage_node"))
    definitions = [node for row in _rows_of(dbt.ref("lineage_definition")) for node in json.loads(row["definitions"])]
    catalog = _rows_of(dbt.ref("lineage_catalog"))
    runs = dbt.ref("openlineage_run")
    assertions = dbt.ref("openlineage_assertion")
    told = set()
    if dbt.is_incremental:
        former = _table(session, (dbt.this.database, dbt.this.schema, dbt.this.identifier))
        runs = _without(runs, former)
        told = {row["run_id"] for row in _rows_of(former.filter(f"kind = '{JOB}'").select("run_id"))}
    runs = _rows_of(runs)
    invocations = _texts(run["invocation_id"] for run in runs)
    assertions = _rows_of(assertions.filter(f"invocation_id in ({invocations})"))
    project = Project(edges, nodes, definitions, catalog, dataset_namespace, job_namespace, pipeline_name)
    events = [*run_events(project, runs, assertions), *job_events(project, told, datetime.now(UTC))]
    return _frame(session, COLUMNS, events)


# --- the project: its datasets, and what they are made of --------------------------------------------------------------


class Project:
    """What the lineage graph knows, under OpenLineage's names.

    edges, nodes, catalog: rows of lineage_edge, lineage_node and lineage_catalog; definitions: what lineage_definition tells.
    """

    def __init__(self, edges, nodes, definitions, catalog, dataset_namespace, job_namespace, pipeline_name):
        self.dataset_namespace = dataset_namespace
        self.job_namespace = job_namespace
        self.pipeline_name = pipeline_name
        self.edges = {}
        for edge in edges:
            if edge["upstream_table"] is not None:
                self.edges.setdefault(edge["downstream_table"], []).append(edge)
        self.tables = {node["table_name"]: node for node in nodes if node["column_name"] is None}
        self.columns = {}
        for node in nodes:
            if node["column_name"] is not None:
                self.columns.setdefault(node["table_name"], []).append(node)
        self.types = {(row["relation"], row["column_name"]): row["data_type"] for row in catalog}
        self.external = {
            f"{step['namespace'].rstrip('/')}/{step['name']}": (step["namespace"].rstrip("/"), step["name"])
            for node in definitions
            for step in node.get("upstream") or []
            if step.get("namespace") and step.get("name")
        }

    def kind(self, table):
        return self.tables.get(table, {}).get("kind")

    def name(self, table):
        """(namespace, name) of a dataset that lineage_edge names."""
        if table in self.external:
            return self.external[table]
        if table.startswith("api://"):
            namespace, _, name = table.rpartition("/")
            return namespace, name
        return (self.job_namespace if self.kind(table) == "exposure" else self.dataset_namespace), table

    def sources(self, table):
        """The tables that a table is made of, each once."""
        return list(dict.fromkeys(edge["upstream_table"] for edge in self.edges.get(table, ())))

    def bare(self, table, of=event_v2.InputDataset):
        namespace, name = self.name(table)
        return of(namespace=namespace, name=name)

    def described(self, table, of=event_v2.InputDataset, **facets):
        """A dataset with its columns, its description and its owner."""
        dataset = self.bare(table, of)
        node = self.tables.get(table, {})
        fields = [
            facet_v2.schema_dataset.SchemaDatasetFacetFields(
                name=column["column_name"],
                type=self.types.get((table, column["column_name"])),
                description=column["description"],
                ordinal_position=place,
            )
            for place, column in enumerate(self.columns.get(table, ()), start=1)
        ]
        dataset.facets = {"schema": facet_v2.schema_dataset.SchemaDatasetFacet(fields=fields)} if fields else {}
        if node.get("description"):
            dataset.facets["documentation"] = facet_v2.documentation_dataset.DocumentationDatasetFacet(
                description=node["description"]
            )
        if node.get("owner"):
            owner = facet_v2.ownership_dataset.Owner(name=node["owner"])
            dataset.facets["ownership"] = facet_v2.ownership_dataset.OwnershipDatasetFacet(owners=[owner])
        dataset.facets.update(facets)
        return dataset

    def lineage(self, table):
        """Facets with the edges into a table. columnLineage holds those that come from a column. A count of rows and
        a table whose columns nobody knows come from no column: those stand in the facet `lineage`, which asks for none."""
        fields, whole, rows = {}, {}, {}
        for edge in self.edges.get(table, ()):
            source = (edge["upstream_table"], edge["upstream_column"])
            into = edge["downstream_column"]
            place = (
                rows.setdefault(into, {})
                if source[1] is None
                else whole
                if into is None
                else fields.setdefault(into, {})
            )
            place.setdefault(source, []).append(edge)
        facets = {}
        if fields or whole:
            facets["columnLineage"] = facet_v2.column_lineage_dataset.ColumnLineageDatasetFacet(
                fields={
                    column: facet_v2.column_lineage_dataset.Fields(inputFields=self._input_fields(sources))
                    for column, sources in fields.items()
                },
                dataset=self._input_fields(whole),
            )
        if rows:
            facets["lineage"] = lineage.LineageDatasetFacet(
                inputs=self._inputs(rows.pop(None, {})),
                fields={column: lineage.LineageFieldEntry(inputs=self._inputs(each)) for column, each in rows.items()},
            )
        return facets

    def _input_fields(self, sources):
        return [
            facet_v2.column_lineage_dataset.InputField(
                *self.name(table), column, _transformations(edges, facet_v2.column_lineage_dataset.Transformation)
            )
            for (table, column), edges in sources.items()
        ]

    def _inputs(self, sources):
        return [
            lineage.LineageDatasetInput(
                *self.name(table),
                type="DATASET",
                transformations=_transformations(edges, lineage.LineageTransformation),
            )
            for (table, _), edges in sources.items()
        ]


def _transformations(edges, of):
    return [
        of(
            type=edge["transformation_type"],
            subtype=edge["transformation_subtype"],
            description=edge["expression"],
            masking=edge["masking"],
        )
        for edge in edges
        if edge["transformation_type"]
    ]


# --- events ------------------------------------------------------------------------------------------------------------


def run_events(project, runs, assertions):
    """START, and COMPLETE or FAIL, of each run of a model and of the tests of a table.

    runs: rows of openlineage_run; assertions: rows of openlineage_assertion, of these runs at least.
    """
    asserted = {}
    for row in assertions:
        asserted.setdefault((row["invocation_id"], row["target_relation"]), []).append(row)
    # The store may hold the SQL of a model twice.
    runs = {(run["kind"], run["invocation_id"], run["target_relation"]): run for run in runs}
    rows = []
    for (kind, invocation, table), run in sorted(runs.items(), key=lambda each: (each[1]["started_ts"], each[0])):
        identity = f"{invocation} {table} {kind}".encode()
        run_id = str(generate_static_uuid(run["started_ts"].replace(tzinfo=UTC), identity))
        if kind == TEST:
            ends = _test_ends(project, table, asserted.get((invocation, table), ()))
        else:
            ends = _run_ends(project, table, run)
        parent = facet_v2.parent_run.ParentRunFacet(
            run=facet_v2.parent_run.Run(runId=invocation),
            job=facet_v2.parent_run.Job(namespace=project.job_namespace, name=f"dbt-run-{project.pipeline_name}"),
        )
        job = _job(project, table, kind, run)
        for event_type, time, inputs, outputs, facets in (
            ("START", run["started_ts"], *_bare(project, *ends), {}),
            (run["event_type"], run["ended_ts"], *ends, _error(run)),
        ):
            event = event_v2.RunEvent(
                eventType=event_v2.RunState[event_type],
                eventTime=_text_of(time),
                run=event_v2.Run(runId=run_id, facets={"parent": parent, **facets}),
                job=job,
                inputs=inputs,
                outputs=outputs,
            )
            rows.append(_row(event, run_id, event_type, kind, invocation, table))
    return rows


def _run_ends(project, table, run):
    """Inputs and outputs of a model's run. One that failed made nothing: its datasets bear their names alone."""
    sources = project.sources(table)
    if run["event_type"] == "FAIL":
        return [project.bare(source) for source in sources], [project.bare(table, event_v2.OutputDataset)]
    output = project.described(table, event_v2.OutputDataset, **project.lineage(table))
    if run["output_record_count"] is not None:
        output.outputFacets = {
            "outputStatistics": facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=run["output_record_count"]
            )
        }
    inputs = [project.described(source) for source in sources]
    read = [source for source in sources if project.kind(source) != "external"]
    if run["input_record_count"] is not None and len(read) == 1:
        inputs[sources.index(read[0])].inputFacets = {
            "inputStatistics": facet_v2.input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
                rowCount=run["input_record_count"]
            )
        }
    return inputs, [output]


def _test_ends(project, table, assertions):
    """What was tested is what a test reads, as dbt-ol says it too."""
    dataset = project.bare(table)
    dataset.inputFacets = {
        "dataQualityAssertions": facet_v2.data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
            assertions=[
                facet_v2.data_quality_assertions_dataset.Assertion(
                    assertion=row["check_type"],
                    name=row["check_name"],
                    success=row["success"],
                    column=row["column_name"],
                    severity=row["severity"].lower() if row["severity"] else None,
                    description=row["description"],
                    actual=None if row["failure_count"] is None else str(row["failure_count"]),
                    content=row["rule_expression"],
                    contentType="expression" if row["rule_expression"] else None,
                )
                for row in sorted(assertions, key=lambda row: row["check_name"])
            ]
        )
    }
    return [dataset], []


def _bare(project, inputs, outputs):
    """The same datasets by their names alone: a catalog puts the events of a run together."""
    return tuple([type(each)(namespace=each.namespace, name=each.name) for each in ends] for ends in (inputs, outputs))


def _error(run):
    if not run["error_message"]:
        return {}
    return {
        "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet(
            message=run["error_message"], programmingLanguage="SQL"
        )
    }


def _job(project, table, kind, run):
    """A job under the name that dbt-ol gives it: schema, package and model."""
    node = project.tables.get(table, {})
    node_id = run["node_id"] or node.get("node_id") or table
    name = ".".join([table.rpartition(".")[0], *node_id.split(".")[1:]])
    job_type = "TEST" if kind == TEST else "SNAPSHOT" if node_id.startswith("snapshot.") else "MODEL"
    facets = {
        "jobType": facet_v2.job_type_job.JobTypeJobFacet(processingType="BATCH", integration="DBT", jobType=job_type)
    }
    if kind == TEST:
        name += ".test"
    elif node.get("description") or run["target_table"]:
        facets["documentation"] = facet_v2.documentation_job.DocumentationJobFacet(
            description="\n\n".join(filter(None, [node.get("description"), _how_to_trace(run["target_table"])]))
        )
    if run["compiled_sql"]:
        facets["sql"] = facet_v2.sql_job.SQLJobFacet(query=run["compiled_sql"], dialect=run["dialect"])
    return event_v2.Job(namespace=project.job_namespace, name=name, facets=facets)


def _how_to_trace(target_table):
    """How one gets from a catalog's page to the row values, which no catalog holds."""
    if not target_table:
        return None
    arguments = json.dumps({"target_table": target_table, "target_pk": "<key>"})
    return f"Where a value comes from: dbt run-operation lineage_audit.trace --args '{arguments}' --quiet"


def job_events(project, told, now):
    """What dbt doesn't run, as jobs known by design: how data come to the sources, and what exposures use.

    told: the ids of those that have been told as they are; now: when what is new became known.
    """
    rows = []
    for table in sorted(project.edges):
        if project.kind(table) not in ("source", "seed", "exposure", "external"):
            continue
        job = event_v2.Job(
            namespace=project.job_namespace,
            name=table if project.kind(table) == "exposure" else f"load.{project.name(table)[1]}",
            facets={
                "jobType": facet_v2.job_type_job.JobTypeJobFacet(
                    processingType="BATCH",
                    integration="DBT",
                    jobType="EXPOSURE" if project.kind(table) == "exposure" else "LOAD",
                )
            },
        )
        event = event_v2.JobEvent(
            eventTime=_text_of(now),
            job=job,
            inputs=[project.described(source) for source in project.sources(table)],
            outputs=[project.described(table, event_v2.OutputDataset, **project.lineage(table))],
        )
        said = {key: value for key, value in Serde.to_dict(event).items() if key != "eventTime"}
        job_id = str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(said, sort_keys=True)))
        if job_id not in told:
            rows.append(_row(event, job_id, "JOB", JOB, None, table))
    return rows


def _row(event, run_id, event_type, kind, invocation_id, target_relation):
    return {
        "run_id": run_id,
        "event_type": event_type,
        "event_time": event.eventTime,
        "job_namespace": event.job.namespace,
        "job_name": event.job.name,
        "event": Serde.to_json(event),
        "kind": kind,
        "invocation_id": invocation_id,
        "target_relation": target_relation,
    }


def _text_of(time):
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


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


def _table(session, parts):
    if hasattr(session, "createDataFrame"):
        return session.table(".".join(f"`{part}`" for part in parts if part and part != "None"))
    name = ".".join('"' + part.replace('"', '""') + '"' for part in parts)
    return session.sql(f"select * from {name}")


def _without(runs, former):
    """Those runs that have no event yet."""
    key = ["kind", "invocation_id", "target_relation"]
    if hasattr(runs, "fetchall"):
        return runs.join(former, ", ".join(key), "anti")
    return runs.join(former, key, "left_anti")


def _texts(values):
    return ", ".join("'" + text.replace("'", "''") + "'" for text in sorted(set(values))) or "''"
