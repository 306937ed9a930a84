"""Write a report as one HTML page: a table of imports by releases, and a list of successors."""

import re
from collections.abc import Iterator, Sequence

from compat._cli.html_page import legend, notes, report_page
from compat._cli.printable import html
from compat._cli.text import counted
from compat.model.release_ranges import range_text
from compat.scan.findings import Finding, Report
from compat.scan.formats.text_ import calls_of, cause_text
from compat.scan.options import ScanOptions
from compat.scan.releases.index_lookup import ReleaseSet

_STYLE = """
.scroll th, .scroll td { padding: .35rem; text-align: center }
.scroll td { min-width: 1.7rem; border-left: 1px solid var(--bg) }
thead span { writing-mode: vertical-rl; transform: rotate(180deg) }
.scroll th:first-child { position: sticky; left: 0; text-align: left; padding: .4rem .6rem;
  border-right: 1px solid var(--line) }
tbody th { width: 26rem; min-width: 26rem; line-height: 1.35 }
tbody th code { font-weight: 600 }
@media (max-width: 40rem) { tbody th { width: 11.5rem; min-width: 11.5rem } }
"""
_MARKS = {"error": ("bad", "breaks", "\N{MULTIPLICATION SIGN}"), "warning": ("warn", "depends", "~")}
_KEY = {
    "\N{MIDDLE DOT}": ("ok", "works"),
    "\N{MULTIPLICATION SIGN}": ("bad", "breaks"),
    "~": ("warn", "depends on another package"),
}


def render(report: Report, _options: ScanOptions) -> str:
    """Return the report as one HTML page that loads nothing."""
    reported = [finding for finding in report.findings if finding.level != "note"]
    folder = _folder([finding.path for finding in reported])
    facts = {"files": f"{counted(report.files, 'file')} scanned, {report.parsed} mention the packages"}
    for checked in report.release_sets:
        versions = checked.versions
        text = f"{range_text((versions[0], versions[-1]))}, {counted(len(versions), 'release')}"
        facts[checked.package] = f"{text}: {checked.source}"
    parts = [f"<p>Paths are below <code>{_broken(folder)}</code>.</p>"] if folder else []
    parts += [f"<p>{html(each.text)}</p>" for each in report.fits]
    if any(finding.rule != "CPT000" for finding in reported):
        parts.append(legend(_KEY))
    for releases in report.release_sets:
        mine = [finding for finding in reported if finding.package == releases.package]
        if mine:
            parts += _table(releases, mine, folder)
    broken = [finding for finding in reported if finding.rule != "CPT000"]
    if broken:
        parts += ["<h2>What to write</h2>", *(_details(finding, folder) for finding in broken)]
    unread = {f"{each.path}:{each.line}": each.message() for each in reported if each.rule == "CPT000"}
    left_out = {**{each.path: each.reason for each in report.skipped}, **unread}
    if left_out:
        rows = [f"<li><code>{html(path)}</code>: {html(reason)}</li>" for path, reason in left_out.items()]
        parts += ["<h2>Skipped files</h2><ul>", *rows, "</ul>"]
    parts += notes([each.text for each in report.changes], "Changed, without breaking anything here")
    return report_page(f"compat scan: {counted(len(reported), 'finding')}", facts, parts, style=_STYLE)


def _table(releases: ReleaseSet, findings: Sequence[Finding], folder: str) -> Iterator[str]:
    """Yield the table of a package, the newest release first."""
    heads = "".join(
        f'<th scope="col"><span>{html(version)}</span></th>' for version in releases.versions[::-1]
    )
    yield f"<h2>{html(releases.package)} <small>newest release first</small></h2>"
    label = f"{html(releases.package)} by release"
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
    yield f'<thead><tr><th scope="col">import</th>{heads}</tr></thead><tbody>'
    grouped: dict[str, list[Finding]] = {}
    for finding in findings:
        grouped.setdefault(finding.statement, []).append(finding)
    for statement, group in sorted(grouped.items()):
        places = ", ".join(f"{each.path[len(folder) :]}:{each.line}" for each in group[:3])
        more = f" and {len(group) - 3} more" if len(group) > 3 else ""
        name, module = _parts(statement)
        cells = "".join(_cell(releases.versions, at, group) for at in reversed(range(len(releases.versions))))
        yield (
            f'<tr><th scope="row"><code>{_broken(name)}</code><small>{_broken(module)}</small>'
            f"<small>{_broken(places)}{more}</small></th>{cells}</tr>"
        )
    yield "</tbody></table></div>"


def _parts(statement: str) -> tuple[str, str]:
    """Return the name that a statement imports, and the rest of the statement."""
    words = statement.split()
    if len(words) == 4:
        return words[3], f"from {words[1]}"
    return (words[1], "import") if len(words) == 2 else (statement.rpartition(".")[2], statement)


def _folder(paths: Sequence[str]) -> str:
    """Return the folder that all paths have in common, with a trailing slash; empty if there is none."""
    common: list[str] = []
    for parts in zip(*(path.split("/")[:-1] for path in paths), strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "".join(f"{part}/" for part in common)


def _cell(versions: Sequence[str], at: int, group: Sequence[Finding]) -> str:
    for finding in group:
        for first, last in finding.broken_in:
            if versions.index(first) <= at <= versions.index(last):
                name, word, mark = _MARKS[finding.level]
                return f'<td class="{name}"><span role="img" aria-label="{word}">{mark}</span></td>'
    return '<td class="ok"><span role="img" aria-label="works">\N{MIDDLE DOT}</span></td>'


def _details(finding: Finding, folder: str) -> str:
    rows = []
    for each in finding.broken_ranges:
        new = each.successor
        what = (
            f"<code>{_broken(new.statement)}</code><small>{html(new.evidence + new.doubt)}</small>"
            if new
            else _broken(each.reason)
        )
        lines = calls_of(new) if new is not None and not new.same_call else ()
        calls = "".join(f"<small><code>{html(line)}</code></small>" for line in lines)
        rows.append(f"<li>{html(each.text)} {html(cause_text(finding, each))}: {what}{calls}</li>")
    where = f" in <code>{html(finding.function)}</code>" if finding.function else ""
    place = f"{_broken(finding.path[len(folder) :])}:{finding.line}"
    return (
        f"<details><summary><code>{_broken(finding.statement)}</code> "
        f"<small>{place}{where}, {finding.rule}</small></summary><ul>{''.join(rows)}</ul></details>"
    )


def _broken(text: str) -> str:
    """Return escaped text with optional line breaks after dots, slashes and underscores."""
    return re.sub(r"(?<=[./_])(?=\w)", "<wbr>", html(text))
