"""`compat pairs`: rank partners of a release, find clashes and overrides of a pair, and write locks."""

from __future__ import annotations

import re

from compat import errors
from compat._cli import console
from compat.errors import UsageError
from compat.index.extended import open_index
from compat.index.reader import Index
from compat.model.package_names import SGLANG, VLLM
from compat.model.pythons import parse_python
from compat.partners import ranking_output
from compat.partners.ranking import rank, users_of
from compat.requirements.release_summary import PYTHON
from compat.sources.stores.addresses import is_source

TYPE_CHECKING = False
if TYPE_CHECKING:  # a ranking loads nothing of what it takes to resolve a pair
    import argparse
    from collections.abc import Sequence

    from packaging.utils import NormalizedName

    from compat.pairs.json_output import ProbeAttempt
    from compat.requirements.release_requirements import ReleaseRequirements
    from compat.sources.command_line import Texts

INSTALL_FORMATS = ("requirements", "pyproject", "conda")
"""Formats of `compat.pairs.install_formats`, for a resolved pair."""
SHOWN = 10
"""The number of partners in the text output without --all."""


def main(argv: Sequence[str]) -> int:
    """Run the command that `argv` requests, and return the exit code.

    Raises:
        UsageError: the arguments are not valid, or name a release that is not in the index.
    """
    if argv and argv[0] == "lock":
        from compat.pairs import lock_cli

        return lock_cli.main(argv[1:])
    options = parser().parse_args(argv)
    parse_python(options.python, "--python")
    _refuse_idle(options)
    if options.partner_of:
        if options.releases:
            raise UsageError('give --for or the two releases of a pair, not both (see "compat pairs --help")')
        return _for(options)
    if len(options.releases) != 2:
        raise UsageError('give two releases, sglang first, or one with --for (see "compat pairs --help")')
    return _pair(options)


def _refuse_idle(options: argparse.Namespace) -> None:
    """Refuse options that have no effect on the requested command.

    Raises:
        UsageError: the arguments contain such an option.
    """
    pair_only = {
        "--offline": options.offline,
        "--probe": options.probe,
        "--format toml": options.format == "toml",
        "--format overrides": options.format == "overrides",
        **{f"--format {name}": options.format == name for name in INSTALL_FORMATS},
    }
    for option, given in pair_only.items():
        if given and options.partner_of:
            raise UsageError(f"{option}: only valid for the two releases of a pair, not with --for")
        if given and options.offline and option != "--offline":
            raise UsageError(f"{option}: needs a resolution, which --offline excludes; give one of them")
    if options.all and not options.partner_of:
        raise UsageError("--all: only valid with --for")
    if options.probe:
        from compat._cli.platforms import require_linux

        require_linux("compat pairs --probe")
    if options.envs and not options.probe:
        raise UsageError("--envs: only valid with --probe")


def _for(options: argparse.Namespace) -> int:
    """Print the ranked partners of a release, or the releases that require another package."""
    package, version = _release(options.partner_of, "--for")
    index = Index()
    if package not in (SGLANG, VLLM):
        users = users_of(index, package, version, options.python)
        if options.format == "json":
            print(ranking_output.users_document(package, version, users, options.python))
        else:
            print(ranking_output.users(package, version, users))
        return errors.CLEAN if users else errors.FINDINGS
    if version == "latest":
        from compat.model.releases import newest

        version = index.versions(package)[newest(index.versions(package))]
    mine, partners = rank(index, package, version, options.python)
    if options.format == "json":
        print(ranking_output.ranking_document(mine, partners, options.python))
    else:
        print(ranking_output.ranking(mine, partners, None if options.all else SHOWN))
    return errors.CLEAN if any(not partner.problem for partner in partners) else errors.FINDINGS


def _pair(options: argparse.Namespace) -> int:
    """Print the clashes between two releases, and the overrides with which they install together."""
    from compat.pairs import json_output, text_output

    files, texts = _with_sources(options)
    index = open_index(files)
    sglang, vllm = (
        _needs(index, package, text, options.python)
        for package, text in zip((SGLANG, VLLM), texts, strict=True)
    )
    if options.offline or files:
        from compat.companions.reader import Companions
        from compat.partners.indirect_clashes import known_requirements, predicted_clashes

        clashes = predicted_clashes(sglang, vllm, known_requirements(Companions(), options.python))
        if options.format == "json":
            print(json_output.of_clashes(sglang, vllm, clashes, options.python))
        else:
            print(text_output.clashes(sglang, vllm, clashes, resolvable=not files))
        return errors.CLEAN if not clashes else errors.FINDINGS
    from compat._cli.progress import NoteLines
    from compat.pairs.solve import solve
    from compat.uv.client import find_uv

    console.say(f"resolving {sglang} + {vllm}, Python {options.python}")
    uv = str(find_uv())
    solution = solve(sglang, vllm, options.python, uv, NoteLines())
    record: list[ProbeAttempt] = []
    if options.probe and not solution.blocked:
        from compat.pairs.probe_overrides import probe

        solution, record = probe(solution, uv, options.envs, NoteLines())
    if options.format in INSTALL_FORMATS:
        from compat.pairs.install_formats import WRITERS

        print(WRITERS[options.format](solution))
    elif options.format == "json":
        print(json_output.of_solution(solution, record))
    elif options.format == "toml":
        print(text_output.as_toml(solution))
    elif options.format == "overrides":
        print(text_output.as_overrides(solution))
    else:
        print(text_output.solution(solution, record))
    failed = solution.blocked or (record and not record[-1].imported)
    return errors.FINDINGS if failed else errors.CLEAN


