"""The pages about rules and causes, which are Markdown files in this package."""

from dataclasses import dataclass
from pathlib import Path

from compat.errors import UsageError

FOLDER = Path(__file__).with_name("pages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page."""

    name: str
    """A rule such as `CPT001`, or a cause such as `symbol_moved`."""
    title: str
    text: str
    """The whole page as Markdown."""


def page(name: str) -> Page:
    """Return the page with a name, in any case.

    Raises:
        UsageError: there is no such page.
    """
    known = {path.stem.casefold(): path for path in FOLDER.glob("*.md")}
    path = known.get(name.casefold())
    if path is None:
        import difflib

        near = difflib.get_close_matches(name.casefold(), known, n=1)
        hint = f"did you mean {known[near[0]].stem!r}?" if near else 'see "compat rule" for all'
        raise UsageError(f"{name!r} is neither a rule nor a cause; {hint}")
    text = path.read_text(encoding="utf-8")
    return Page(name=path.stem, title=text.partition(": ")[2].partition("\n")[0], text=text)


def pages() -> list[Page]:
    """Return all pages: the rules, then the causes."""
    return [page(path.stem) for path in sorted(FOLDER.glob("*.md"))]
