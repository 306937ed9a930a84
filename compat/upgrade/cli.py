"""The command line of `compat upgrade`: arguments, the scans, and `--fix`."""

from __future__ import annotations

from compat import errors
from compat._cli import console
from compat.errors import NothingSelectedError
from compat.sources.command_line import add_index_option, with_named_sources
from compat.sources.opening import DEMANDS, SETTINGS
from compat.sources.stores.addresses import is_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compat.index.reader import Index
    from compat.scan.options import ScanOptions
    from compat.upgrade.assess import Start
    from compat.upgrade.output import UpgradeReport
    from compat.upgrade.pair import Proposal

FORMATS = ("text", "json", "html")


def main(argv: Sequence[str]) -> int:
    """Run `compat upgrade` and return its exit code: 0 if nothing is in the way of the target, else 1.

    Raises:
        NothingSelectedError: no file uses one of the packages.
        UsageError: a path or a release does not exist, or the target is older than today's release.
    """
    arguments = parser().parse_args(argv)
    from compat.scan import options as scan_options
    from compat.scan.sources.discovery import require_paths
    from compat.upgrade import output

    words = [*arguments.path, *(word for each in arguments.exclude for word in ("--exclude", each))]
    options = scan_options.parse(words)._replace(fits=False)
    require_paths(options.paths)
    with console.no_cycle_search():
        named = {"--from": tuple(arguments.old), "--to": tuple(arguments.new)}
        files, found = with_named_sources(named, arguments.index, further=(DEMANDS, SETTINGS))
        options = options._replace(indexes=files, old=found["--from"], new=found["--to"])
        report = judge(options, _addresses(named, found))
    if arguments.format == "json":
        print(output.as_json(report))
    elif arguments.format == "html":
        from compat.upgrade.page import as_html

        print(as_html(report))
    else:
        print(output.as_text(report))
    if arguments.fix:
        best = report.after_safe_fixes or report.as_is
        code = _fix(options, best.versions)
        arrived = all(best.versions[each.package] == each.target for each in report.upgrades)
        return code or (errors.CLEAN if arrived else errors.FINDINGS)
    return errors.CLEAN if report.arrived else errors.FINDINGS


