"""The command line of `compat init`: arguments, and writing what is proposed."""

import re
from collections.abc import Sequence
from pathlib import Path

from compat import errors
from compat._cli import console
from compat.errors import UsageError


def main(argv: Sequence[str]) -> int:
    """Run `compat init` and return its exit code.

    Raises:
        UsageError: the folder is in no project, or a pair does not exist.
    """
    arguments = parser().parse_args(argv)
    from compat._util.atomic_write import write_text
    from compat.init import output
    from compat.init.pairs_table import pair_request
    from compat.init.proposals import Change, InitOptions, propose
    from compat.init.repository import find_repository
    from compat.matrix.config import read_tests

    if not arguments.pair and arguments.tests is not None:
        raise UsageError("--tests: only valid with --pair")
    if arguments.source is not None and not re.fullmatch(r"[^\s\"'`$\\\x00-\x1f\x7f]+", arguments.source):
        raise UsageError("--from: an address without spaces, quotes, line ends and $ (it goes into a script)")
    repository = find_repository(Path(arguments.folder))
    options = InitOptions(
        pairs=tuple(pair_request(*pair) for pair in arguments.pair),
        tests=read_tests(arguments.tests or "pytest", "--tests"),
        watch=arguments.watch,
        source=arguments.source or "",
    )
    proposals = propose(repository, options)
    if arguments.write:
        changed = [each for each in proposals if each.change is not Change.KEEP]
        for each in changed:
            if not (repository.root / each.name).resolve().is_relative_to(repository.root.resolve()):
                raise UsageError(f"{each.name}: a link leads out of the repository; write it by hand")
        for each in changed:
            write_text(repository.root / each.name, each.after)
    if arguments.format == "json":
        print(output.as_json(repository, proposals, options, written=arguments.write))
    else:
        print(output.as_text(repository, proposals, options, written=arguments.write))
    return errors.CLEAN


def parser() -> console.Parser:
    """Return the argument parser of `compat init`."""
    parser = console.Parser(
        "compat init",
        "Show what would add this project's checks to your repository: [tool.compat], a pre-commit hook, a "
        "workflow that scans pull requests and, with --pair, one that runs your tests beside pairs of "
        "releases. With --write, write it. Nothing that is there is changed.",
    )
    parser.add_argument(
        "folder", nargs="?", default=".", metavar="FOLDER", help="the repository (default: this folder)"
    )
    parser.add_argument("--write", action="store_true", help="write the files")
    parser.add_argument(
        "--pair",
        nargs=2,
        action="append",
        default=[],
        metavar=("SGLANG", "VLLM"),
        help="a pair for the matrix: releases, `latest`, or `-` to leave a package out; may be repeated",
    )
    parser.add_argument(
        "--tests", metavar="COMMAND", help="with --pair: the command of pytest (default: pytest)"
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="also a workflow that reports each night what the newest commits of sglang and vllm break",
    )
    parser.add_argument(
        "--from",
        dest="source",
        metavar="URL",
        help="install compat from this URL, such as git+https://…, instead of the package index",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    return parser
