"""The fixture that all tests of macros in bare Jinja share; what it gives is in bare_jinja.py."""

from __future__ import annotations

from typing import Any

import pytest
from bare_jinja import Macros


@pytest.fixture(scope="session")
def macros():
    """The macros for an adapter, and for a project with those vars."""
    loaded: dict[str, Macros] = {}

    def load(adapter: str, **project_vars: Any) -> Macros:
        if project_vars:
            return Macros(adapter, project_vars)
        if adapter not in loaded:
            loaded[adapter] = Macros(adapter, {})
        return loaded[adapter]

    return load
