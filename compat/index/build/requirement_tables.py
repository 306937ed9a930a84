"""What the releases of sglang and vllm require, read from their metadata once, when the index is built.

Parsing what a hundred releases require takes longer than all else in ranking them. What stays the same
from release to release is one row. A set of Pythons is an integer: see `python_bit`.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, product
from typing import NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName

from compat.index.reader import Index
from compat.model.pythons import PYTHONS
from compat.model.releases import SGLANG, VLLM, ReleaseMetadata
from compat.requirements.release_requirements import requirements_of, wanted
from compat.requirements.specifiers import disjoint

_MINOR = re.compile(r"\b3\.(\d+)")


class Asked(NamedTuple):
    """One requirement of a release."""

    name: str
    """The distribution, canonical; the release's own for the release itself."""
    pythons: int
    specifier: str
    extras: str
    """Separated by blanks."""


class Summary(NamedTuple):
    """What the requirements of a release come to."""

    asked: frozenset[Asked]
    python: str
    """The specifier of Requires-Python."""
    pythons: int
    """Those that this admits."""
    serving: int
    """Those with which the release does not run without the extra for serving."""


def fill_requirements(database: sqlite3.Connection, index: Index) -> None:
    """Fill the tables of requirements for the releases that `index` has of sglang and vllm."""
    specifiers: dict[str, int] = {}
    asking: dict[str, dict[str, set[str]]] = {}
    for package in (each for each in (SGLANG, VLLM) if each in index.packages):
        number = index.packages[package]
        summaries = [_summary(package, row) for row in index.releases(package)]
        database.executemany(
            "INSERT INTO release_pythons VALUES (?, ?, ?, ?, ?)",
            ((number, at, *each[1:]) for at, each in enumerate(summaries)),
        )
        rows = sorted(_ranges([each.asked for each in summaries]))
        database.executemany(
            "INSERT INTO requirements VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    *(number, asked.name, first, asked.pythons, last),
                    specifiers.setdefault(asked.specifier, len(specifiers) + 1),
                    asked.extras,
                )
                for asked, first, last in rows
            ),
        )
        for asked, *_ in rows:
            asking.setdefault(asked.name, {}).setdefault(package, set()).add(asked.specifier)
    database.executemany(
        "INSERT INTO specifiers VALUES (?, ?, ?)",
        ((number, *wanted(SpecifierSet(text))) for text, number in specifiers.items()),
    )
    exclusive = {
        (specifiers[one], specifiers[other])
        for by in asking.values()
        for one, other in product(by.get(SGLANG, ()), by.get(VLLM, ()))
        if disjoint(SpecifierSet(one), SpecifierSet(other))
    }
    database.executemany("INSERT INTO exclusive VALUES (?, ?)", sorted(exclusive))


def _summary(package: NormalizedName, row: ReleaseMetadata) -> Summary:
    pythons: dict[tuple[str, str, str], int] = {(package, f"=={row.version}", ""): _bits(range(PYTHONS))}
    serving = 0
    for minors in _alike(row.requires_dist):
        needs = requirements_of(package, row, f"3.{minors[0]}")
        for name, specifier in needs.wants.items():
            key = name, str(specifier), " ".join(sorted(needs.extras_of[name]))
            pythons[key] = pythons.get(key, 0) | _bits(minors)
        serving |= _bits(minors) if needs.extras else 0
    admitted = (minor for minor in range(PYTHONS) if needs.runs_on(f"3.{minor}"))
    return Summary(
        asked=frozenset(
            Asked(name, bits, specifier, extras) for (name, specifier, extras), bits in pythons.items()
        ),
        python=str(needs.python),
        pythons=_bits(admitted),
        serving=serving,
    )


def _alike(lines: Iterable[str]) -> Iterator[range]:
    """Yield the ranges of Pythons, by minor version, that no marker tells apart: they name the ends."""
    named = {int(minor) for line in lines for minor in _MINOR.findall(line.partition(";")[2])}
    ends = sorted({0, PYTHONS, *(end for minor in named for end in (minor, minor + 1) if end < PYTHONS)})
    yield from (range(first, end) for first, end in pairwise(ends))


def _ranges(releases: Sequence[frozenset[Asked]]) -> Iterator[tuple[Asked, int, int]]:
    """Yield each requirement with the first and last release of every range over which it stays the same."""
    opened: dict[Asked, int] = {}
    for at, asked in enumerate([*releases, frozenset[Asked]()]):
        for gone in opened.keys() - asked:
            yield gone, opened.pop(gone), at - 1
        for new in asked - opened.keys():
            opened[new] = at


def _bits(minors: Iterable[int]) -> int:
    return sum(1 << minor for minor in minors)
