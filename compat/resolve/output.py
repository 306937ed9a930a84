"""The forms of an answer: aligned text, JSON of the contract, or bare import statements."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from compat._cli import console
from compat._cli.text import aligned
from compat.model.symbols import UNUSABLE, Status, location
from compat.resolve.query import Query
from compat.resolve.release_selection import Subject
from compat.resolve.search import Found, Place

Summary = tuple[Status, str, str, str]
"""Status, kind, what to write, and remarks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer to one query in one release."""

    query: Query
    subject: Subject
    found: Found
    signed: bool = False
    """Whether it is asked how the name is called as well."""

    @property
    def failed(self) -> bool:
        """Whether there is no real object where it was asked for."""
        return self.found.status in UNUSABLE

    @property
    def same(self) -> tuple[Any, ...]:
        """What runs of releases have in common that share one line."""
        return self.query, self.subject.package, self.subject.pair, self.summary, self.signature

    @property
    def summary(self) -> Summary:
        """See `summary`."""
        return summary(self.found)

    @property
    def signature(self) -> str | None:
        """How the name is called, when that is asked and known."""
        place = self.found.place
        return place.answer.signature if self.signed and place else None


def summary(found: Found) -> Summary:
    """Return what a line of text says of an answer."""
    kind = found.place.answer.kind if found.place else None
    return found.status, kind or "-", found.statement or "-", "; ".join(_remarks(found.place, found))


def as_text(results: Sequence[Result]) -> str:
    """Return one aligned line for each run of releases with the same answer."""
    rows: list[tuple[str, ...]] = []
    calls: list[list[str]] = []
    several = len({result.query for result in results}) > 1
    for _, run in groupby(results, key=lambda result: result.same):
        members = list(run)
        first, last = members[0], members[-1]
        versions = first.subject.version
        if len(members) > 1:
            versions += f"..{last.subject.version}"
        head = (first.query.text.strip(),) if several else ()
        pair = (first.subject.pair,) if first.subject.pair else ()
        rows.append((*head, *pair, first.subject.package, versions, *first.summary))
        calls.append(signature_lines(first.signature))
    lines = zip(aligned(rows), calls, strict=True)
    return "\n".join(line for head_line, below in lines for line in (head_line, *below))


def as_imports(results: Iterable[Result]) -> str:
    """Return the distinct import statements, in the order of the results."""
    statements = (result.found.statement for result in results)
    return "\n".join(dict.fromkeys(statement for statement in statements if statement))


def as_json(results: Sequence[Result], histories: dict[tuple[Query, str], list[dict[str, Any]]]) -> str:
    """Return the JSON document of the contract."""
    return console.document(
        "resolve",
        results=[
            _json(result, histories.get((result.query, result.subject.package), [])) for result in results
        ],
    )


def history(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Return the intervals over which each module that binds the name gives the same.

    The results are those of one query in consecutive releases of one package, oldest first.
    """
    intervals: list[dict[str, Any]] = []
    opened: dict[tuple[str | None, ...], dict[str, Any]] = {}
    for result in results:
        now: dict[tuple[str | None, ...], dict[str, Any]] = {}
        for place in _bound_places(result.found):
            answer = place.answer
            signature = answer.signature if result.signed else None
            key = (place.module, place.name, answer.status, answer.kind, signature)
            interval = opened.get(key)
            if interval is None:
                interval = {
                    "module": place.module,
                    "name": place.name,
                    "status": answer.status,
                    "kind": answer.kind,
                    "first": result.subject.version,
                }
                if result.signed:
                    interval["signature"] = signature_document(signature)
                intervals.append(interval)
            interval["last"] = result.subject.version
            now[key] = interval
        opened = now
    return intervals


def signature_document(signature: str | None) -> str | dict[str, str] | None:
    """Return the parameters of a function, or those of a class's methods by name."""
    if signature is None or signature.startswith("("):
        return signature
    methods: dict[str, str] = json.loads(signature)
    return methods


def signature_lines(signature: str | None) -> list[str]:
    """Return a signature as lines that stand below an answer."""
    document = signature_document(signature)
    if document is None:
        return []
    calls = [document] if isinstance(document, str) else [f"{name}{text}" for name, text in document.items()]
    return [f"    {call}" for call in calls]


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
    signature = {"signature": signature_document(result.signature)} if result.signed else {}
    return {
        **signature,
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
        "replacement": None if found.replacement is None else found.replacement._asdict(),
        "source": result.subject.source,
    }
