"""The command `compat export`: write the index as a configuration of ruff, or as a site."""

from __future__ import annotations

from pathlib import Path

from compat import errors
from compat._cli import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run `compat export` and return its exit code."""
    arguments = parser().parse_args(argv)
    return _site(arguments) if arguments.tool == "site" else _ruff(arguments)


def _ruff(arguments: argparse.Namespace) -> int:
    from compat.export.ruff import configuration

    print(configuration(sglang=arguments.sglang, vllm=arguments.vllm), end="")
    return errors.CLEAN


def _site(arguments: argparse.Namespace) -> int:
    from compat._cli.text import counted, size
    from compat.export.site.build import build_site

    built = build_site(arguments.output)
    print(f"{arguments.output / 'index.html'}: {counted(built.names, 'name')}, {size(built.bytes)}")
    return errors.CLEAN


def parser() -> console.Parser:
    """Return the argument parser of `compat export`."""
    parser = console.Parser("compat export", "Write the index for another tool, or as a site for people.")
    tools = parser.add_subparsers(dest="tool", required=True, metavar="FORM")
    ruff = tools.add_parser(
        "ruff",
        help="a configuration of ruff that bans what a release lacks",
        prog="compat export ruff",
        description="Print a configuration for ruff's rule TID251 that bans names which a release lacks.",
    )
    ruff.add_argument("--sglang", metavar="VERSION", help="the release of sglang that your project uses")
    ruff.add_argument("--vllm", metavar="VERSION", help="the release of vllm that your project uses")
    site = tools.add_parser(
        "site",
        help="a site to look names, tracebacks and pairs up in",
        prog="compat export site",
        description="Write a static site that shows the history of every name, what an import error means, "
        "and whether a pair goes together. Open its index.html from disk, or serve the folder.",
    )
    site.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="the folder; an earlier site is replaced"
    )
    return parser
