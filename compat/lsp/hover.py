"""The text of a hover: the history of a name over all releases."""

from functools import lru_cache

from compat._cli.text import listed
from compat.errors import CompatError
from compat.index.reader import Index
from compat.model.release_ranges import range_text
from compat.resolve.cli import answer
from compat.resolve.output import Result
from compat.resolve.query import parse_query
from compat.resolve.release_selection import Request, subjects

MOST = 6
"""Most ranges of releases that a hover shows, the newest first."""


@lru_cache(maxsize=500)
def history_of(query: str) -> str | None:
    """Return Markdown with the releases that have a name; None if it is not valid or not indexed."""
    index = Index()
    try:
        (asked,) = parse_query(query)
        selected, _ = subjects(Request(everything=True), index)
        results = answer(asked, selected, index)
    except (CompatError, ValueError):
        return None
    return _markdown(query, results)


def _markdown(query: str, results: list[Result]) -> str:
    ranges: list[tuple[str, str, str, list[str]]] = []
    for result in results:
        status, _, statement, remarks = result.summary
        said = f"`{statement}`" if statement != "-" else status
        if result.failed and statement != "-":
            said = f"{status}; use {said}"
        first, last = result.subjects[0].version, result.subjects[-1].version
        if ranges and ranges[-1][0] == result.package and ranges[-1][2] == said:
            ranges[-1][3][1] = last
        else:
            ranges.append((result.package, remarks, said, [first, last]))
    shown = ranges[::-1][:MOST]
    lines = [f"**{query}**", ""]
    for package, remarks, said, (first, last) in shown:
        note = f" ({remarks})" if remarks and "`" in said else ""
        lines.append(f"- {package} {range_text((first, last))}: {said}{note}")
    if len(ranges) > MOST:
        lines.append(f"- and earlier: {listed([each[2] for each in ranges[:-MOST]], 2)}")
    return "\n".join(lines)