def _addresses(named: Mapping[str, Sequence[str]], found: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the sources among the values of options, by what took their place: `package==version`."""
    return {
        new: old.partition("==")[2] if old.startswith(("vllm==", "sglang==")) else old
        for option, texts in named.items()
        for old, new in zip(texts, found[option], strict=True)
        if old != new and is_source(old)
    }


def judge(options: ScanOptions, addresses: Mapping[str, str] | None = None) -> UpgradeReport:
    """Return how far a tree can go.

    Args:
        options: the paths and the configuration; `old` and `new` are those of `--from` and `--to`.
        addresses: the sources among these, by `package==version`.
    """
    from pathlib import Path

    from compat.index.extended import open_index
    from compat.scan.cli import scan
    from compat.scan.releases.project_pins import project_root
    from compat.scan.sources.discovery import normalized
    from compat.upgrade.assess import assess, steps_between
    from compat.upgrade.output import UpgradeReport
    from compat.upgrade.pair import propose
    from compat.upgrade.pins import pin_changes

    index = open_index(options.indexes)
    plain = options._replace(old=(), new=(), baseline=None)
    starts, targets = _ends(options, plain, index)
    steps = {each.package: steps_between(index, each, targets[each.package]) for each in starts}
    found = scan(
        plain._replace(
            sglang=tuple(steps.get("sglang", ("latest",))), vllm=tuple(steps.get("vllm", ("latest",)))
        )
    )
    upgrades = tuple(assess(index, start, steps[start.package], found.findings) for start in starts)
    root = Path(project_root(options.paths[0]) or options.paths[0])
    as_is = propose(index, upgrades, root, fixed=False, addresses=addresses)
    fixed = propose(index, upgrades, root, fixed=True, addresses=addresses)
    further = fixed if fixed.versions != as_is.versions else None
    return UpgradeReport(
        upgrades=upgrades,
        as_is=as_is,
        after_safe_fixes=further,
        pins=tuple(pin_changes(str(root), _pinnable(further or as_is))),
        folder=f"{normalized(options.paths[0]).rstrip('/')}/" if len(options.paths) == 1 else "",
    )


def _pinnable(proposal: Proposal) -> dict[str, str]:
    """Return the releases of a proposal; no pin can name a checkout or a build."""
    return {name: each for name, each in proposal.versions.items() if name not in proposal.addresses}


def _ends(options: ScanOptions, plain: ScanOptions, index: Index) -> tuple[list[Start], Mapping[str, str]]:
    """Return, per package, the release to start from, and the one to reach."""
    from compat.scan.cli import scan
    from compat.scan.comparison import named_releases
    from compat.scan.fits import used_packages, with_every_release
    from compat.scan.releases.selection import newest_releases
    from compat.scan.runner import select_releases
    from compat.scan.settings.kinds import texts_worth_reading
    from compat.scan.sources.discovery import Files, Walk
    from compat.upgrade.assess import Start, starting_release

    store = Files()
    walk = Walk(options.exclude)
    files = [each for each in walk.files(options.paths) if store.may_name_package(each)]
    texts = texts_worth_reading(walk.texts, store.read)
    used = used_packages(files, store)
    pinned = {
        each.package: each for each in select_releases(plain, index, files, store, texts) if each.pinned
    }
    packages: list[str] = [each for each in ("sglang", "vllm") if each in used or each in pinned]
    if not packages:
        unread = "; ".join(f"{each.path}: {each.reason}" for each in walk.skipped)
        raise NothingSelectedError(unread or f"{' '.join(options.paths)}: no file uses sglang or vllm")
    old = named_releases(index, options.old, "--from", packages)
    new = named_releases(index, options.new, "--to", packages, old)
    every = scan(with_every_release(plain, packages))
    starts = []
    for package in packages:
        if package in old:
            starts.append(Start(package, old[package], "--from"))
            continue
        pin = pinned.get(package)
        starts.append(
            starting_release(
                index, package, every.findings, pin.versions if pin else (), pin.source if pin else ""
            )
        )
    targets: dict[str, str] = {
        each: new.get(each) or newest_releases(index, each).versions[-1] for each in packages
    }
    return starts, targets


def _fix(options: ScanOptions, versions: Mapping[str, str]) -> int:
    """Write the safe fixes for some releases; return the exit code of `compat scan --fix`."""
    from compat.scan.cli import scan
    from compat.scan.fix.cli import run

    wanted = options._replace(
        old=(),
        new=(),
        sglang=(versions.get("sglang", "latest"),),
        vllm=(versions.get("vllm", "latest"),),
        fix=True,
    )
    report = scan(wanted)
    mine = tuple(each for each in report.findings if each.package in versions)
    return run(report._replace(findings=mine), wanted)


def parser() -> console.Parser:
    """Return the argument parser of `compat upgrade`."""
    parser = console.Parser(
        "compat upgrade",
        "Find how far a source tree can go with sglang and vllm: the newest releases with which it works "
        "as it is and after safe fixes, what blocks each later one and how much work that is, what else "
        "breaks beside them, and the commands that install them.",
    )
    parser.add_argument(
        "path", nargs="*", default=["."], metavar="PATH", help="file or folder (default: this folder)"
    )
    parser.add_argument(
        "--from",
        dest="old",
        action="append",
        default=[],
        metavar="RELEASE",
        help="the release in use, such as 0.18.1 or vllm==0.18.1, or a checkout (./vllm), git+file:PATH@REF, "
        "a wheel file or env:PATH (default: the newest of those that the project pins with the fewest "
        "findings); once for each package",
    )
    parser.add_argument(
        "--to",
        dest="new",
        action="append",
        default=[],
        metavar="RELEASE",
        help="the release, commit or build to reach, in the same forms (default: latest)",
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="NAME", help="folder or file to skip"
    )
    parser.add_argument(
        "--fix",
        action="store_true",
        help="write the safe fixes for the newest releases that they lead to (needs the extra `fix`); pins "
        "are shown and not changed",
    )
    add_index_option(parser)
    parser.add_argument("--format", choices=FORMATS, default="text")
    return parser
