#!/usr/bin/env bash
# Writes requirements/*.lock from the dependency groups of pyproject.toml: exact versions with hashes, for every
# platform and Python version that the project supports, and without the address of a package index.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
  local group=$1
  shift
  # pip refuses an extra, such as mashumaro[msgpack], whose line in the lock does not name it.
  .venv/bin/uv pip compile --quiet --universal --upgrade --generate-hashes --no-strip-extras --no-annotate --no-header \
    --no-emit-index-url --group "$group" "$@" pyproject.toml --output-file "requirements/$group.lock"
}

# The smaller sets hold the versions of the one that everything is tested with.
compile dev
compile duckdb --constraint requirements/dev.lock
compile spark --constraint requirements/dev.lock
# DataHub's CLI shares nothing with them.
compile datahub
