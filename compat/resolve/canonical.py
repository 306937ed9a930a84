"""Rank the places that bind a name, to choose the canonical one.

Bindings of one object form a group: its definition and the re-exports of it. First the groups are ordered,
then the places in each of them, by what the package itself shows of them and never by their names alone.
"""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple
from compat.model.symbols import is_peripheral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from compat.index.query.answers import Answer

    Imports = Mapping[str, Collection[str]]
    """Maps each place to the modules of the package that import the name from there."""

_NEVER_BOUND = 1 << 30


class Binding(NamedTuple):
    """A module that binds the name, with the answer for the name in it."""

    module: str
    name: str
    answer: Answer

    @property
    def origin(self) -> str:
        """The location of the object; a submodule has no colon, whether it is bound or imported."""
        if not self.name:
            return self.module
        if self.answer.status == "submodule":
            return f"{self.module}.{self.name}"
        return self.answer.origin or f"{self.module}:{self.name}"


def ranked(
    bindings: Iterable[Binding], imports: Imports, first_bound: Mapping[str, int]
) -> tuple[Binding, ...]:
    """Return the bindings of one name: the canonical one, other definitions, re-exports, and stubs.

    Args:
        bindings: the bindings in one environment.
        imports: see `Imports`; a module that binds the name without importing it counts nowhere.
        first_bound: maps modules to the first release in which they bind the name.
    """
    groups: dict[str, list[Binding]] = {}
    for binding in bindings:
        groups.setdefault(binding.origin, []).append(binding)
    votes = {place: [by for by in modules if not is_peripheral(by)] for place, modules in imports.items()}
    if not groups:
        return ()
    origin = min(groups, key=lambda origin: _group_rank(origin, groups[origin], votes, first_bound))
    first = min(_likely(origin, groups[origin], votes), key=_place_rank(origin, groups[origin], votes))
    others = [binding for group in groups.values() for binding in group if binding is not first]
    return first, *sorted(others, key=_status_rank)


def closeness(module: str) -> int:
    """Return the rank of a module: 0 below `…layers.quantization`, 1 elsewhere below `…layers`, else 2."""
    inside = f"{module}."
    if inside.partition(".layers.quantization.")[2]:
        return 0
    return 1 if ".layers." in inside else 2


def nearness(module: str) -> tuple[int, int, int, str]:
    """Return the sort key of a module: by `closeness`, then by length of the path, then by name."""
    return closeness(module), module.count("."), len(module), module


def _group_rank(
    origin: str, group: list[Binding], votes: Imports, first_bound: Mapping[str, int]
) -> tuple[object, ...]:
    """Return the sort key of an object: real, not peripheral, a class or function, much imported, old.

    Numbers of imports of the same magnitude count as equal; then the object that was there first precedes
    its later namesakes.
    """
    home = origin.partition(":")[0]
    count = sum(len(votes.get(binding.module, ())) for binding in group)
    known = [binding.module for binding in group if binding.module == home] or [b.module for b in group]
    return (
        min(_unusable(binding.answer) for binding in group),
        is_peripheral(home) or all(is_peripheral(binding.module) for binding in group),
        all(_plain(binding.answer) for binding in group),
        -count.bit_length(),
        min(first_bound.get(module, _NEVER_BOUND) for module in known),
        -count,
        *nearness(home),
    )


def _likely(origin: str, group: list[Binding], votes: Imports) -> list[Binding]:
    """Return the places of an object that are more than by-products of an import, or all if none is."""
    likely = [
        binding
        for binding in group
        if votes.get(binding.module) or origin.startswith(binding.module) or binding.answer.status == "lazy"
    ]
    usable = [binding for binding in likely if not _unusable(binding.answer) and binding.answer.always_bound]
    return usable or group


def _place_rank(origin: str, group: list[Binding], votes: Imports) -> Callable[[Binding], tuple[object, ...]]:
    """Return the sort key of the places of one object: certain, public, imported from, handed on.

    A module of the package that hands the object on has to import it from where it is defined, or the imports
    would be circular. So imports by other modules count twice.
    """
    home = origin.partition(":")[0]
    handing_on = [binding.module for binding in group if home.startswith(f"{binding.module}.")]
    inner = f"{max(handing_on, key=len)}." if handing_on else ""

    def rank(binding: Binding) -> tuple[object, ...]:
        module, answer = binding.module, binding.answer
        importers = [by for by in votes.get(module, ()) if by not in handing_on]
        outside = [by for by in importers if not inner or not f"{by}.".startswith(inner)]
        public = module in handing_on or answer.status == "lazy"
        return (
            _unusable(answer),
            is_peripheral(module),
            not answer.always_bound,
            any(part.startswith("_") for part in module.split(".")),
            -(len(importers) + len(outside)),
            not public,
            answer.status == "conditional",
            answer.status not in ("defined", "submodule"),
            *nearness(module),
        )

    return rank


def _status_rank(binding: Binding) -> tuple[object, ...]:
    answer = binding.answer
    return (
        _unusable(answer),
        answer.origin is not None or answer.status == "lazy",
        answer.status == "conditional",
        not answer.always_bound,
        *nearness(binding.module),
    )


def _plain(answer: Answer) -> bool:
    """Return whether a name is bound to neither a class nor a function, as far as is known."""
    return answer.kind not in ("class", "function")


def _unusable(answer: Answer) -> int:
    match answer.status:
        case "placeholder":
            return 1
        case "dynamic" | "missing":
            return 2
        case _:
            return 0
