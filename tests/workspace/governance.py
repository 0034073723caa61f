"""What Unity Catalog knows of an object and Spark doesn't: owner, tags, grants, masks, row filters.

An object is known by its full name in lower case: `main`, `main.dev`, `main.dev.orders`. All of it can be read back as JSON,
so that a test sees what was set.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from workspace.errors import insufficient_permissions

Tags = dict[str, str]

# Which privileges an owner hands out at which level is documented here; a privilege on a catalog or schema holds for all
# that lies in it. https://docs.databricks.com/aws/en/data-governance/unity-catalog/manage-privileges/privileges
ALL_PRIVILEGES = "ALL PRIVILEGES"


@dataclass
class Securable:
    """A catalog, schema, table, view or function."""

    kind: str
    owner: str
    tags: Tags = field(default_factory=dict)
    column_tags: dict[str, Tags] = field(default_factory=dict)
    column_masks: dict[str, dict[str, Any]] = field(default_factory=dict)
    row_filter: dict[str, Any] | None = None
    cluster_by_auto: bool = False
    optimized: list[str] = field(default_factory=list)
    grants: dict[str, list[str]] = field(default_factory=dict)


class Governance:
    """Every securable of the workspace, and who may do what with it."""

    def __init__(self, catalogs: list[str], admin: str):
        self.admin = admin
        self._securables: dict[str, Securable] = {name: Securable("catalog", admin) for name in catalogs}
        self._lock = threading.RLock()

    def securable(self, name: str, kind: str = "table", owner: str | None = None) -> Securable:
        with self._lock:
            return self._securables.setdefault(name.lower(), Securable(kind, owner or self.admin))

    def known(self) -> list[tuple[str, Securable]]:
        with self._lock:
            return list(self._securables.items())

    def forget(self, name: str) -> None:
        """The object was dropped, with all that lies in it."""
        with self._lock:
            within = f"{name.lower()}."
            for each in [each for each in self._securables if f"{each}.".startswith(within)]:
                del self._securables[each]

    def rename(self, name: str, new_name: str) -> None:
        with self._lock:
            if name.lower() in self._securables:
                self._securables[new_name.lower()] = self._securables.pop(name.lower())

    # --- privileges ------------------------------------------------------------------------------------------

    def grant(self, name: str, kind: str, principal: str, privileges: list[str]) -> None:
        with self._lock:
            held = self.securable(name, kind).grants.setdefault(principal, [])
            held.extend(each for each in privileges if each not in held)

    def revoke(self, name: str, principal: str, privileges: list[str]) -> None:
        with self._lock:
            grants = self.securable(name).grants
            held = [] if ALL_PRIVILEGES in privileges else grants.get(principal, [])
            left = [each for each in held if each not in privileges]
            if left:
                grants[principal] = left
            else:
                grants.pop(principal, None)

    def may(self, principal: str, privilege: str, name: str) -> bool:
        """May the principal do this, by a grant on the object or on what it lies in, or as an owner?"""
        if principal == self.admin:
            return True
        parts = name.lower().split(".")
        with self._lock:
            for length in range(len(parts), 0, -1):
                securable = self._securables.get(".".join(parts[:length]))
                if securable is None:
                    continue
                held = [*securable.grants.get(principal, []), *securable.grants.get("account users", [])]
                if principal == securable.owner or privilege in held or ALL_PRIVILEGES in held:
                    return True
        return False

    def require(
        self, principal: str, privilege: str, catalog: str, schema: str | None = None, relation: str | None = None
    ) -> None:
        """Whoever uses an object needs USE CATALOG and USE SCHEMA besides the privilege on the object itself."""
        in_schema = f"{catalog}.{schema}"
        needed = [("USE CATALOG", "catalog", catalog)]
        if schema:
            needed.append(("USE SCHEMA", "schema", in_schema))
        on_object = ("table", f"{in_schema}.{relation}") if relation else needed[-1][1:]
        for each, kind, name in (*needed, (privilege, *on_object)):
            if not self.may(principal, each, name):
                raise insufficient_permissions(each, kind, name)

    def as_json(self) -> dict[str, Any]:
        """All that was set, by the object's name; what was never set is left out."""
        with self._lock:
            return {
                name: {key: value for key, value in asdict(securable).items() if value}
                for name, securable in self._securables.items()
            }
