"""One page for people: imports in rows, releases in columns, light and dark, on a desk or a phone."""

from collections.abc import Iterator, Sequence
from html import escape

from compat.scan.findings import Finding
from compat.scan.formats.text_ import CAUSES
from compat.scan.options import Options
from compat.scan.report import Releases, Report

_STYLE = """
:root { color-scheme: light dark; --fg: #1c2024; --bg: #fff; --soft: #60646c; --line: #e0e3e8;
  --ok: #2f9e5b; --bad: #c62a2f; --warn: #ad5700; --band: #f6f7f9 }
@media (prefers-color-scheme: dark) { :root { --fg: #edeef0; --bg: #111315; --soft: #a6abb3; --line: #33373d;
  --ok: #4cc38a; --bad: #ff8589; --warn: #ffb454; --band: #1a1d20 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; color: var(--fg); background: var(--bg);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: .5rem 0 } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
p, li { color: var(--soft) } code { font: .875rem ui-monospace, monospace; overflow-wrap: anywhere }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem }
table { border-collapse: collapse; font-size: .875rem; width: 100% }
th, td { padding: .4rem .55rem; border-bottom: 1px solid var(--line); text-align: center }
thead th { position: sticky; top: 0; background: var(--band); font-weight: 600; white-space: nowrap }
tbody th { position: sticky; left: 0; background: var(--bg); text-align: left; font-weight: 400;
  min-width: 14rem; max-width: 30rem; overflow-wrap: anywhere }
.ok { color: var(--ok) } .bad { color: var(--bad); font-weight: 700 } .warn { color: var(--warn) }
small { color: var(--soft); display: block }
details { border-bottom: 1px solid var(--line); padding: .5rem 0 } summary { cursor: pointer }
@media (max-width: 40rem) { body { padding: .75rem } tbody th { min-width: 9rem; max-width: 11rem }
  th, td { padding: .35rem .4rem } }
"""
_MARKS = {"error": ("bad", "breaks", "\N{MULTIPLICATION SIGN}"), "warning": ("warn", "depends", "~")}


def render(report: Report, _options: Options) -> str:
    """Return the report as one HTML page that loads nothing."""
    told = [finding for finding in report.findings if finding.level != "note"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>compat scan: {len(told)} findings</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{len(told)} finding{'' if len(told) == 1 else 's'}</h1>",
        f"<p>{report.files} files looked at, {report.parsed} name one of the packages.</p>",
    ]
    for span in report.spans:
        mine = [finding for finding in told if finding.package == span.package]
        if mine:
            parts += _table(span, mine)
    if told:
        parts += ["<h2>What to write</h2>", *map(_details, told)]
    if report.skipped:
        rows = [f"<li><code>{_text(each.path)}</code>: {_text(each.reason)}</li>" for each in report.skipped]
        parts += ["<h2>Not read</h2><ul>", *rows, "</ul>"]
    return "\n".join([*parts, "</main></body></html>"])


def _table(span: Releases, findings: Sequence[Finding]) -> Iterator[str]:
    heads = "".join(f'<th scope="col">{_text(version)}</th>' for version in span.versions)
    yield f"<h2>{_text(span.package)}</h2>"
    label = f"{_text(span.package)} by release"
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
    yield f'<thead><tr><th scope="col">import</th>{heads}</tr></thead><tbody>'
    grouped: dict[str, list[Finding]] = {}
    for finding in findings:
        grouped.setdefault(finding.statement, []).append(finding)
    for statement, group in sorted(grouped.items()):
        places = ", ".join(f"{each.path}:{each.line}" for each in group[:3])
        more = f" and {len(group) - 3} more" if len(group) > 3 else ""
        cells = "".join(_cell(span.versions, at, group) for at in range(len(span.versions)))
        yield (
            f'<tr><th scope="row"><code>{_text(statement)}</code>'
            f"<small>{_text(places)}{more}</small></th>{cells}</tr>"
        )
    yield "</tbody></table></div>"


def _cell(versions: Sequence[str], at: int, group: Sequence[Finding]) -> str:
    for finding in group:
        for first, last in finding.broken_in:
            if versions.index(first) <= at <= versions.index(last):
                name, word, mark = _MARKS[finding.level]
                return f'<td class="{name}"><span role="img" aria-label="{word}">{mark}</span></td>'
    return '<td class="ok"><span role="img" aria-label="works">\N{MIDDLE DOT}</span></td>'


def _details(finding: Finding) -> str:
    rows = []
    for run in finding.runs:
        new = run.replacement
        what = (
            f"<code>{_text(new.statement)}</code><small>{_text(new.evidence)}</small>"
            if new
            else _text(run.reason)
        )
        rows.append(f"<li>{_text(run.text)} {_text(CAUSES.get(run.cause, run.cause))}: {what}</li>")
    where = f" in <code>{_text(finding.function)}</code>" if finding.function else ""
    return (
        f"<details><summary><code>{_text(finding.statement)}</code> "
        f"<small>{_text(finding.path)}:{finding.line}{where}</small></summary><ul>{''.join(rows)}</ul></details>"
    )


def _text(text: str) -> str:
    return escape(text.encode("utf-8", "replace").decode())
