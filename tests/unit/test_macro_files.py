"""The files of the package themselves: one subset of Jinja, and nothing public without a description."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import jinja2
import pytest
import yaml
from bare_jinja import MACRO_FILES, ROOT, without_test_tags

ADAPTER_PREFIXES = ("default__", "duckdb__", "spark__", "databricks__")
MODEL_FILES = sorted((ROOT / "models").rglob("*.sql"))
SEED_FILES = sorted((ROOT / "seeds").rglob("*.csv"))

# What dbt's own Jinja takes and MiniJinja doesn't, or takes otherwise, as far as a pattern can tell.
OUTSIDE_THE_SUBSET = {
    "a test for undefined": r"\bis\s+(?:not\s+)?(?:un)?defined\b",
    "an expression after return()": r"\breturn\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\s*[-+~*/]\s*\w",
    "a slice of a map": r"\.(?:items|keys|values)\(\)\s*\[",
    "a format by %": r"['\"]\s*%\s*\(",
    "a method of agate": r"\.(?:print_table|print_csv|aggregate|column_types|where|exclude|order_by|group_by)\(",
    "a list comprehension": r"\[[^\[\]]*\sfor\s\w+\sin\s[^\[\]]*\]",
    "an f-string": r"\bf['\"]",
}


def jinja_of(path: Path) -> str:
    """The Jinja of a file: what stands in tags, without comments and without the SQL around it."""
    text = re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return "\n".join(re.findall(r"\{%.*?%\}|\{\{.*?\}\}", text, flags=re.DOTALL))


@pytest.mark.parametrize("path", [*MACRO_FILES, *MODEL_FILES], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_keeps_to_the_jinja_that_minijinja_shares(path):
    jinja = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "''", jinja_of(path))
    found = {what: re.findall(pattern, jinja) for what, pattern in OUTSIDE_THE_SUBSET.items()}
    assert {what: places for what, places in found.items() if places} == {}


@pytest.mark.parametrize("path", [*MACRO_FILES, *MODEL_FILES], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_tidy(path):
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert [line for line in text.split("\n") if line != line.rstrip()] == []
    assert "\t" not in text


# --- documentation ----------------------------------------------------------------------------------------------


@functools.cache
def properties(kind: str) -> dict[str, dict]:
    """What the .yml files say, by name."""
    described: dict[str, dict] = {}
    for folder in ("macros", "models", "seeds"):
        for path in sorted((ROOT / folder).rglob("*.yml")):
            for entry in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get(kind, []):
                assert entry["name"] not in described, f"{entry['name']} is described twice, again in {path.name}"
                described[entry["name"]] = entry
    return described


@functools.cache
def macros_with_arguments() -> dict[str, list[str]]:
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    return {
        macro.name: [argument.name for argument in macro.args]
        for path in MACRO_FILES
        for macro in environment.parse(without_test_tags(path.read_text(encoding="utf-8"))).find_all(jinja2.nodes.Macro)
    }


PUBLIC_MACROS = sorted(name for name in macros_with_arguments() if not name.startswith(("_", *ADAPTER_PREFIXES)))


@pytest.mark.parametrize("name", PUBLIC_MACROS)
def test_a_public_macro_is_described_with_the_types_of_its_arguments(name):
    entry = properties("macros").get(name)
    assert entry, f"no .yml describes macro {name}"
    assert (entry.get("description") or "").strip()
    documented = entry.get("arguments", [])
    assert [argument["name"] for argument in documented] == macros_with_arguments()[name]
    for argument in documented:
        assert argument.get("type"), f"{name}: argument {argument['name']} has no type"
        assert (argument.get("description") or "").strip(), f"{name}: argument {argument['name']} has no description"


def test_no_macro_is_described_that_is_not_there():
    assert set(properties("macros")) - set(macros_with_arguments()) == set()


@pytest.mark.parametrize("path", MODEL_FILES, ids=lambda path: path.stem)
def test_a_model_is_described_with_its_columns(path):
    entry = properties("models").get(path.stem)
    assert entry, f"no .yml describes model {path.stem}"
    assert (entry.get("description") or "").strip()
    assert entry.get("columns"), f"no column of {path.stem} is described"
    assert [column["name"] for column in entry["columns"] if not (column.get("description") or "").strip()] == []


@pytest.mark.parametrize("path", SEED_FILES, ids=lambda path: path.stem)
def test_a_seed_is_described_with_its_columns(path):
    entry = properties("seeds").get(path.stem)
    assert entry, f"no .yml describes seed {path.stem}"
    assert (entry.get("description") or "").strip()
    header = path.read_text(encoding="utf-8").split("\n", 1)[0].split(",")
    assert [column["name"] for column in entry["columns"]] == header
    assert [column["name"] for column in entry["columns"] if not (column.get("description") or "").strip()] == []
