"""Answer questions about one commit from the rows of its modules, without an index file."""

import json
from collections.abc import Mapping

from compat.index.build.merge_releases import MergedModule
from compat.index.reader import Index
from compat.index.records import Branch, ModuleRow, Row
from compat.model import guards
from compat.model.guards import ALWAYS


class CommitIndex(Index):
    """The rows of one commit, as a name resolver asks for them; it is the only release.

    Args:
        package: the package.
        top: its import name.
        modules: its modules by name.
    """

    def __init__(self, package: str, top: str, modules: Mapping[str, MergedModule]) -> None:  # it has no file
        self.packages = {package: 1}
        self.owners = {top: [package]}
        self.concluded = False
        self._same = None
        self._modules = modules

    def module(self, module: str, package: str, release_index: int) -> ModuleRow | None:  # noqa: ARG002 -- as in Index
        found = self._modules.get(module)
        return None if found is None else ModuleRow(found.form, found.open)

    def has_submodule(self, module: str, name: str, package: str, release_index: int) -> bool:  # noqa: ARG002
        return f"{module}.{name}" in self._modules

    def branches(self, module: str, name: str, package: str, release_index: int) -> tuple[Branch, ...]:  # noqa: ARG002
        found = self._modules.get(module)
        return () if found is None else tuple(map(_branch, found.names.get(name, ())))

    def imports(self, module: str, package: str, release_index: int) -> list[tuple[str, Branch]]:  # noqa: ARG002
        found = self._modules.get(module)
        names = {} if found is None else found.names
        rows = ((name, row) for name in sorted(names) for row in names[name])
        return [(name, _branch(row)) for name, row in rows if row.status == "reexported"]


def _branch(row: Row) -> Branch:
    return Branch(
        row.status,
        row.kind,
        row.target,
        ALWAYS if row.guard is None else guards.from_json(json.loads(row.guard)),
        None if row.truth is None else guards.from_json(json.loads(row.truth)),
        None,
        row.refusal,
    )
