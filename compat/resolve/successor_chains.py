"""Follow a definition through its moves and renames, forward and back, to another release."""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple
from compat.index.records import BASE_CLASS, CALLED, Successor
from compat.model.symbols import UNUSABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from compat.index.query.name_resolution import NameResolver

LONGEST = 12
"""The maximum number of steps in a chain, more than any indexed name has."""


def follow(
    resolver: NameResolver, package: str, name: str, module: str | None = None
) -> tuple[Successor, ...]:
    """Return the successors and predecessors of a missing name that exist in a release.

    `old_module` of each is the module that had the name. The
    likeliest comes first; of equals, the successors.

    Args:
        resolver: the resolver, with a release of `package`.
        package: the package whose history to follow.
        name: the missing name.
        module: the module of the name; None for any module that ever had it.
    """
    release_index = resolver.environment.release_indexes[package]
    became = resolver.index.successors(name, package, release_index)
    comes_from = [
        step
        for step in resolver.index.predecessors(name, package, release_index)
        if step.evidence not in (BASE_CLASS, CALLED)  # both were there, so the old one is no former self
    ]
    starts = [
        *(_Chain(resolver, package, (step,), forward=True) for step in _of(became, module)),
        *(_Chain(resolver, package, (step,), forward=False) for step in _before(comes_from, module)),
    ]
    found = [chain.successor() for start in starts for chain in start.ends()]
    return tuple(sorted(found, key=lambda each: -each.confidence))


class _Chain(NamedTuple):
    """A chain of moves and renames, in the direction of the search."""

    resolver: NameResolver
    package: str
    steps: tuple[Successor, ...]
    forward: bool

    @property
    def location(self) -> tuple[str, str]:
        """The module and name after the last step."""
        step = self.steps[-1]
        return (step.module, step.name) if self.forward else (step.old_module, step.old_name)

    def ends(self) -> Iterator[_Chain]:
        """Yield the extensions of this chain that end at an object that exists in the release."""
        if self.resolver.answer(*self.location).status not in UNUSABLE:
            yield self
        elif len(self.steps) < LONGEST:
            for step in self._next():
                yield from self._replace(steps=(*self.steps, step)).ends()

    def successor(self) -> Successor:
        """Return the end of the chain as a successor; its confidence is the product over all steps."""
        confidence, evidence = 1.0, []
        versions = self.resolver.index.versions(self.package)
        for step in self.steps:
            confidence *= step.confidence
            what = "moved" if step.change == "move" else "renamed"
            when = "in" if self.forward else "only in"
            evidence.append(f"{what} {when} {versions[step.last + 1]}: {step.evidence}")
        first = self.steps[0]
        old_module = first.old_module if self.forward else first.module
        return Successor(*self.location, round(confidence, 2), "; then ".join(evidence), old_module)

    def _next(self) -> Sequence[Successor]:
        module, name = self.location
        release_index = self.resolver.environment.release_indexes[self.package]
        last = self.steps[-1].last
        if self.forward:
            later = self.resolver.index.successors(name, self.package, release_index)
            following = [step for step in later if step.old_module == module and step.last > last]
            return sorted(following, key=lambda step: step.last)[:1]
        earlier = self.resolver.index.predecessors(name, self.package, release_index)
        leading = [step for step in earlier if step.module == module and step.last < last]
        return [step for step in leading if step.last == max(each.last for each in leading)]


def _of(steps: Sequence[Successor], module: str | None) -> list[Successor]:
    """Return the last step from each module that had the name, which may have come and gone repeatedly."""
    latest = {step.old_module: step for step in sorted(steps, key=lambda step: step.last)}
    return [step for step in latest.values() if module in (None, step.old_module)]


def _before(steps: Sequence[Successor], module: str | None) -> list[Successor]:
    """Return the steps by which each module gets the name for the first time."""
    first: dict[str, int] = {}
    for step in steps:
        first[step.module] = min(step.last, first.get(step.module, step.last))
    return [step for step in steps if module in (None, step.module) and step.last == first[step.module]]
