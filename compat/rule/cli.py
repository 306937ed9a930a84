"""The command line of `compat rule`: arguments, and the pages as text or as a document."""

from collections.abc import Sequence

from compat import errors
from compat._cli import console
from compat._cli.text import aligned


def main(argv: Sequence[str]) -> int:
    """Run `compat rule` and return its exit code.

    Raises:
        UsageError: there is no page with this name.
    """
    arguments = parser().parse_args(argv)
    from compat.rule.pages import page, pages

    found = [page(name) for name in arguments.name] or pages()
    if arguments.format == "json":
        documents = [{"name": each.name, "title": each.title, "text": each.text} for each in found]
        print(console.document("rule", pages=documents))
    elif arguments.name:
        print("\n".join(each.text for each in found), end="")
    else:
        print("\n".join(aligned([(each.name, each.title) for each in found])))
    return errors.CLEAN


def parser() -> console.Parser:
    """Return the argument parser of `compat rule`."""
    parser = console.Parser(
        "compat rule",
        "Print what a rule of compat scan, or a cause of compat explain, means and what to do about it. "
        "Without a name, list all.",
    )
    parser.add_argument("name", nargs="*", metavar="NAME", help="a rule (CPT001) or a cause (symbol_moved)")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    return parser
