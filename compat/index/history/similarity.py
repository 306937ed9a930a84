"""Measure the similarity of two definitions, feature by feature, from 0 to 1."""

import math
import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, TypeVar

from compat.index.history.features import Features, View

_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_Item = TypeVar("_Item")


class Definition(NamedTuple):
    """One definition in one release."""

    module: str
    name: str
    features: Features


class Likeness(NamedTuple):
    """The similarity of two definitions of the same kind, by feature."""

    body: float
    """The share of common phrases."""
    name: float
    """The share of common parts of the names; rare parts count more."""
    members: float
    """The share of common methods or parameters."""
    bases: float
    """The share of common base classes."""
    place: float
    """How close the new module is to the old one in the module tree."""


class Words:
    """The parts of names (`GPTQ`, `Linear`, `Method`), weighed by how rare they are."""

    def __init__(self, names: Iterable[str]) -> None:
        self._counts = Counter(part for name in set(names) for part in parts(name))
        self._total = sum(self._counts.values()) or 1

    def weight(self, words: Iterable[str]) -> float:
        """Return the information content of a set of parts."""
        return sum(math.log(1 + self._total / (1 + self._counts[word])) for word in sorted(words))

    def rarest(self, name: str) -> str:
        """Return the part of a name that the fewest other names contain."""
        return min(parts(name), key=lambda part: (self._counts[part], part))

    def alike(self, one: str, other: str) -> float:
        """Return the similarity of two names; a lost part weighs more than an added one."""
        before, after = parts(one), parts(other)
        common = self.weight(before & after)
        return common / (self.weight(before) + self.weight(after - before) / 2)


@lru_cache(maxsize=100_000)
def parts(name: str) -> frozenset[str]:
    """Return the words that a name is made of, in lower case."""
    return frozenset(part.lower() for part in _PART.findall(name)) or frozenset({name})


def likeness(old: Definition, new: Definition, words: Words) -> Likeness:
    """Return the similarity of a definition and one of a later release."""
    one, other = compared(old.features, new.features)
    return Likeness(
        body=body_likeness(one, other),
        name=1.0 if old.name == new.name else words.alike(old.name, new.name),
        members=shared(one.members, other.members),
        bases=shared(one.bases, other.bases),
        place=_place(old.module, new.module),
    )


def compared(old: Features, new: Features) -> tuple[View, View]:
    """Return the most similar views of two definitions, with bases included on at most one side.

    If both sides included them, a large common base would make any two definitions look equal.
    """
    pairs = ((old.own, new.own), (old.own, new.whole), (old.whole, new.own))
    return max(pairs, key=lambda pair: body_likeness(*pair))


def shared(one: frozenset[_Item], other: frozenset[_Item]) -> float:
    """Return the size of the intersection relative to the union; two empty sets give 1."""
    union = len(one | other)
    return len(one & other) / union if union else 1.0


def body_likeness(old: View, new: View) -> float:
    """Return the share of common phrases; a definition that was merged into a larger one counts as kept."""
    kept = len(old.phrases & new.phrases) / len(old.phrases)
    return max(shared(old.phrases, new.phrases), kept * 0.8)


def _place(one: str, other: str) -> float:
    before, after = one.split("."), other.split(".")
    common = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), None)
    if common is None:  # the same module, or one inside the other
        return 1.0
    near = common / max(len(before), len(after))
    return (near + 1) / 2 if before[-1] == after[-1] else near
