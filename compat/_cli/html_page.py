"""Write self-contained HTML pages, which load nothing from elsewhere."""

from collections.abc import Sequence

from compat._cli.printable import html


def page(title: str, style: str, body: Sequence[str]) -> str:
    """Return a page with a title, a style sheet and a body, given as lines of HTML."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html(title)}</title><style>{style}</style></head><body><main>",
            *body,
            "</main></body></html>",
        ]
    )
