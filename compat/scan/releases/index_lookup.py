"""Look names up in many releases of a package at once; each outcome holds for a set of releases.

A set of releases is an integer: bit `i` stands for the `i`-th release of a `ReleaseSet`.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, TypeVar

from compat.index.query.answers import Answer, Facts
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone, ask_each
from compat.index.reader import Index
from compat.model.release_ranges import ReleaseRange, ranges_of
from compat.model.symbols import UNUSABLE

T = TypeVar("T")
Failing = Literal["", "module", "import", "name"]
"""Empty if nothing fails; the module does not exist; its import fails; the name does not exist."""

IMPLICIT = frozenset(
    {
        *(
            "__name__",
            "__doc__",
            "__package__",
            "__loader__",
            "__spec__",
            "__file__",
            "__cached__",
            "__path__",
        ),
        *("__builtins__", "__dict__", "__class__", "__annotations__", "__getattribute__", "__setattr__"),
    }
)
"""The attributes that every module has (Python's data model, “Modules”)."""


class ReleaseSet(NamedTuple):
    """The selected releases of a package."""

    package: str
    release_indexes: tuple[int, ...]
    """Indexes into the package's list of releases, ascending."""
    versions: tuple[str, ...]
    """The versions of these releases."""
    source: str = ""
    """Why these releases were selected, as text."""
    pinned: bool = True
    """Whether options or the project's pins select them."""

    @property
    def everything(self) -> int:
        """The set of all these releases, as an integer."""
        return (1 << len(self.release_indexes)) - 1


class LookupOutcome(NamedTuple):
    """The result of following a dotted path in one release."""

    failing: Failing
    module: str
    """The module at which the path ends, or fails."""
    name: str
    answer: Answer
    needy: bool = False
    """For a conditional name: whether it is missing or a stub unless other packages are installed."""


LookupOutcomes = tuple[tuple[int, LookupOutcome], ...]
"""Disjoint sets that together make up a release set, each with its outcome."""


class Lookup:
    """Follows dotted paths in the releases of a release set.

    Args:
        index: the index of releases.
        release_set: the releases.
    """

    def __init__(self, index: Index, release_set: ReleaseSet) -> None:
        self.index = index
        self.release_set = release_set
        self._resolvers = [
            NameResolver(index, alone(index, release_set.package, at)) for at in release_set.release_indexes
        ]
        self.imported = lru_cache(maxsize=None)(self._imported)
        self.path = lru_cache(maxsize=None)(self._path)

    def resolver(self, slot: int) -> NameResolver:
        """Return the resolver of the release that a bit stands for."""
        return self._resolvers[slot]

    def _imported(self, module: str, name: str) -> LookupOutcomes:
        """Return the outcomes of `from module import name`, or of `import module` if the name is empty."""
        return self._asked(lambda resolver: imported(resolver, module, name))

    def _path(self, base: str, parts: tuple[str, ...], *, importing: bool) -> LookupOutcomes:
        """Return the outcomes of reading the attributes `parts` of `base`.

        Args:
            base: a dotted path that counts as existing; may be empty.
            parts: the attributes after it.
            importing: whether submodules are imported on the way, as `mock.patch("a.b.C")` does.
        """
        return self._asked(lambda resolver: _walked(resolver, base, parts, importing=importing))

    def _asked(self, ask: Callable[[NameResolver], LookupOutcome]) -> LookupOutcomes:
        found: dict[int, tuple[int, LookupOutcome]] = {}
        environments = [resolver.environment for resolver in self._resolvers]
        for slots, outcome in ask_each(self.index, self.release_set.package, environments, ask):
            mask, _ = found.get(id(outcome), (0, outcome))
            found[id(outcome)] = (mask | ((1 << len(slots)) - 1) << slots[0], outcome)
        return tuple(found.values())


def ranges(mask: int) -> Iterator[ReleaseRange]:
    """Return the slots of each range of releases in a set, in order."""
    return ranges_of(slot for slot in range(mask.bit_length()) if mask >> slot & 1)


def imported(resolver: NameResolver, module: str, name: str) -> LookupOutcome:
    """Return the outcome of an import in one release."""
    there = resolver.answer(module, "")
    if there.status == "missing":
        return LookupOutcome("module", module, "", there)
    problem = resolver.problem(module)
    if problem:
        return LookupOutcome(
            "import", module, "", Answer(status="missing", reason=problem, always_bound=False)
        )
    if not name:
        return LookupOutcome("", module, "", there)
    if name in IMPLICIT:
        return _nothing(module)
    answer = resolver.answer(module, name)
    if answer.status == "submodule":
        problem = resolver.problem(f"{module}.{name}")
        if problem:
            reason = Answer(status="missing", reason=problem, always_bound=False)
            return LookupOutcome("import", f"{module}.{name}", "", reason)
    needy = answer.status == "conditional" and _needy(resolver, module, name)
    return LookupOutcome("name" if answer.status == "missing" else "", module, name, answer, needy)


def _needy(resolver: NameResolver, module: str, name: str) -> bool:
    """Return whether a name is missing or a stub when no package outside the index is installed."""
    tops = {
        top
        for top, owners in resolver.index.owners.items()
        if not set(owners) & set(resolver.environment.release_indexes)
    }
    facts = Facts(release_indexes=resolver.environment.release_indexes, absent=frozenset(tops), cuda=True)
    bare = NameResolver(resolver.index, facts).answer(module, name)
    return bare.status in UNUSABLE or (bare.status == "conditional" and not bare.always_bound)


def _walked(resolver: NameResolver, base: str, parts: Sequence[str], *, importing: bool) -> LookupOutcome:
    place = located(resolver, base) if base else ("", "")
    if place is None:
        return _nothing(base)  # the import of the base is checked by itself
    module, name = place
    if name:
        return _nothing(base)
    for number, part in enumerate(parts):
        if not module:
            module = part
            continue
        outcome = imported(resolver, module, part) if importing else _attribute(resolver, module, part)
        last = number + 1 == len(parts)
        if outcome.failing or last:
            return outcome
        following = _followed(resolver, module, part, outcome.answer)
        if following is None:
            return outcome
        module = following
    return imported(resolver, module, "") if importing else _nothing(module)


def located(resolver: NameResolver, path: str) -> tuple[str, str] | None:
    """Return the module and the name (may be empty) at which a dotted path ends; None if it is missing."""
    module, *parts = path.split(".")
    for number, part in enumerate(parts):
        answer = resolver.answer(module, part)
        following = _followed(resolver, module, part, answer)
        if following is None:
            return None if answer.status == "missing" else (module, ".".join(parts[number:]))
        module = following
    return module, ""


def _attribute(resolver: NameResolver, module: str, name: str) -> LookupOutcome:
    if name in IMPLICIT:
        return _nothing(module)
    answer = resolver.answer(module, name)
    return LookupOutcome("name" if answer.status == "missing" else "", module, name, answer)


def _followed(resolver: NameResolver, module: str, name: str, answer: Answer) -> str | None:
    """Return the module that `module.name` is, or None if it is not a module."""
    if answer.status == "submodule":
        return f"{module}.{name}"
    if answer.kind == "module" and answer.origin is not None and ":" not in answer.origin:
        top = answer.origin.partition(".")[0]
        return answer.origin if top in resolver.index.owners else None
    return None


def _nothing(module: str) -> LookupOutcome:
    return LookupOutcome("", module, "", Answer(status="defined"))
