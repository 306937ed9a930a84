"""Compare the names of two releases: what moved, was renamed or removed, and what is called otherwise now."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from compat.index.query.answers import Answer
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone
from compat.index.reader import Index
from compat.index.records import Names, Row, Successor
from compat.model.package_names import IMPORT_NAMES
from compat.model.signatures import CallChange, accepts_same_calls, changes
from compat.model.symbols import UNUSABLE, Kind, is_peripheral, split_location
from compat.resolve.search import find_location

Sort = Literal["moved", "renamed", "removed", "placeholder", "kind", "signature", "added"]
SORTS: tuple[Sort, ...] = ("removed", "moved", "renamed", "placeholder", "kind", "signature", "added")
"""The sorts of changes, in the order of the report."""
BREAKING: frozenset[Sort] = frozenset({"removed", "moved", "renamed", "placeholder", "kind"})
"""The sorts that break an import or every use; a new signature breaks some calls."""


_UNKNOWN = UNUSABLE | {"dynamic"}
"""The statuses of a location that code cannot rely on, as far as can be read."""


class Change(NamedTuple):
    """One name that is not in the second release what it is in the first."""

    sort: Sort
    module: str
    name: str
    """Empty for a module."""
    kind: Kind | None = None
    """What it is; in the first release, unless it is added."""
    new_kind: Kind | None = None
    successor: Successor | None = None
    calls: tuple[CallChange, ...] = ()
    compatible: bool = False
    """For a new signature: whether every call of the old one is still accepted."""
    reason: str = ""

    @property
    def breaking(self) -> bool:
        """Whether code that works with the first release may fail with the second."""
        return self.sort in BREAKING or (self.sort == "signature" and not self.compatible)

    @property
    def path(self) -> str:
        """The dotted path."""
        return f"{self.module}.{self.name}" if self.name else self.module


class Comparison:
    """Compares locations in two releases of a package.

    Args:
        index: the index that has both.
        package: the package.
        old: the index of the first release.
        new: the index of the second release.
    """

    def __init__(self, index: Index, package: str, old: int, new: int) -> None:
        self.index = index
        self.package = package
        self.old, self.new = old, new
        self.before = NameResolver(index, alone(index, package, old))
        self.after = NameResolver(index, alone(index, package, new))

    def everything(self) -> Iterator[Change]:
        """Yield the changes of all public names, ordered by module and name.

        These are classes, functions and constants, and what packages hand on from their modules. Left out are
        tests, benchmarks and vendored code, and what disappears with its module.
        """
        old, new = (self.index.release_names(self.package, at) for at in (self.old, self.new))
        there, now = (self.index.modules(self.package, at) for at in (self.old, self.new))
        gone: set[str] = set()
        for module in filter(_is_public, sorted(there.keys() | now.keys())):
            if module not in now:
                gone.add(module)
                if module.rpartition(".")[0] not in gone:
                    yield self._module_gone(module)
            elif module not in there:
                yield Change("added", module, "", kind="module")
            handing = "package" in {each[module].form for each in (there, now) if module in each}
            top = IMPORT_NAMES[self.package] if handing else None
            for name in sorted(_changed(old.get(module, {}), new.get(module, {}), top)):
                change = self.of(module, name)
                if change is not None and not (change.sort == "removed" and module in gone):
                    yield change

    def of(self, module: str, name: str) -> Change | None:
        """Return the change of one location; None if nothing that code relies on changes."""
        before, after = self._answer(self.before, module, name), self._answer(self.after, module, name)
        if before.status in _UNKNOWN:
            is_new = before.status == "missing" and after.status not in _UNKNOWN
            return Change("added", module, name, kind=after.kind) if is_new else None
        if after.status in UNUSABLE:
            return self._lost(module, name, before, after)
        old, new = before.kind, after.kind
        if old != new and None not in (old, new):
            return Change("kind", module, name, kind=old, new_kind=new)
        one, other = self.index.signature(before.signature), self.index.signature(after.signature)
        if one is None or other is None or one == other:
            return None
        compatible = accepts_same_calls(one, other)
        return Change("signature", module, name, old, new, calls=changes(one, other), compatible=compatible)

    def _answer(self, resolver: NameResolver, module: str, name: str) -> Answer:
        answer = resolver.answer(module, name)
        problem = resolver.problem(module) if answer.status not in UNUSABLE else None
        return answer if problem is None else Answer(status="missing", reason=problem, always_bound=False)

    def _lost(self, module: str, name: str, before: Answer, after: Answer) -> Change:
        found = find_location(self.after, self.package, module, name).successor
        sort: Sort = "removed"
        if after.status == "placeholder":
            sort = "placeholder"
        elif found is not None and found.name:
            sort = "moved" if found.name == name else "renamed"
        return Change(sort, module, name, before.kind, successor=found, reason=after.reason or "")

    def _module_gone(self, module: str) -> Change:
        found = find_location(self.after, self.package, module, "").successor
        if found is None or found.name:
            return Change("removed", module, "", kind="module")
        return Change("moved", module, "", kind="module", successor=found)


def _is_public(module: str) -> bool:
    return not is_peripheral(module) and not any(part[0] == "_" for part in module.split("."))


def _changed(old: Names, new: Names, top: str | None) -> Iterator[str]:
    """Yield the public names of a module that are its own, and whose rows differ.

    Args:
        old: the names in the first release.
        new: the names in the second release.
        top: the import name of its project if it is a package, which hands on names of other modules.
    """
    for name in old.keys() | new.keys():
        rows, others = old.get(name, ()), new.get(name, ())
        if (
            name
            and name[0] != "_"
            and rows != others
            and any(_is_own(row, name, top) for row in rows or others)
        ):
            yield name


def _is_own(row: Row, name: str, top: str | None) -> bool:
    if row.status == "reexported":
        return split_location(row.target or "")[0].partition(".")[0] == top
    return row.status == "lazy" or (row.status == "defined" and (row.kind != "value" or name.isupper()))
