# The one way to run things: CI calls the same commands. `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

TARGET ?= duckdb
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
DBT := $(BIN)/dbt --no-use-colors

# The first Python on the path that is recent enough, whatever `python3` is on this machine.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
  if $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$each; break; fi; done)

# The profile beside this file counts, not one that the user's shell names for other work.
export DBT_PROFILES_DIR := $(CURDIR)
unexport DBT_TARGET DBT_PROFILE DBT_PROJECT_DIR LINEAGE_AUDIT_DUCKDB_PATH

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- environment: installed once, and again when the lock changes ---------------------------------------------

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; name it: make … PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-%: requirements/%.lock | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

# DataHub's CLI brings a parser of its own: it gets an environment of its own.
DATAHUB := .venv-datahub/.installed

$(DATAHUB): requirements/datahub.lock | $(BIN)/python
	$(BIN)/python -m venv .venv-datahub
	.venv-datahub/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

.PHONY: datahub
datahub: $(DATAHUB) ## an environment with DataHub's command line, .venv-datahub, for docs/catalogs.md and its test

.PHONY: install
install: $(VENV)/.installed-dev $(DATAHUB) ## everything that the commands below need, but Java

.PHONY: lock
lock: | $(VENV)/.installed-dev ## write requirements/*.lock anew from pyproject.toml, with the newest versions it allows
	scripts/lock.sh

# --- what people run ------------------------------------------------------------------------------------------

.PHONY: demo
demo: demo-$(TARGET) ## build the sample and show what it gives, on DuckDB or with TARGET=spark

.PHONY: demo-duckdb
demo-duckdb: $(VENV)/.installed-duckdb
	rm -f lineage_audit.duckdb lineage_audit.duckdb.wal
	$(DBT) build
	@$(DBT) run --select lineage_audit.graph --quiet
	@$(DBT) run-operation show_sample --quiet
	@echo; echo "What hangs on the amount of an order, through to dashboards and models"
	@$(DBT) run-operation impact --args '{table: raw_orders, column: amount}' --quiet

# What Spark's JVM says while it starts would bury what dbt says; it is shown where something fails.
# On a small sample the JVM's optimizing compiler costs more time than it saves.
.PHONY: demo-spark
demo-spark: $(VENV)/.installed-spark
	rm -rf .spark
	mkdir .spark
	@export JAVA_HOME; JAVA_HOME=$$(scripts/ensure_java.sh); \
	export JAVA_TOOL_OPTIONS="-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"; \
	spark_dbt() { $(DBT) "$$@" --target spark 2>.spark/jvm.log || { cat .spark/jvm.log >&2; return 1; }; }; \
	echo "dbt build --target spark (Spark's own log: .spark/jvm.log)"; \
	spark_dbt build; \
	spark_dbt run-operation show_sample --quiet

.PHONY: test
test: test-$(TARGET) ## unit, DuckDB, Spark with Delta, a core on a stand-in for Databricks; TARGET=databricks: all on it; ARGS go to pytest

.PHONY: test-duckdb test-spark
test-duckdb test-spark: $(VENV)/.installed-dev $(DATAHUB)
	$(BIN)/python -m pytest --install-java -m "core or not databricks" $(ARGS)

# All that goes through dbt-databricks; with ARGS="-m spark …" the tests that are made for Spark too.
.PHONY: test-databricks
test-databricks: $(VENV)/.installed-dev
	LINEAGE_AUDIT_TEST_TARGET=databricks $(BIN)/python -m pytest --install-java -m databricks $(ARGS)

.PHONY: workspace
workspace: $(VENV)/.installed-dev ## a stand-in for a Databricks workspace, until it is stopped; ARGS go to it
	export JAVA_HOME; JAVA_HOME=$$(scripts/ensure_java.sh); \
	cd tests && ../$(BIN)/python -m workspace --directory ../.workspace $(ARGS)

.PHONY: torture
torture: $(VENV)/.installed-dev ## kill dbt in the midst of its work, hundreds of times, and check what the next run leaves
	LINEAGE_AUDIT_TORTURE=full $(BIN)/python -m pytest --install-java tests/torture -s $(ARGS)

SQL_FOLDERS := $(wildcard models analyses tests/dbt)

.PHONY: lint
lint: $(VENV)/.installed-dev ## SQL, Python, and dbt's own warnings and deprecations on both targets
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(DBT) parse --warn-error --no-partial-parse --target duckdb
	$(DBT) parse --warn-error --no-partial-parse --target spark
	LINEAGE_AUDIT_DUCKDB_PATH=target/lint.duckdb $(BIN)/sqlfluff lint --disable-progress-bar $(SQL_FOLDERS)

.PHONY: bench
bench: $(VENV)/.installed-dev ## measure what lineage costs, on both engines; ARGS go to benchmarks/run.py
	JAVA_HOME=$$(scripts/ensure_java.sh) $(BIN)/python benchmarks/run.py $(ARGS)

.PHONY: clean
clean: ## remove everything that the commands above made, but not the environment
	rm -rf target logs dbt_packages .spark .workspace lineage_audit.duckdb lineage_audit.duckdb.wal
	rm -rf .pytest_cache .ruff_cache .hypothesis
