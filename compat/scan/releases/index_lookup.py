"""What the packages have, asked for many releases at once: answers hold over sets of releases.

A set of releases is an integer: bit `i` stands for the `i`-th release of a `ReleaseSet`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, TypeVar

from compat.index.query.name_resolution import Answer, Facts, NameResolver
from compat.index.query.single_release import alone, stretches
from compat.index.reader import Index
from compat.model.symbols import UNUSABLE

T = TypeVar("T")
Failing = Literal["", "module", "import", "name"]
"""Nothing; there is no such module; the module is there and cannot be imported; the name is not there."""

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
"""What every module has, whatever its source says (Python's data model, “Modules”)."""


class ReleaseSet(NamedTuple):
    """The releases of a package that are asked about."""

    package: str
    release_indexes: tuple[int, ...]
    """Ascending, in the list of the index."""
    versions: tuple[str, ...]
    """Of these releases."""
    source: str = ""
    """Why these, for people."""

    @property
    def everything(self) -> int:
        """The set of all of them."""
        return (1 << len(self.release_indexes)) - 1


class LookupOutcome(NamedTuple):
    """What following a path comes to in one release."""

    failing: Failing
    module: str
    """Where it ends, or fails."""
    name: str
    answer: Answer
    needy: bool = False
    """Of what is conditional: whether nothing usable is there when other packages are not."""


LookupOutcomes = tuple[tuple[int, LookupOutcome], ...]
"""Disjoint sets of releases that together are all of a release set, each with its outcome."""


class Lookup:
    """Follows paths through one package in the releases of a release set.

    Args:
        index: where they are looked up.
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
        """Return the world of the release that a bit stands for."""
        return self._resolvers[slot]

    def _imported(self, module: str, name: str) -> LookupOutcomes:
        """Return what `from module import name`, or `import module` when the name is empty, comes to."""
        return self._asked(lambda resolver: imported(resolver, module, name))

    def _path(self, base: str, parts: tuple[str, ...], *, importing: bool) -> LookupOutcomes:
        """Return what the attributes `parts` of `base` come to.

        Args:
            base: a dotted path that is taken to be there; may be empty.
            parts: what follows it.
            importing: whether submodules on the way are imported, as `mock.patch("a.b.C")` does.
        """
        return self._asked(lambda resolver: _walked(resolver, base, parts, importing=importing))

    def _asked(self, ask: Callable[[NameResolver], LookupOutcome]) -> LookupOutcomes:
        found: dict[int, tuple[int, LookupOutcome]] = {}
        for slot, outcome in stretches(self.index, self.release_set.package, self._resolvers, ask):
            mask, _ = found.get(id(outcome), (0, outcome))
            found[id(outcome)] = (mask | 1 << slot, outcome)
        return tuple(found.values())


def ranges(mask: int) -> list[tuple[int, int]]:
    """Return the first and last slot of each range of releases in a set, in order."""
    found: list[tuple[int, int]] = []
    slot = 0
    while mask >> slot:
        if mask >> slot & 1:
            first = slot
            while mask >> slot & 1:
                slot += 1
            found.append((first, slot - 1))
        slot += 1
    return found


def imported(resolver: NameResolver, module: str, name: str) -> LookupOutcome:
    """Return what an import comes to in one release."""
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
    """Return whether a name is missing or a stub in an environment that has only what is indexed with it."""
    tops = {
        top
        for top, owners in resolver.index.owners.items()
        if not set(owners) & set(resolver.environment.release_indexes)
    }
    facts = Facts(release_indexes=resolver.environment.release_indexes, absent=frozenset(tops), cuda=True)
    bare = NameResolver(resolver.index, facts).answer(module, name)
    return bare.status in UNUSABLE or (bare.status == "conditional" and not bare.always_bound)


def _walked(resolver: NameResolver, base: str, parts: Sequence[str], *, importing: bool) -> LookupOutcome:
    located = _located(resolver, base) if base else ("", "")
    if located is None:
        return _nothing(base)  # whether the base is there is judged where it is imported
    module, name = located
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


def _located(resolver: NameResolver, path: str) -> tuple[str, str] | None:
    """Return module and name that a dotted path ends at, the name empty for a module; None for nothing."""
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
    """Return the module that `module.name` is, or None when it is none."""
    if answer.status == "submodule":
        return f"{module}.{name}"
    if answer.kind == "module" and answer.origin is not None and ":" not in answer.origin:
        top = answer.origin.partition(".")[0]
        return answer.origin if top in resolver.index.owners else None
    return None


def _nothing(module: str) -> LookupOutcome:
    return LookupOutcome("", module, "", Answer(status="defined"))
