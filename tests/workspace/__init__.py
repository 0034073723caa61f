"""A Databricks workspace on one machine, for tests of the unmodified dbt-databricks adapter.

    make workspace

starts it (`python -m workspace --help` in this folder's parent says what it can be told), prints one line of JSON with its port once it answers, and serves until it is stopped: the Thrift protocol of
databricks-sql-connector and the REST endpoints that dbt-databricks calls, in front of a local Spark session with Delta.

What passes here has gone through the adapter's own code, SQL and protocol. It has not run on Databricks.

| module | what is in it |
| --- | --- |
| `sql_text` | SQL as tokens, names in it, the kind of a statement |
| `names` | three-level names of several catalogs, kept in the one catalog that Delta has on Spark |
| `errors` | how the platform refuses: error condition, message, SQLSTATE |
| `governance` | what Unity Catalog knows of an object and Spark doesn't: tags, grants, masks, row filters |
| `information_schema`, `system_tables` | the views of `system.information_schema`, and `system.access.column_lineage` |
| `shims` | the statements that Spark refuses or reads differently, each with its documentation |
| `engine` | the Spark session |
| `session` | a session of a user: from a statement to its result, or to its refusal |
| `thrift_service`, `rest`, `server` | the protocol, the endpoints, and the process that serves them |
| `python_runs`, `libraries` | Python models: how code is submitted, and what it can import |
| `process`, `certificate` | the stand-in as a test uses it |

A statement goes to Spark as it is, with its names replaced, if its kind is one that Spark and Databricks share
(`session.SHARED`); a shim answers it, if one is made for it; or it is refused, and remembered as refused. A test that
didn't ask for a refusal fails if there is one.
"""