def _with_sources(options: argparse.Namespace) -> tuple[tuple[str, ...], Sequence[str]]:
    """Return the index files of the sources among the two releases, and the releases with their versions.

    Raises:
        UsageError: a source does not exist, or an option needs a resolution, which would build it.
    """
    texts: Sequence[str] = options.releases
    if not any(map(is_source, texts)):
        return (), texts
    from compat.sources.command_line import with_named_sources

    if options.probe or options.format not in ("text", "json"):
        asked = "--probe" if options.probe else f"--format {options.format}"
        raise UsageError(f"{asked}: needs a resolution, and that of a checkout or build would build it")
    named: Texts = {
        package: (f"{package}=={text}" if is_source(text) and "==" not in text else text,)
        for package, text in zip((SGLANG, VLLM), texts, strict=True)
    }
    files, found = with_named_sources(named, ())
    if not options.offline:
        console.say("a checkout or build is judged by its metadata: only a build could be resolved")
    return files, [each for package in (SGLANG, VLLM) for each in found[package]]


def _needs(index: Index, package: NormalizedName, text: str, python: str) -> ReleaseRequirements:
    name, version = _release(text, package) if "==" in text else (package, text)
    if name != package:
        raise UsageError(f"{text!r}: give sglang first, then vllm")
    from compat.model.releases import newest
    from compat.requirements.release_requirements import requirements_of

    versions = index.versions(package)
    position = newest(versions) if version == "latest" else index.release_index(package, version, package)
    return requirements_of(package, index.releases(package)[position], python)


def _release(text: str, where: str) -> tuple[str, str]:
    """Return package and version of a release such as `sglang==0.5.14`; the version may be `latest`."""
    name, equal, version = text.partition("==")
    if not equal or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name.strip()):
        raise UsageError(f"{where}: {text!r} is not a release (example: sglang==0.5.14)")
    if version != "latest" and not re.fullmatch(r"\d+(\.\d+)*", version):
        from compat.model.releases import parse_version  # the usual forms need no such care

        parse_version(version, where)
    if name in (SGLANG, VLLM):
        return name, version
    from packaging.utils import canonicalize_name

    return canonicalize_name(name.strip()), version


def parser() -> console.Parser:
    """Return the argument parser of `compat pairs`."""
    parser = console.Parser(
        "compat pairs",
        "Rank the releases of vllm that fit a release of sglang, or the reverse (--for), or find the clashes "
        'between two releases and the overrides with which they install together. "compat pairs lock ID…" '
        "writes the locks of the matrix.",
    )
    parser.add_argument(
        "releases", nargs="*", metavar="RELEASE",
        help="two versions: SGLANG VLLM; or a checkout (./vllm), git+file:PATH@REF, a wheel file or "
        "env:PATH, which is judged by its metadata",
    )  # fmt: skip
    parser.add_argument(
        "--for", dest="partner_of", metavar="PACKAGE==VERSION",
        help="rank the partners of a release of sglang or vllm, or list the releases that require a package "
        "such as sgl-kernel, sglang-kernel, flashinfer-python or torch",
    )  # fmt: skip
    parser.add_argument(
        "--python", default=PYTHON, metavar="X.Y", help="Python version (default: %(default)s)"
    )
    parser.add_argument("--all", action="store_true", help="with --for: list every partner, not the ten best")
    parser.add_argument("--offline", action="store_true", help="find direct clashes from the index alone")
    parser.add_argument(
        "--probe", action="store_true", help="install the pair, and choose overrides by imports"
    )
    parser.add_argument("--envs", metavar="DIR", help="folder for --probe (default: a temporary one)")
    formats = ("text", "json", "toml", "overrides", *INSTALL_FORMATS)
    parser.add_argument("--format", choices=formats, default="text")
    return parser
