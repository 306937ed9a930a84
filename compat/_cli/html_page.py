"""Write self-contained HTML pages in one style, which load nothing from elsewhere."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from compat import __version__
from compat._cli.printable import html

STYLE = Path(__file__).with_name("style.css")
"""The style sheet of all pages."""


def report_page(title: str, facts: Mapping[str, str], body: Sequence[str], *, style: str = "") -> str:
    """Return the page of a report: a heading, a table of facts with today's date, and a body.

    Args:
        title: the heading, as text.
        facts: what the report is about, such as its releases; names and values are text.
        body: lines of HTML.
        style: what this page needs in addition to the style of all pages.
    """
    dated = {"date": datetime.now(timezone.utc).strftime("%Y-%m-%d"), **facts}
    listed = "".join(f"<dt>{html(name)}</dt><dd>{html(value)}</dd>" for name, value in dated.items() if value)
    return page(title, style, [f"<h1>{html(title)}</h1>", f'<dl class="facts">{listed}</dl>', *body])


def page(title: str, style: str, body: Sequence[str]) -> str:
    """Return a page with a title, the style of all pages and its own, and a body, given as lines of HTML."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html(title)}</title>",
            f"<style>{STYLE.read_text(encoding='utf-8')}{style}</style></head><body><main>",
            *body,
            f"</main><footer><p>Written by compat {html(__version__)}.</p></footer></body></html>",
        ]
    )


def legend(meanings: Mapping[str, tuple[str, str]]) -> str:
    """Return a legend: per mark, the class of its colour and its meaning, as text."""
    items = (
        f'<li><b class="{name}">{html(mark)}</b>{html(meaning)}</li>'
        for mark, (name, meaning) in meanings.items()
    )
    return f'<ul class="key">{"".join(items)}</ul>'


def notes(lines: Sequence[str], title: str = "Notes") -> list[str]:
    """Return a section with notes and warnings, given as text; nothing if there are none."""
    if not lines:
        return []
    items = "".join(f"<li>{html(line)}</li>" for line in lines)
    return [f'<section class="notes"><h2>{html(title)}</h2><ul>{items}</ul></section>']
