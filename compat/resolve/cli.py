"""The command `compat resolve`: show where each release defines a name."""

from __future__ import annotations

import argparse
from itertools import groupby

from compat import errors
from compat._cli import console
from compat.errors import UsageError
from compat.index.extended import open_index
from compat.index.format import SHIPPED
from compat.index.query.single_release import ask_each
from compat.model.package_names import IMPORT_NAMES, SGLANG, VLLM
from compat.resolve import output
from compat.resolve.output import Result
from compat.resolve.query import parse_query
from compat.resolve.release_selection import MATRIX, Request, subjects
from compat.resolve.search import find
from compat.sources.command_line import add_index_option, with_sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import Any

    from compat.index.query.name_resolution import NameResolver
    from compat.index.reader import Index
    from compat.resolve.query import Query
    from compat.resolve.release_selection import Subject
    from compat.resolve.search import Found
    from compat.sources.command_line import Texts

VERSION_HELP = (
    "an exact version, a specifier such as '>=0.20,<0.24', a range such as 0.20.0..0.23.0, `latest` or "
    "`all`; or a checkout (./vllm), git+file:PATH@REF, a wheel file or env:PATH; may be repeated"
)


def main(argv: Sequence[str], path: str | os.PathLike[str] = SHIPPED) -> int:
    """Run `compat resolve` with an index file and return its exit code."""
    arguments = parser().parse_args(argv)
    queries = [query for text in arguments.query for query in parse_query(text)]
    wanted: Texts = {SGLANG: tuple(arguments.sglang), VLLM: tuple(arguments.vllm)}
    files, wanted = with_sources(wanted, arguments.index, path)
    index = open_index(files, path)
    request = Request(
        sglang=wanted[SGLANG],
        vllm=wanted[VLLM],
        pairs=tuple(arguments.pair),
        everything=arguments.all,
        without=frozenset(_import_name(text) for text in arguments.without),
        cuda=arguments.cuda,
        matrix=arguments.matrix,
    )
    selected, note = subjects(request, index)
    if note:
        console.say(note)
    results = [
        result for query in queries for result in answer(query, selected, index, signed=arguments.signature)
    ]
    _note_where(results, index, path)
    if arguments.format == "json":
        print(output.as_json(results, _histories(results) if arguments.all else {}))
    else:
        text = output.as_imports(results) if arguments.format == "import" else output.as_text(results)
        print(text, end="\n" if text else "")
    return errors.FINDINGS if any(result.failed for result in results) else errors.CLEAN


def answer(query: Query, selected: Sequence[Subject], index: Index, *, signed: bool = False) -> list[Result]:
    """Return the answers to one query for all releases to which it applies.

    A path applies to its package. A bare name applies to every release that the user selected, and by default
    to the releases of packages that bind the name in any release.

    Raises:
        UsageError: the package of the path is not indexed.
        NothingSelectedError: no release of the package is selected.
    """
    if query.top is None:
        known = [
            each for each in selected if each.selected or each.reader.binds_ever(query.name, each.package)
        ]
        concerned = known or list(selected)
    else:
        owners = index.owners.get(query.top)
        if owners is None:
            raise UsageError(
                f"{query.text!r}: {query.top} is not indexed; "
                f"a path starts with one of {', '.join(index.owners)}"
            )
        concerned = [subject for subject in selected if subject.package in owners]
        if not concerned:
            raise errors.NothingSelectedError(
                f"{query.text!r}: no release of {' or '.join(owners)} is selected; select one or pass --all"
            )
    answers = zip(concerned, _found(query, concerned), strict=True)
    results = []
    for _, same in groupby(answers, key=lambda answer: (id(answer[1]), answer[0].pair)):
        subjects, found = zip(*same, strict=True)
        results.append(Result(query, subjects, found[0], signed))
    return results


