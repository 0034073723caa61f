"""The Python libraries that code finds where it runs: those of the runtime, and those that were declared for it.

https://docs.databricks.com/aws/en/release-notes/runtime/ lists what a runtime brings, https://docs.databricks.com/aws/en/libraries/
says how others are declared. What may be declared is installed on this machine; code that imports it undeclared finds nothing.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Of what a runtime brings, what is here.
_OF_RUNTIME = frozenset({"databricks", "delta", "numpy", "pandas", "py4j", "pyarrow", "pyspark"})
_DISTRIBUTIONS = packages_distributions()


def install(libraries: Iterable[str]) -> frozenset[str]:
    """The names of the libraries, given as pip takes them; what this machine has in no such version is refused as by pip."""
    names = set()
    for requirement in map(Requirement, libraries):
        try:
            fits = requirement.specifier.contains(version(requirement.name), prereleases=True)
        except PackageNotFoundError:
            fits = False
        if not fits:
            raise RuntimeError(f"ERROR: No matching distribution found for {requirement}")
        names.add(canonicalize_name(requirement.name))
    return frozenset(names)


def importer(installed: frozenset[str]) -> Callable[..., Any]:
    """What `import` does in code that has these libraries. They themselves import what they like."""

    def find(name: str, scope: Any = None, local: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        (top, *_) = name.split(".")
        providers = {canonicalize_name(each) for each in _DISTRIBUTIONS.get(top, ())}
        if level == 0 and top not in sys.stdlib_module_names | _OF_RUNTIME and not providers & installed:
            raise ModuleNotFoundError(f"No module named '{top}'", name=top)
        return builtins.__import__(name, scope, local, fromlist, level)

    return find
