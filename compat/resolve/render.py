"""The forms of an answer: aligned text, JSON of the contract, or bare import statements."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from compat import cli
from compat.resolve.query import Query
from compat.resolve.scope import Subject
from compat.resolve.search import Found, Place
from compat.symbols import UNUSABLE, location


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer to one query in one release."""

    query: Query
    subject: Subject
    found: Found

    @property
    def failed(self) -> bool:
        """Whether there is no real object where it was asked for."""
        return self.found.status in UNUSABLE

    @property
    def same(self) -> tuple[Any, ...]:
        """What runs of releases have in common that share one line."""
        return self.query, self.subject.package, self.subject.pair, self.summary

    @property
    def summary(self) -> tuple[str, str, str]:
        """Status, what to write, and remarks."""
        place = self.found.place
        return self.found.status, self.found.statement or "-", "; ".join(_remarks(place, self.found))


def as_text(results: Sequence[Result]) -> str:
    """Return one aligned line for each run of releases with the same answer."""
    rows: list[tuple[str, ...]] = []
    several = len({result.query for result in results}) > 1
    for _, run in groupby(results, key=lambda result: result.same):
        members = list(run)
        first, last = members[0], members[-1]
        versions = first.subject.version
        if len(members) > 1:
            versions += f"..{last.subject.version}"
        status, statement, remarks = first.summary
        head = (first.query.text.strip(),) if several else ()
        pair = (first.subject.pair,) if first.subject.pair else ()
        rows.append((*head, *pair, first.subject.package, versions, status, statement, remarks))
    return "\n".join(_aligned(rows))


def as_imports(results: Iterable[Result]) -> str:
    """Return the distinct import statements, in the order of the results."""
    statements = (result.found.statement for result in results)
    return "\n".join(dict.fromkeys(statement for statement in statements if statement))


def as_json(results: Sequence[Result], histories: dict[tuple[Query, str], list[dict[str, Any]]]) -> str:
    """Return the JSON document of the contract."""
    return cli.document(
        "resolve",
        results=[
            _json(result, histories.get((result.query, result.subject.package), [])) for result in results
        ],
    )


def history(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Return the intervals over which each module that binds the name gives the same status.

    The results are those of one query in consecutive releases of one package, oldest first.
    """
    intervals: list[dict[str, Any]] = []
    opened: dict[tuple[str, str, str], dict[str, Any]] = {}
    for result in results:
        now: dict[tuple[str, str, str], dict[str, Any]] = {}
        for place in _bound_places(result.found):
            key = (place.module, place.name, place.answer.status)
            interval = opened.get(key)
            if interval is None:
                interval = {
                    "module": key[0],
                    "name": key[1],
                    "status": key[2],
                    "first": result.subject.version,
                }
                intervals.append(interval)
            interval["last"] = result.subject.version
            now[key] = interval
        opened = now
    return intervals


def _bound_places(found: Found) -> list[Place]:
    places = [found.place, *found.others] if found.place else [*found.others]
    return [place for place in places if place.answer.status != "missing"]


def _remarks(place: Place | None, found: Found) -> list[str]:
    if place is None:
        return ["nothing binds this name", *([found.replacement.evidence] if found.replacement else [])]
    answer = place.answer
    remarks = []
    if found.status in UNUSABLE:
        remarks.append(f"{location(place.module, place.name)} is {_unusable(found)}")
    if found.replacement is not None:
        remarks.append(found.replacement.evidence)
    elif answer.origin is not None:
        remarks.append(f"from {answer.origin}")
    if answer.guard is not None:
        remarks.append(answer.guard)
    if answer.reason is not None:
        remarks.append(answer.reason)
    return remarks


def _unusable(found: Found) -> str:
    return "a stub" if found.status == "placeholder" else "not there"


def _json(result: Result, intervals: list[dict[str, Any]]) -> dict[str, Any]:
    found, place = result.found, result.found.place
    answer = place.answer if place else None
    return {
        "query": result.query.text,
        "package": result.subject.package,
        "version": result.subject.version,
        "pair": result.subject.pair,
        "status": found.status,
        "module": place.module if place else None,
        "name": place.name if place else result.query.name,
        "kind": answer.kind if answer else None,
        "import": found.statement,
        "origin": answer.origin if answer else None,
        "guard": answer.guard if answer else None,
        "reason": answer.reason if answer else None,
        "others": [{"module": other.module, "status": other.answer.status} for other in found.others],
        "history": intervals,
        "replacement": None if found.replacement is None else asdict(found.replacement),
        "source": "index",
    }


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
