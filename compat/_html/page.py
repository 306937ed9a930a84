"""Write self-contained HTML pages in one style, which load nothing from elsewhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from compat import __version__
from compat._cli.printable import html

STYLE = Path(__file__).with_name("style.css")
"""The style sheet of all pages."""


def page(title: str, facts: Mapping[str, str], body: Sequence[str], *, style: str = "") -> str:
    """Return a page with a heading, a table of facts about the report, a body and a footer.

    Args:
        title: the heading, as text.
        facts: what the report is about, such as its date and releases; values are text.
        body: lines of HTML.
        style: what this page needs in addition to `STYLE`.
    """
    listed = "".join(f"<dt>{html(name)}</dt><dd>{html(value)}</dd>" for name, value in facts.items() if value)
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html(title)}</title><style>{STYLE.read_text(encoding='utf-8')}{style}</style></head><body>",
            f'<main><h1>{html(title)}</h1><dl class="facts">{listed}</dl>',
            *body,
            f"</main><footer><p>Written by compat {html(__version__)}.</p></footer></body></html>",
        ]
    )
