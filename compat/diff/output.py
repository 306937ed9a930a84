"""The output of `compat diff`: text, a JSON document, Markdown for a release note, or a page."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from compat._cli import console
from compat._cli.html_page import page
from compat._cli.printable import html, printable
from compat._cli.text import aligned, counted, listed
from compat.diff.changes import SORTS, Change
from compat.model.symbols import location, split_location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from compat.diff.commit_range import CommitBreak, CommitRange
    from compat.diff.report import DiffReport
    from compat.diff.requirement_changes import RequirementChange
    from compat.diff.used_names import Use

    Uses = Mapping[tuple[str, str], list[Use]]

TITLES = {
    "removed": "Removed",
    "moved": "Moved",
    "renamed": "Renamed",
    "placeholder": "Now a stub",
    "kind": "Another kind",
    "signature": "Another signature",
    "added": "Added",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ccc;padding:.3rem .6rem;"
    "text-align:left;vertical-align:top}code{font-size:.9em}"
)


def render(report: DiffReport, form: str, *, added: bool) -> str:
    """Return a comparison in one of the formats of the command; what is new is listed if `added`."""
    if form == "json":
        return _json(report)
    if form == "markdown":
        return "\n".join(_markdown(report, added=added))
    if form == "html":
        return _html(report, added=added)
    return "\n".join(_text(report, added=added))


def render_break(broken: CommitBreak | None, found: CommitRange, uses: Uses, form: str) -> str:
    """Return the first commit that breaks something, with the lines that it breaks."""
    if form == "json":
        first = _break_document(broken, uses)
        return console.document("diff bisect", commits=len(found.commits), read=found.read, first=first)
    if broken is None:
        return f"none of {counted(len(found.commits), 'commit')} breaks what is used"
    commit = broken.commit
    lines = [f"{commit.short} {commit.date} {printable(commit.subject)}", ""]
    for name in broken.names:
        lines.append(f"{name} is not there any more")
        lines += [f"    {printable(str(use))}" for use in uses[split_location(name)]]
    return "\n".join(["```", *lines, "```"] if form == "markdown" else lines)


def _break_document(broken: CommitBreak | None, uses: Uses) -> dict[str, Any] | None:
    if broken is None:
        return None
    places = [split_location(name) for name in broken.names]
    return {
        "commit": broken.commit.id,
        "date": broken.commit.date,
        "subject": broken.commit.subject,
        "before": broken.before.id,
        "names": [{"module": place[0], "name": place[1], "uses": _uses(uses, place)} for place in places],
    }


def _uses(uses: Uses | None, place: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"path": use.path, "line": use.line} for use in (uses or {}).get(place, ())]


def _sorted(changes: Iterable[Change], *, added: bool) -> Iterator[tuple[str, list[Change]]]:
    """Yield the changes by their sort, those that break first."""
    shown = (change for change in changes if added or change.sort != "added")
    ordered = sorted(shown, key=lambda each: (SORTS.index(each.sort), each.path))
    for sort, same in groupby(ordered, key=lambda each: each.sort):
        yield sort, list(same)


def what(change: Change) -> str:
    """Return what became of a name, in a few words."""
    new = change.successor
    if change.sort == "kind":
        return f"a {change.kind} became a {change.new_kind}"
    if change.sort == "signature":
        return "every call still works" if change.compatible else ""
    if new is None:
        return change.reason
    return f"{location(new.module, new.name)}{new.doubt}"


def _calls(change: Change) -> Iterator[str]:
    for call in change.calls:
        if call.old is None or call.new is None:
            yield f"{call.method} {'is new' if call.old is None else 'is gone'}"
        else:
            yield f"{call.method}{call.old} -> {call.method}{call.new}"


def _summary(report: DiffReport) -> str:
    counts = [(sort, len(same)) for sort, same in _sorted(report.changes, added=True)]
    told = ", ".join(f"{count} {TITLES[sort].lower()}" for sort, count in counts) or "no name changes"
    names = f"{counted(len(report.uses), 'used name')}: " if report.uses is not None else ""
    options = f"{len(report.options.removed)} options removed, {len(report.options.added)} added"
    return f"{names}{told}; {counted(len(report.requirements), 'requirement')} changed; {options}"


def _text(report: DiffReport, *, added: bool) -> Iterator[str]:
    yield f"{report.package} {report.old} -> {report.new}"
    for sort, changes in _sorted(report.changes, added=added):
        yield f"\n{TITLES[sort]}"
        rows = [(f"  {location(each.module, each.name)}", each.kind or "", what(each)) for each in changes]
        for change, line in zip(changes, aligned(rows), strict=True):
            yield line
            yield from (f"      {printable(call)}" for call in _calls(change))
            uses = (report.uses or {}).get((change.module, change.name), ())
            yield from (f"      {printable(str(use))}" for use in uses)
    if report.requirements:
        yield "\nRequirements"
        yield from aligned([(f"  {each.name}", _specifiers(each)) for each in report.requirements])
    for title, options in _options(report, added=added):
        yield f"\n{title}"
        yield from (f"  {option}" for option in options)
    yield f"\n{_summary(report)}"


def _options(report: DiffReport, *, added: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the options that are gone, and those that are new, under a title."""
    if report.options.removed:
        yield "Removed options", report.options.removed
    if report.options.added and added:
        yield "Added options", report.options.added


