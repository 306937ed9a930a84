"""HTML pages that load nothing."""

from collections.abc import Sequence

from compat._cli.printable import html


def page(title: str, style: str, body: Sequence[str]) -> str:
    """Return a page with a title, a style sheet and the lines of its body, which are HTML already."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html(title)}</title><style>{style}</style></head><body><main>",
            *body,
            "</main></body></html>",
        ]
    )
