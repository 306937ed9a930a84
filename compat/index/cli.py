"""The command `compat index`: build, update, check and describe the index."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from compat import errors
from compat._cli import console
from compat._cli.progress import on_terminal
from compat._cli.text import counted, duration, size


def main(argv: Sequence[str]) -> int:
    """Run `compat index` and return its exit code."""
    arguments = parser().parse_args(argv)
    run = {
        "add": _add,
        "build": _build,
        "update": _update,
        "companions": _companions,
        "settings": _settings,
        "check": _check,
        "info": _info,
    }
    with console.no_cycle_search():  # it takes a fifth of a build
        return run[arguments.command](arguments)


def parser() -> console.Parser:
    """Return the argument parser of `compat index`."""
    parser = console.Parser("compat index", "Build, update, check or describe the index of releases.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    build = commands.add_parser(
        "build",
        help="build the index from all releases",
        prog="compat index build",
        description="Read every release of sglang, vllm and the kernel packages that has a wheel, with "
        "byte-range requests, and write the index. Sources and rows of earlier runs come from the cache.",
    )
    build.add_argument("--output", type=Path, help="the file to write (default: the shipped index)")
    update = commands.add_parser(
        "update",
        help="add new releases",
        prog="compat index update",
        description="Add the releases that the index lacks, and fetch nothing else.",
    )
    update.add_argument("--output", type=Path, help="the file to write (default: the shipped index)")
    check = commands.add_parser(
        "check",
        help="compare the index with the wheels of some releases",
        prog="compat index check",
        description="Fetch and read some indexed releases again, and compare their rows with the index. "
        "Exit with 1 if there are differences.",
    )
    check.add_argument(
        "--sample", type=int, default=5, metavar="N", help="the number of releases (default: %(default)s)"
    )
    check.add_argument("--seed", type=int, help="the seed of the sample (default: random; printed)")
    check.add_argument(
        "--verify",
        action="store_true",
        help="download the wheels whole and check their sha256; without it, only parts are downloaded, and "
        "each file is checked against the RECORD in the wheel",
    )
    check.add_argument("--format", choices=("text", "json"), default="text")
    companions = commands.add_parser(
        "companions",
        help="read the packages that sglang and vllm import",
        prog="compat index companions",
        description="Collect what the indexed releases of sglang and vllm import from other packages, read "
        "those releases that metadata admits with byte-range requests, and write the file for compat check.",
    )
    companions.add_argument("--output", type=Path, help="the file to write (default: the shipped one)")
    add = commands.add_parser(
        "add",
        help="write an index file of a build or commit of your own",
        prog="compat index add",
        description="Read a checkout, a commit, a wheel or an environment, and write its rows to a file of "
        "your own. Commands read it with --index FILE beside the shipped index, and --vllm NAME or "
        "--sglang NAME selects it.",
    )
    add.add_argument("source", metavar="SOURCE", help="./vllm, git+file:PATH@REF, a wheel file or env:PATH")
    add.add_argument("--as", dest="name", required=True, metavar="NAME", help="the name that selects it")
    add.add_argument("--package", choices=("sglang", "vllm"), help="the package (default: what is found)")
    add.add_argument("--output", type=Path, metavar="FILE", help="the file to write (default: NAME.sqlite)")
    settings = commands.add_parser(
        "settings",
        help="list the environment variables and options of each release",
        prog="compat index settings",
        description="Read from the indexed releases of sglang and vllm which environment variables they read "
        "and which command-line options they have, and write the file for compat scan.",
    )
    settings.add_argument("--output", type=Path, help="the file to write (default: the shipped one)")
    info = commands.add_parser(
        "info",
        help="list the releases, or describe a checkout or build",
        prog="compat index info",
        description="List the indexed releases, or describe checkouts, commits, wheels and environments "
        "are: their commit, the release that each is nearest to, and what it adds.",
    )
    info.add_argument(
        "source", nargs="*", metavar="SOURCE", help="./vllm, git+file:PATH@REF, a wheel file or env:PATH"
    )
    info.add_argument("--format", choices=("text", "json"), default="text")
    return parser


def _add(arguments: argparse.Namespace) -> int:
    from compat.sources.opening import write_own_file

    target = arguments.output or Path(f"{arguments.name}.sqlite")
    package, told = write_own_file(arguments.source, arguments.name, target, arguments.package)
    console.say(f"{package} {arguments.name}: {told}")
    print(f"{target}: use it with --index {target} --{package} {arguments.name}")
    return errors.CLEAN


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
    read = f"{counted(report.releases, 'release')}, {counted(report.files, 'file')}"
    console.say(f"{target.name}: {read}, {size(target.stat().st_size)}")
    console.say(f"the build took {duration(seconds)}")
    console.say(f"downloaded {size(report.fetched)} of {size(report.wheels)} of wheels")
    return errors.CLEAN


def _update(arguments: argparse.Namespace) -> int:
    from compat.index.writer import SHIPPED

    try:
        from compat.index.build.update import update_index
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    with on_terminal("reading new releases", None) as progress:
        added, report = update_index(SHIPPED, arguments.output or SHIPPED, progress)
    print("\n".join(map(str, added)) if added else "no new releases")
    console.say(f"{counted(len(added), 'new release')}; downloaded {size(report.fetched)}")
    return errors.CLEAN


def _companions(arguments: argparse.Namespace) -> int:
    from compat.companions.format import SHIPPED
    from compat.index.reader import Index

    try:
        from compat.companions.build import build_companions
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    target = arguments.output or Path(SHIPPED)
    begun = time.monotonic()
    with on_terminal("reading releases", None) as progress:
        report = build_companions(target, Index(), progress)
    read = f"{counted(report.distributions, 'distribution')}, {counted(report.releases, 'release')}"
    console.say(f"{target.name}: {read}, {counted(report.targets, 'name')}, {size(target.stat().st_size)}")
    console.say(f"the build took {duration(time.monotonic() - begun)}; downloaded {size(report.fetched)}")
    return errors.CLEAN


def _settings(arguments: argparse.Namespace) -> int:
    from compat.index.reader import Index
    from compat.settings.releases import SHIPPED, read_packages

    try:
        from compat.index.build.settings import build_settings
        from compat.wheels.package_index import Registry
        from compat.wheels.source_cache import SourceCache
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    target, index = arguments.output or Path(SHIPPED), Index()
    versions = {package: index.versions(package) for package in index.packages}
    with Registry() as registry, on_terminal("reading releases", None) as progress:
        build_settings(target, versions, registry, SourceCache(), progress)
    count = sum(len(each.found) for each in read_packages(target))
    console.say(f"{target.name}: {counted(count, 'setting')}, {size(target.stat().st_size)}")
    return errors.CLEAN


def _check(arguments: argparse.Namespace) -> int:
    import secrets

    from compat.index.reader import Index

    try:
        from compat.companions.reader import Companions
        from compat.companions.verify import check_companions, draw_companions
        from compat.index.build.verify import check_releases, draw
        from compat.settings.releases import read_packages
        from compat.wheels.package_index import Registry
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    if arguments.sample < 1:
        raise errors.UsageError(f"--sample: {arguments.sample} is less than 1; pass a number of at least 1")
    seed = secrets.randbelow(10**6) if arguments.seed is None else arguments.seed
    index = Index()
    drawn = draw(index, arguments.sample, seed)
    console.say(f"seed {seed}: {', '.join(map(str, drawn))}")
    companions = Companions()
    beside = draw_companions(companions, arguments.sample, seed)
    console.say(", ".join(f"{name} {companions.versions(name)[at]}" for name, at in beside))
    with Registry() as registry, on_terminal("checking releases", len(drawn) + len(beside)) as progress:
        differences = list(
            check_releases(index, drawn, registry, progress, settings=read_packages(), whole=arguments.verify)
        )
        others = list(check_companions(companions, beside, registry, progress))
    if arguments.format == "json":
        found = [
            {"release": str(each.release), "where": each.where, "shipped": each.shipped, "read": each.read}
            for each in differences
        ]
        found += [
            {"release": each.release, "where": each.target, "shipped": each.shipped, "read": each.read}
            for each in others
        ]
        print(console.document("index check", seed=seed, releases=list(map(str, drawn)), differences=found))
    else:
        count = counted(len(differences) + len(others), "difference")
        summary = f"{counted(len(drawn) + len(beside), 'release')}, {count}"
        print("\n".join([*map(str, differences), *map(str, others), summary]))
    return errors.FINDINGS if differences or others else errors.CLEAN


def _missing(error: ModuleNotFoundError) -> errors.MissingToolError:
    return errors.MissingToolError(
        f"{error.name} is not installed; run \"pip install 'sglang-vllm-compat[index]'\""
    )


def _info(arguments: argparse.Namespace) -> int:
    from compat.index.reader import Index
    from compat.index.writer import data_digest

    if arguments.source:
        from compat.sources.describe import describe

        return describe(arguments.source, arguments.format)
    index = Index()
    if arguments.format == "json":
        packages = {package: index.versions(package) for package in index.packages}
        print(console.document("index info", digest=data_digest(), packages=packages))
        return errors.CLEAN
    for package in index.packages:
        versions = index.versions(package)
        print(f"{package:14} {len(versions):3} releases  {', '.join(versions)}")
    return errors.CLEAN
