"""Format answers as aligned text, as a JSON document, or as import statements."""

from __future__ import annotations

from itertools import groupby

from compat._cli import console
from compat._cli.text import aligned
from compat._util.named_tuple import NamedTuple
from compat.model.signatures import signature_document
from compat.model.symbols import UNUSABLE, location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from compat.index.records import Successor
    from compat.model.symbols import Status
    from compat.resolve.canonical import Binding
    from compat.resolve.query import Query
    from compat.resolve.release_selection import Subject
    from compat.resolve.search import Found

    Summary = tuple[Status, str, str, str]
    """Status, kind, import statement and remarks."""


class Result(NamedTuple):
    """The answer to one query, with the consecutive releases of one package that share it."""

    query: Query
    subjects: tuple[Subject, ...]
    found: Found
    signed: bool = False
    """Whether to output the signature as well."""

    @property
    def package(self) -> str:
        """The package of the releases."""
        return self.subjects[0].package

    @property
    def failed(self) -> bool:
        """Whether the query does not resolve to a real object."""
        return self.found.status in UNUSABLE

    @property
    def line(self) -> tuple[Any, ...]:
        """The key of the text line; results with equal keys share one line."""
        return self.query, self.package, self.subjects[0].pair, self.summary, self.signature

    @property
    def summary(self) -> Summary:
        """The columns of a text line for the answer."""
        found = self.found
        kind = found.binding.answer.kind if found.binding else None
        return found.status, kind or "-", found.statement or "-", "; ".join(_remarks(found.binding, found))

    @property
    def signature(self) -> str | None:
        """The signature of the object, if it is requested and known."""
        binding = self.found.binding
        return self.signature_of(binding) if binding else None

    def signature_of(self, binding: Binding) -> str | None:
        """Return the signature of a binding, if it is requested and known."""
        return self.subjects[0].reader.signature(binding.answer.signature) if self.signed else None


def as_text(results: Sequence[Result]) -> str:
    """Return the results as aligned text, with one line for consecutive releases with the same answer."""
    rows: list[tuple[str, ...]] = []
    calls: list[list[str]] = []
    several = len({result.query for result in results}) > 1
    for (query, package, pair, summary, signature), same in groupby(results, key=lambda result: result.line):
        subjects = [subject for result in same for subject in result.subjects]
        versions = subjects[0].version
        if len(subjects) > 1:
            versions += f"..{subjects[-1].version}"
        head = (query.text.strip(),) if several else ()
        rows.append((*head, *((pair,) if pair else ()), package, versions, *summary))
        calls.append(signature_lines(signature))
    lines = zip(aligned(rows), calls, strict=True)
    return "\n".join(line for head_line, below in lines for line in (head_line, *below))


def as_imports(results: Iterable[Result]) -> str:
    """Return the distinct import statements, in the order of the results."""
    statements = (result.found.statement for result in results)
    return "\n".join(dict.fromkeys(statement for statement in statements if statement))


def as_json(
    results: Sequence[Result], histories: Mapping[tuple[Query, str], Sequence[Mapping[str, Any]]]
) -> str:
    """Return the JSON document: one entry for each query and release.

    Args:
        results: the answers.
        histories: the results of `history`, by query and package; empty if not requested.
    """
    entries = (_entries(result, histories.get((result.query, result.package), ())) for result in results)
    return console.document("resolve", results=[entry for each in entries for entry in each])


def history(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Return, per module that binds the name, the release ranges with the same status, kind and signature.

    `results` are those of one query in consecutive releases of one package, oldest first.
    """
    ranges: list[dict[str, Any]] = []
    opened: dict[tuple[str | None, ...], dict[str, Any]] = {}
    for result in results:
        now: dict[tuple[str | None, ...], dict[str, Any]] = {}
        for binding in _bound(result.found):
            answer = binding.answer
            signature = result.signature_of(binding)
            key = (binding.module, binding.name, answer.status, answer.kind, signature)
            entry = opened.get(key)
            if entry is None:
                entry = {
                    "module": binding.module,
                    "name": binding.name,
                    "status": answer.status,
                    "kind": answer.kind,
                    "first": result.subjects[0].version,
                }
                if result.signed:
                    entry["signature"] = signature_document(signature)
                ranges.append(entry)
            entry["last"] = result.subjects[-1].version
            now[key] = entry
        opened = now
    return ranges


def signature_lines(signature: str | None) -> list[str]:
    """Return the indented lines of a signature, to print below an answer."""
    document = signature_document(signature)
    if document is None:
        return []
    calls = [document] if isinstance(document, str) else [f"{name}{text}" for name, text in document.items()]
    return [f"    {call}" for call in calls]


def _bound(found: Found) -> list[Binding]:
    bindings = [found.binding, *found.others] if found.binding else [*found.others]
    return [binding for binding in bindings if binding.answer.status != "missing"]


def _remarks(binding: Binding | None, found: Found) -> list[str]:
    if binding is None:
        return ["nothing binds this name", *([found.successor.evidence] if found.successor else [])]
    answer = binding.answer
    remarks: list[str] = []
    if found.status in UNUSABLE:
        remarks.append(f"{location(binding.module, binding.name)} is {_unusable(found)}")
    if found.successor is not None:
        new = found.successor  # a location that no release has had is an object that nothing can differ from
        remarks.append(f"{new.evidence}{new.doubt if new.old_kind else ''}")
    elif answer.origin is not None:
        remarks.append(f"from {answer.origin}")
    if answer.guard is not None:
        remarks.append(answer.guard)
    if answer.reason is not None:
        remarks.append(answer.reason)
    return remarks


def _unusable(found: Found) -> str:
    return "a stub" if found.status == "placeholder" else "missing"


def _entries(result: Result, ranges: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    found, binding = result.found, result.found.binding
    answer = binding.answer if binding else None
    same = {
        "query": result.query.text,
        "status": found.status,
        "module": binding.module if binding else None,
        "name": binding.name if binding else result.query.name,
        "kind": answer.kind if answer else None,
        "import": found.statement,
        "origin": answer.origin if answer else None,
        "guard": answer.guard if answer else None,
        "reason": answer.reason if answer else None,
        "others": [{"module": other.module, "status": other.answer.status} for other in found.others],
        "history": ranges,
        "replacement": None if found.successor is None else _successor(found.successor),
    }
    if result.signed:
        same["signature"] = signature_document(result.signature)
    for subject in result.subjects:
        yield {
            **same,
            "package": subject.package,
            "version": subject.version,
            "pair": subject.pair,
            "source": subject.source,
        }


def _successor(successor: Successor) -> dict[str, Any]:
    return {
        "module": successor.module,
        "name": successor.name,
        "confidence": successor.confidence,
        "evidence": successor.evidence,
        "safety": successor.safety,
    }
