"""Following a definition through its moves and renames, forward and back, to the release asked about."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from compat.index.query.name_resolution import NameResolver
from compat.index.records import Succession
from compat.model.symbols import UNUSABLE

LONGEST = 12
"""Steps of a chain: more than any name has taken."""


class Relative(NamedTuple):
    """What a definition of another release is called in this one."""

    module: str
    name: str
    confidence: float
    """The product of that of every step on the way."""
    evidence: str
    asked: str
    """The module that has the name which was asked for, in that other release."""


def relatives(
    world: NameResolver, package: str, name: str, module: str | None = None
) -> tuple[Relative, ...]:
    """Return what a name that this release lacks has become by now, or what it will come from.

    Each exists in this world. The likeliest comes first; of equals, what the name has become.

    Args:
        world: the releases, among them one of `package`.
        package: whose history to follow.
        name: the name that was asked for.
        module: the module it was asked for in; None for any that ever had it.
    """
    position = world.environment.release_indexes[package]
    became = world.index.successors(name, package, position)
    comes_from = world.index.predecessors(name, package, position)
    ends = [
        *(_Chain(world, package, (step,), forward=True) for step in _of(became, module)),
        *(_Chain(world, package, (step,), forward=False) for step in _before(comes_from, module)),
    ]
    found = [chain.relative() for start in ends for chain in start.ends()]
    return tuple(sorted(found, key=lambda each: -each.confidence))


class _Chain(NamedTuple):
    """Successions that follow on one another, in the order in which they are gone through."""

    world: NameResolver
    package: str
    steps: tuple[Succession, ...]
    forward: bool

    @property
    def place(self) -> tuple[str, str]:
        """Where it has led so far."""
        step = self.steps[-1]
        return (step.to_module, step.to_name) if self.forward else (step.module, step.name)

    def ends(self) -> Iterator["_Chain"]:
        """Yield the chains that begin with this one and end at something that exists in the world."""
        if self.world.answer(*self.place).status not in UNUSABLE:
            yield self
        elif len(self.steps) < LONGEST:
            for step in self._next():
                yield from self._replace(steps=(*self.steps, step)).ends()

    def relative(self) -> Relative:
        """Return where it ends."""
        confidence, told = 1.0, []
        versions = self.world.index.versions(self.package)
        for step in self.steps:
            confidence *= step.confidence
            what = "moved" if step.change == "move" else "renamed"
            when = "in" if self.forward else "only in"
            told.append(f"{what} {when} {versions[step.last + 1]}: {step.evidence}")
        first = self.steps[0]
        asked = first.module if self.forward else first.to_module
        return Relative(*self.place, round(confidence, 2), "; then ".join(told), asked)

    def _next(self) -> Sequence[Succession]:
        module, name = self.place
        position = self.world.environment.release_indexes[self.package]
        last = self.steps[-1].last
        if self.forward:
            later = self.world.index.successors(name, self.package, position)
            following = [step for step in later if step.module == module and step.last > last]
            return sorted(following, key=lambda step: step.last)[:1]
        earlier = self.world.index.predecessors(name, self.package, position)
        leading = [step for step in earlier if step.to_module == module and step.last < last]
        return [step for step in leading if step.last == max(each.last for each in leading)]


def _of(steps: Sequence[Succession], module: str | None) -> list[Succession]:
    """Return the last step of each module that had the name before: it may have come and gone."""
    latest = {step.module: step for step in sorted(steps, key=lambda step: step.last)}
    return [step for step in latest.values() if module in (None, step.module)]


def _before(steps: Sequence[Succession], module: str | None) -> list[Succession]:
    """Return the steps by which each module comes by the name first."""
    first: dict[str, int] = {}
    for step in steps:
        first[step.to_module] = min(step.last, first.get(step.to_module, step.last))
    return [step for step in steps if module in (None, step.to_module) and step.last == first[step.to_module]]