def _note_where(results: Sequence[Result], index: Index, path: str | os.PathLike[str]) -> None:
    """Print for each name that no asked release has the releases that have it, or similar names."""
    for query, group in groupby(results, key=lambda result: result.query):
        if any(each.found.status != "missing" or each.found.successor is not None for each in group):
            continue
        elsewhere = _elsewhere(query, index)
        if elsewhere:
            console.say(f"{query.text.strip()}: {elsewhere} have it; --all shows where")
            continue
        from compat.resolve.suggestions import hint

        name = query.name.rpartition(".")[2]
        meant = hint(name, path) if name else ""
        if meant:
            console.say(f"no release has the name {name}; {meant}")


def _elsewhere(query: Query, index: Index) -> str:
    """Return the indexed releases in which a query resolves, as ranges by package; may be empty."""
    from compat.model.release_ranges import range_text, ranges_of  # its import takes longer than most queries

    everything, _ = subjects(Request(everything=True), index)
    having: dict[str, list[int]] = {}
    for result in answer(query, everything, index):
        if not result.failed:
            positions = having.setdefault(result.package, [])
            positions += [subject.environment.release_indexes[result.package] for subject in result.subjects]
    texts = []
    for package, positions in having.items():
        versions = index.versions(package)
        ranges = [range_text((versions[first], versions[last])) for first, last in ranges_of(positions)]
        texts.append(f"{package} {', '.join(ranges)}")
    return "; ".join(texts)


def _found(query: Query, subjects: Sequence[Subject]) -> list[Found]:
    """Return the result for each release; equal results of consecutive releases are the same object."""
    found: dict[int, Found] = {}
    for package in dict.fromkeys(subject.package for subject in subjects):
        mine = [at for at, subject in enumerate(subjects) if subject.package == package]
        environments = [subjects[at].environment for at in mine]

        def ask(resolver: NameResolver, package: str = package) -> Found:
            return find(resolver, package, query)

        for slots, each in ask_each(subjects[mine[0]].reader, package, environments, ask):
            found.update((mine[slot], each) for slot in slots)
    return [found[at] for at in range(len(subjects))]


def _histories(results: Sequence[Result]) -> dict[tuple[Query, str], list[dict[str, Any]]]:
    grouped: dict[tuple[Query, str], list[Result]] = {}
    for result in results:
        grouped.setdefault((result.query, result.package), []).append(result)
    return {key: output.history(group) for key, group in grouped.items()}


def _import_name(text: str) -> str:
    """Return the import name of a package, given its import name or its distribution name."""
    from packaging.utils import canonicalize_name  # its import takes longer than most queries

    name = canonicalize_name(text)
    plain = text if text.isidentifier() and not name.endswith("-python") else name.removesuffix("-python")
    return IMPORT_NAMES.get(name, plain.replace("-", "_"))


def parser() -> console.Parser:
    """Return the argument parser of `compat resolve`."""
    parser = console.Parser(
        "compat resolve",
        "Show where releases of sglang and vllm define a symbol. Without a version: the installed releases, "
        "else the pairs of matrix.toml, else the latest releases.",
    )
    parser.add_argument(
        "query",
        nargs="+",
        metavar="QUERY",
        help="a name (Fp8LinearMethod), a path (vllm.x.Name), module:Name, or a quoted import statement",
    )
    parser.add_argument("--sglang", action="append", default=[], metavar="VERSION", help=VERSION_HELP)
    parser.add_argument("--vllm", action="append", default=[], metavar="VERSION", help="the same for vllm")
    parser.add_argument(
        "--pair", action="append", default=[], metavar="ID", help="a pair of matrix.toml; may be repeated"
    )
    add_index_option(parser)
    parser.add_argument("--all", action="store_true", help="search all indexed releases")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="treat this package as not installed; may be repeated",
    )
    parser.add_argument(
        "--cuda",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="assume that the machine has, or lacks, a CUDA device (default: unknown)",
    )
    parser.add_argument("--signature", action="store_true", help="also show the signature")
    parser.add_argument("--format", choices=("text", "json", "import"), default="text")
    parser.add_argument("--matrix", help=f"the file with the pairs (default: {MATRIX})")
    return parser