def _specifiers(change: RequirementChange) -> str:
    old, new = (", ".join(each) or "not required" for each in (change.old, change.new))
    return f"{old} -> {new}"


def _json(report: DiffReport) -> str:
    return console.document(
        "diff",
        package=report.package,
        old=report.old,
        new=report.new,
        changes=[_document(each, report.uses) for each in report.changes],
        requirements=[
            {"name": each.name, "old": list(each.old), "new": list(each.new)} for each in report.requirements
        ],
        options={"removed": list(report.options.removed), "added": list(report.options.added)},
    )


def _document(change: Change, uses: Uses | None) -> dict[str, Any]:
    new = change.successor
    return {
        "change": change.sort,
        "module": change.module,
        "name": change.name,
        "kind": change.kind,
        "new_kind": change.new_kind,
        "breaking": change.breaking,
        "replacement": None
        if new is None
        else {
            "module": new.module,
            "name": new.name,
            "confidence": new.confidence,
            "evidence": new.evidence,
            "safety": new.safety,
        },
        "calls": [{"method": call.method, "old": call.old, "new": call.new} for call in change.calls],
        "reason": change.reason,
        "uses": _uses(uses, (change.module, change.name)),
    }


def _markdown(report: DiffReport, *, added: bool) -> Iterator[str]:
    yield f"## {report.package} {report.old} to {report.new}\n"
    yield f"{_summary(report)}."
    for sort, changes in _sorted(report.changes, added=added):
        yield f"\n### {TITLES[sort]}\n"
        for change in changes:
            told = what(change)
            arrow = f": {_code(told) if change.successor and sort != 'kind' else told}" if told else ""
            yield f"- {_code(location(change.module, change.name))}{arrow}"
            yield from (f"  - {_code(call)}" for call in _calls(change))
            uses = (report.uses or {}).get((change.module, change.name), ())
            if uses:
                yield f"  - used in {listed(map(_code, map(str, uses)))}"
    if report.requirements:
        yield "\n### Requirements\n"
        yield from (f"- {_code(each.name)}: {_code(_specifiers(each))}" for each in report.requirements)
    for title, options in _options(report, added=added):
        yield f"\n### {title}\n"
        yield ", ".join(map(_code, options))


def _code(text: str) -> str:
    return f"`{printable(text).replace('`', chr(39))}`"


def _html(report: DiffReport, *, added: bool) -> str:
    title = f"{report.package} {report.old} to {report.new}"
    body = [f"<h1>{html(title)}</h1>", f"<p>{html(_summary(report))}.</p>"]
    for sort, changes in _sorted(report.changes, added=added):
        body.append(f"<h2>{TITLES[sort]}</h2><table>")
        for change in changes:
            calls = "".join(f"<br><code>{html(call)}</code>" for call in _calls(change))
            uses = (report.uses or {}).get((change.module, change.name), ())
            lines = "".join(f"<br>{html(str(use))}" for use in uses)
            name = html(location(change.module, change.name))
            body.append(f"<tr><td><code>{name}</code>{lines}</td><td>{html(what(change))}{calls}</td></tr>")
        body.append("</table>")
    if report.requirements:
        body.append("<h2>Requirements</h2><table>")
        body += [
            f"<tr><td><code>{html(each.name)}</code></td><td>{html(_specifiers(each))}</td></tr>"
            for each in report.requirements
        ]
        body.append("</table>")
    for heading, options in _options(report, added=added):
        names = ", ".join(f"<code>{html(option)}</code>" for option in options)
        body.append(f"<h2>{heading}</h2><p>{names}</p>")
    return page(title, _STYLE, body)
