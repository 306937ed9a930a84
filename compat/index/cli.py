"""`compat index`: build the shipped index, and say what it holds."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from compat import errors
from compat._cli import console
from compat._cli.progress import on_terminal
from compat._cli.text import duration, size


def main(argv: Sequence[str]) -> int:
    """Run `compat index` and return its exit code."""
    parser = console.Parser("compat index", "Build the index of releases, or say what it holds.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    build = commands.add_parser(
        "build",
        help="read every release anew",
        prog="compat index build",
        description="Read every release of sglang, vllm and the kernel packages that has a wheel, through "
        "byte ranges, and write the index. What was fetched or read before is taken from the cache.",
    )
    build.add_argument("--output", type=Path, help="the file to write (default: the shipped index)")
    update = commands.add_parser(
        "update",
        help="add new releases",
        prog="compat index update",
        description="Add the releases that the index lacks; nothing else is fetched.",
    )
    update.add_argument("--output", type=Path, help="the file to write (default: the shipped index)")
    check = commands.add_parser(
        "check",
        help="read some releases anew and compare",
        prog="compat index check",
        description="Fetch some indexed releases anew, read them anew, and demand the very same rows. "
        "Exit 1 on any difference.",
    )
    check.add_argument(
        "--sample", type=int, default=5, metavar="N", help="how many releases (default: %(default)s)"
    )
    check.add_argument("--seed", type=int, help="draws the same releases again (default: a new one, printed)")
    check.add_argument("--format", choices=("text", "json"), default="text")
    info = commands.add_parser(
        "info", help="list the releases", prog="compat index info", description="List the indexed releases."
    )
    info.add_argument("--format", choices=("text", "json"), default="text")
    arguments = parser.parse_args(argv)
    run = {"build": _build, "update": _update, "check": _check, "info": _info}
    with console.no_cycle_search():  # it would take a fifth of a build
        return run[arguments.command](arguments)


def _build(arguments: argparse.Namespace) -> int:
    from compat.index.writer import SHIPPED

    try:
        from compat.index.build.build_index import build_index
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    target = arguments.output or SHIPPED
    begun = time.monotonic()
    with on_terminal("reading releases", None) as progress:
        report = build_index(target, progress)
    seconds = time.monotonic() - begun
    written = size(target.stat().st_size)
    console.say(f"{target.name}: {report.releases} releases, {report.files} files, {written}")
    console.say(f"took {duration(seconds)}")
    console.say(f"fetched {size(report.fetched)} of wheels of {size(report.wheels)}")
    return errors.CLEAN


def _update(arguments: argparse.Namespace) -> int:
    from compat.index.writer import SHIPPED

    try:
        from compat.index.build.update import update_index
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    with on_terminal("reading new releases", None) as progress:
        added, report = update_index(SHIPPED, arguments.output or SHIPPED, progress)
    print("\n".join(map(str, added)) if added else "nothing new")
    console.say(f"{len(added)} new releases; fetched {size(report.fetched)}")
    return errors.CLEAN


def _check(arguments: argparse.Namespace) -> int:
    import secrets

    from compat.index.reader import Index

    try:
        from compat.index.build.verify import check_releases, draw
        from compat.wheels.package_index import Registry
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    if arguments.sample < 1:
        raise errors.UsageError(f"--sample: {arguments.sample} releases are none; give 1 or more")
    seed = secrets.randbelow(10**6) if arguments.seed is None else arguments.seed
    index = Index()
    drawn = draw(index, arguments.sample, seed)
    console.say(f"seed {seed}: {', '.join(map(str, drawn))}")
    with Registry() as registry, on_terminal("checking releases", len(drawn)) as progress:
        differences = list(check_releases(index, drawn, registry, progress))
    if arguments.format == "json":
        told = [
            {"release": str(each.release), "where": each.where, "shipped": each.shipped, "read": each.read}
            for each in differences
        ]
        print(console.document("index check", seed=seed, releases=list(map(str, drawn)), differences=told))
    else:
        print("\n".join([*map(str, differences), f"{len(drawn)} releases, {len(differences)} differences"]))
    return errors.FINDINGS if differences else errors.CLEAN


def _missing(error: ModuleNotFoundError) -> errors.MissingToolError:
    return errors.MissingToolError(
        f"{error.name} is not installed; run `pip install 'sglang-vllm-compat[index]'`"
    )


def _info(arguments: argparse.Namespace) -> int:
    from compat.index.reader import Index
    from compat.index.writer import data_digest

    index = Index()
    if arguments.format == "json":
        packages = {package: index.versions(package) for package in index.packages}
        print(console.document("index info", digest=data_digest(), packages=packages))
        return errors.CLEAN
    for package in index.packages:
        versions = index.versions(package)
        print(f"{package:14} {len(versions):3} releases  {', '.join(versions)}")
    return errors.CLEAN
