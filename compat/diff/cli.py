"""The command line of `compat diff`: arguments, output and exit code."""

from __future__ import annotations

from compat import errors
from compat._cli import console
from compat.errors import UsageError
from compat.sources.command_line import add_index_option

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

FORMATS = ("text", "json", "markdown", "html")


def main(argv: Sequence[str]) -> int:
    """Run `compat diff` and return its exit code: 1 if something breaks, else 0."""
    arguments = parser().parse_args(argv)
    with console.no_cycle_search():
        return _bisect(arguments) if arguments.bisect else _compare(arguments)


def _compare(arguments: argparse.Namespace) -> int:
    from compat.diff import output
    from compat.diff.report import compare
    from compat.diff.sides import open_sides

    if len(arguments.release) != 2:
        raise UsageError("name two releases or sources, such as: compat diff vllm==0.14.0 vllm==0.15.1")
    sides = open_sides(arguments.release, arguments.package, arguments.index)
    old, new = (sides.release_indexes * 2)[:2]
    report = compare(sides, old, new, arguments.used_by)
    text = output.render(report, arguments.format, added=arguments.added)
    print(text, end="\n" if text else "")
    return errors.FINDINGS if report.breaking else errors.CLEAN


def _bisect(arguments: argparse.Namespace) -> int:
    from compat.diff import output
    from compat.diff.commit_range import CommitRange
    from compat.diff.used_names import located, used_names
    from compat.model.symbols import location
    from compat.sources.stores.addresses import parse_address
    from compat.sources.stores.git_objects import Repository
    from compat.sources.stores.located import commits, package_in, source_path

    if len(arguments.release) != 1 or ".." not in arguments.release[0]:
        raise UsageError("--bisect: name one range of commits, such as git+file:./vllm@v0.14.0..main")
    if not arguments.used_by:
        raise UsageError("--bisect: pass --used-by PATH, the files that a commit must not break")
    (text,) = arguments.release
    address = parse_address(text)
    repository = Repository(source_path(address, text))
    package = arguments.package or package_in(text)
    found = CommitRange(repository, commits(repository, address.ref, text), package, text)
    first = found.index.published(package)
    uses = located(used_names(arguments.used_by, package), found.index, package, first)
    locations = sorted(location(*each) for each in uses)
    broken = found.first_break(locations)
    console.say(f"read {found.read} of {len(found.commits)} commits for {len(locations)} names")
    print(output.render_break(broken, found, uses, arguments.format))
    return errors.FINDINGS if broken is not None else errors.CLEAN


def parser() -> console.Parser:
    """Return the argument parser of `compat diff`."""
    parser = console.Parser(
        "compat diff",
        "List what moves, is renamed, removed or called otherwise from one release, commit or build of "
        "sglang or vllm to another, and what they require otherwise. Nothing is executed.",
    )
    parser.add_argument(
        "release",
        nargs="+",
        metavar="RELEASE",
        help="vllm==0.14.0, 0.14.0, latest, a checkout (./vllm), git+file:PATH@REF, a wheel file or "
        "env:PATH; with --bisect one range git+file:PATH@A..B",
    )
    parser.add_argument(
        "--package", choices=("sglang", "vllm"), help="the package, where the releases name none"
    )
    parser.add_argument(
        "--used-by", action="append", default=[], metavar="PATH", help="only what these files and folders use"
    )
    parser.add_argument(
        "--bisect",
        action="store_true",
        help="find the first commit that breaks what --used-by uses",
    )
    parser.add_argument("--added", action="store_true", help="also list what is new")
    add_index_option(parser)
    parser.add_argument("--format", choices=FORMATS, default="text")
    return parser
