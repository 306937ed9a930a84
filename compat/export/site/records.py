"""Compute what the site shows of a name: for each package, the answers of `compat resolve` over all releases.

A record is a list with one entry per package that binds the name:

    [package, answers, places, successions]

An answer is `[first, last, status, kind, remarks, module, name, signature]`: consecutive releases in which
`compat resolve` prints the same line; module and name are what it says to import. A place is
`[module, status, first, last, status, first, last, …]`. A succession is
`[old module, old name, last release, module, name, percent, evidence]`.

Releases are their indexes. Texts are numbers in the table of strings of the shard. A module is its number in
the list of modules, from 1, or that of its text with a minus; 0 is none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from compat._cli.printable import printable
from compat.errors import UsageError
from compat.model.symbols import STATUSES
from compat.resolve.cli import answer
from compat.resolve.output import history
from compat.resolve.query import parse_query
from compat.resolve.release_selection import Request, subjects

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from compat.index.reader import Index
    from compat.index.records import Successor
    from compat.resolve.output import Result

Record = list[list[Any]]


@dataclass(slots=True, kw_only=True)
class StringTable:
    """Texts and their numbers, in the order in which they were first added."""

    numbers: dict[str, int] = field(default_factory=lambda: {"": 0})

    def add(self, text: str | None) -> int:
        """Return the number of a text; 0 for None and the empty text."""
        return self.numbers.setdefault(printable(text or ""), len(self.numbers))


class Recorder:
    """Computes records with an index.

    Args:
        index: the index.
        modules: the list of modules, in order.
    """

    def __init__(self, index: Index, modules: Iterable[str]) -> None:
        self._index = index
        self._modules = {module: number for number, module in enumerate(modules, start=1)}
        self._subjects, _ = subjects(Request(everything=True), self._index)
        self._packages = list(self._index.packages)

    def shard(self, names: Iterable[str | None]) -> str:
        """Return the records of some names and modules as JSON; the record of None is empty."""
        strings = StringTable()
        records = [self._record(name, strings) if name else [] for name in names]
        content = {"strings": list(strings.numbers), "records": records}
        return json.dumps(content, ensure_ascii=True, separators=(",", ":"))

    def _record(self, name: str, strings: StringTable) -> Record:
        try:
            (query,) = parse_query(name)
        except UsageError:  # a name that no Python source can contain
            return []
        results = answer(query, self._subjects, self._index)
        return [
            [
                self._packages.index(package),
                [self._answer(list(same), strings) for _, same in groupby(mine, key=self._line)],
                self._places(package, mine, strings),
                self._successions(package, name, strings),
            ]
            for package, mine in _by_package(results)
        ]

    def _line(self, result: Result) -> tuple[Any, ...]:
        return result.summary, self._signature(result)

    def _signature(self, result: Result) -> str | None:
        binding = result.found.binding
        return self._index.signature(binding.answer.signature) if binding else None

    def _answer(self, same: Sequence[Result], strings: StringTable) -> list[Any]:
        first, last = same[0].subjects[0], same[-1].subjects[-1]
        found = same[0].found
        status, kind, statement, remarks = same[0].summary
        target = found.successor or found.binding
        if statement == "-":
            target = None
        return [
            self._index.release_index(first.package, first.version, first.package),
            self._index.release_index(last.package, last.version, last.package),
            STATUSES.index(status),
            strings.add("" if kind == "-" else kind),
            strings.add(remarks),
            self._module(target.module, strings) if target else 0,
            strings.add(target.name if target else None),
            strings.add(self._signature(same[0])),
        ]

    def _places(self, package: str, results: Sequence[Result], strings: StringTable) -> list[list[int]]:
        places: dict[str, list[int]] = {}
        for entry in history(results):
            ranges = places.setdefault(entry["module"], [])
            status = STATUSES.index(entry["status"])
            first, last = (
                self._index.release_index(package, entry[end], package) for end in ("first", "last")
            )
            if ranges and ranges[-3] == status and ranges[-1] + 1 == first:
                ranges[-1] = last
            else:
                ranges += [status, first, last]
        return [[self._module(module, strings), *ranges] for module, ranges in places.items()]

    def _module(self, module: str, strings: StringTable) -> int:
        return self._modules.get(module) or -strings.add(module)

    def _successions(self, package: str, name: str, strings: StringTable) -> list[list[int]]:
        if self._index.number("names", name) is None:
            return []
        return [self._succession(each, strings) for each in self._index.history(package, name)]

    def _succession(self, step: Successor, strings: StringTable) -> list[int]:
        return [
            self._module(step.old_module, strings),
            strings.add(step.old_name),
            step.last,
            self._module(step.module, strings),
            strings.add(step.name),
            round(step.confidence * 100),
            strings.add(step.evidence),
        ]


def _by_package(results: Iterable[Result]) -> list[tuple[str, list[Result]]]:
    grouped: dict[str, list[Result]] = {}
    for result in results:
        grouped.setdefault(result.package, []).append(result)
    return list(grouped.items())
