"""Fill the tables of requirements of sglang and vllm releases, when the index is built.

Parsing the requirements of a hundred releases takes longer than ranking them. A requirement that is the same
in consecutive releases is one row. A set of Python versions is an integer: see `python_bit`.
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


class RequirementRow(NamedTuple):
    """One requirement of a release, as the tables store it."""

    name: str
    """The canonical name of the distribution; a release also requires itself."""
    pythons: int
    specifier: str
    extras: str
    """The required extras, separated by blanks."""


class Summary(NamedTuple):
    """The requirements of a release, with the Python versions for which it runs."""

    requirements: frozenset[RequirementRow]
    python: str
    """The specifier in Requires-Python."""
    pythons: int
    """The Python versions that Requires-Python admits."""
    serving: int
    """The Python versions on which the release needs the extra for serving."""


def fill_requirements(database: sqlite3.Connection, index: Index) -> None:
    """Fill the tables of requirements for the sglang and vllm releases of `index`."""
    specifiers: dict[str, int] = {}
    specifiers_by_name: dict[str, dict[str, set[str]]] = {}
    for package in (each for each in (SGLANG, VLLM) if each in index.packages):
        number = index.packages[package]
        summaries = [_summary(package, row) for row in index.releases(package)]
        database.executemany(
            "INSERT INTO release_pythons VALUES (?, ?, ?, ?, ?)",
            ((number, at, *each[1:]) for at, each in enumerate(summaries)),
        )
        rows = sorted(_ranges([each.requirements for each in summaries]))
        database.executemany(
            "INSERT INTO requirements VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    *(number, row.name, first, row.pythons, last),
                    specifiers.setdefault(row.specifier, len(specifiers) + 1),
                    row.extras,
                )
                for row, first, last in rows
            ),
        )
        for row, *_ in rows:
            specifiers_by_name.setdefault(row.name, {}).setdefault(package, set()).add(row.specifier)
    database.executemany(
        "INSERT INTO specifiers VALUES (?, ?, ?)",
        ((number, *wanted(SpecifierSet(text))) for text, number in specifiers.items()),
    )
    exclusive = {
        (specifiers[one], specifiers[other])
        for by in specifiers_by_name.values()
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
        requirements=frozenset(
            RequirementRow(name, bits, specifier, extras)
            for (name, specifier, extras), bits in pythons.items()
        ),
        python=str(needs.python),
        pythons=_bits(admitted),
        serving=serving,
    )


def _alike(lines: Iterable[str]) -> Iterator[range]:
    """Yield ranges of Python minor versions for which all markers have the same result."""
    named = {int(minor) for line in lines for minor in _MINOR.findall(line.partition(";")[2])}
    ends = sorted({0, PYTHONS, *(end for minor in named for end in (minor, minor + 1) if end < PYTHONS)})
    yield from (range(first, end) for first, end in pairwise(ends))


def _ranges(releases: Sequence[frozenset[RequirementRow]]) -> Iterator[tuple[RequirementRow, int, int]]:
    """Yield each requirement with the first and last index of each release range in which it is unchanged."""
    opened: dict[RequirementRow, int] = {}
    for at, rows in enumerate([*releases, frozenset[RequirementRow]()]):
        for gone in opened.keys() - rows:
            yield gone, opened.pop(gone), at - 1
        for new in rows - opened.keys():
            opened[new] = at


def _bits(minors: Iterable[int]) -> int:
    return sum(1 << minor for minor in minors)
