"""Select the releases for a query, each with its environment."""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple
from compat.errors import NothingSelectedError, UsageError
from compat.index.query.answers import Facts
from compat.index.query.printed_ranges import MARK, releases_between
from compat.index.query.single_release import alone, companions
from compat.model.package_names import IMPORT_NAMES, KERNELS, SGLANG, VLLM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from compat.index.reader import Index

MATRIX = "matrix.toml"


class Request(NamedTuple):
    """The releases and environment facts from the command line."""

    sglang: tuple[str, ...] = ()
    vllm: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    everything: bool = False
    """Whether all indexed releases are selected."""
    without: frozenset[str] = frozenset()
    """The import names that count as not installed."""
    cuda: bool | None = None
    matrix: str | None = None
    """The file with the pairs; by default `matrix.toml` of the current folder if it exists."""


class Subject(NamedTuple):
    """A selected release with its environment."""

    package: str
    version: str
    reader: Index
    """The index that contains the release."""
    environment: Facts
    selected: bool
    """Whether the user selected it; else it is a default."""
    pair: str | None = None
    source: str = "index"
    """The source of its rows: the `index`, the `installed` files, or what a checkout or build is called."""


def subjects(request: Request, index: Index) -> tuple[tuple[Subject, ...], str | None]:
    """Return the selected releases, oldest first, and a note if the selection needs an explanation.

    Raises:
        UsageError: a version, specifier or pair does not exist, or contradicts `without`.
        NothingSelectedError: a specifier matches no indexed release, or `without` excludes all releases.
    """
    found, note = _subjects(request, index)
    if not found:
        listed = " ".join(f"--without {name}" for name in sorted(request.without))
        raise NothingSelectedError(f"{listed} excludes all releases; remove one of these options")
    return found, note


def _subjects(request: Request, index: Index) -> tuple[tuple[Subject, ...], str | None]:
    if request.pairs:
        others = {**_versions(request), "--all": request.everything}
        return _of_pairs(request, index, request.pairs, selected=True), _ignored_options("--pair", others)
    if request.everything:
        note = _ignored_options("--all", _versions(request))
        request = Request(sglang=("all",), vllm=("all",), without=request.without, cuda=request.cuda)
        return _of_versions(request, index, selected=False, kernels=True), note
    if request.sglang or request.vllm:
        _contradiction(request)
        return _of_versions(request, index, selected=True), None
    return _by_default(request, index)


def _versions(request: Request) -> dict[str, tuple[str, ...]]:
    return {"--sglang": request.sglang, "--vllm": request.vllm}


def _ignored_options(option: str, others: Mapping[str, object]) -> str | None:
    """Return the note about ignored options if `option` selects the releases, else None."""
    ignored = [name for name, value in others.items() if value]
    return f"{option} selects the releases; {' and '.join(ignored)} ignored" if ignored else None


def _contradiction(request: Request) -> None:
    """Raise UsageError if a release of a package in `without` is selected."""
    for package, texts in ((SGLANG, request.sglang), (VLLM, request.vllm)):
        if texts and IMPORT_NAMES[package] in request.without:
            raise UsageError(f"--without {package} contradicts --{package} {texts[0]}; remove one of them")


def _by_default(request: Request, index: Index) -> tuple[tuple[Subject, ...], str]:
    from pathlib import Path

    from compat.index.query.installed_releases import installed_versions
    from compat.locks.lockfile import lock_paths
    from compat.matrix.config import read_matrix

    present = installed_versions()
    installed = {package: present.get(package) for package in (SGLANG, VLLM)}
    if any(installed.values()):
        unknown = [package for package, version in present.items() if not index.knows(package, version)]
        if unknown:
            return _of_installed(request, present), (
                f"no release selected: reading the installed releases ({_listed(present)}); "
                f"the index does not contain {_listed({name: present[name] for name in unknown})}"
            )
        versions = {package: (version,) if version else () for package, version in installed.items()}
        found = Request(
            sglang=versions[SGLANG], vllm=versions[VLLM], cuda=request.cuda,
            without=request.without | {IMPORT_NAMES[package] for package, v in installed.items() if not v},
        )  # fmt: skip
        listed = _listed({package: version for package, version in installed.items() if version})
        return _of_versions(
            found, index, selected=False
        ), f"no release selected: using the installed releases ({listed})"
    path = Path(request.matrix or MATRIX)
    if request.matrix is not None or path.is_file():
        ids = tuple(pair.id for pair in read_matrix(path).pairs)
        if request.matrix is None:  # pairs that nobody asked for, and that have no lock yet, are left out
            ids = tuple(each for each in ids if lock_paths(each, path.parent / "locks")[1].is_file())
        if ids:
            note = f"no release selected or installed: using the pairs of {path}"
            return _of_pairs(request, index, ids, selected=False), note
    latest = Request(sglang=("latest",), vllm=("latest",), without=request.without, cuda=request.cuda)
    return _of_versions(
        latest, index, selected=False
    ), "no release selected or installed: using the latest releases"


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions.items())


def _of_installed(request: Request, present: Mapping[str, str]) -> tuple[Subject, ...]:
    """Return the installed releases, all read from their files, because one index contains a whole pair."""
    from compat.index.query.installed_releases import installed_index

    known = [package for package in present if IMPORT_NAMES[package] not in request.without]
    lacking = {IMPORT_NAMES[package] for package in (SGLANG, VLLM) if package not in present}
    index = installed_index(known)
    facts = Facts(
        release_indexes=dict.fromkeys(known, 0), absent=request.without | lacking, cuda=request.cuda
    )
    return tuple(
        _subject(index, facts, package, selected=False)._replace(source="installed") for package in known
    )


def _of_pairs(request: Request, index: Index, ids: Sequence[str], *, selected: bool) -> tuple[Subject, ...]:
    from pathlib import Path

    from compat.index.query.expected_modules import environment
    from compat.locks.lockfile import read_lock
    from compat.matrix.config import read_matrix

    path = Path(request.matrix or MATRIX)
    matrix = read_matrix(path)
    found: list[Subject] = []
    for pair in matrix.select(ids):
        lock = read_lock(pair.id, path.parent / "locks")
        facts = environment(pair, lock, index, cuda=request.cuda, without=request.without)
        found.extend(
            _subject(index, facts, package, selected=selected and package in (SGLANG, VLLM))._replace(
                pair=pair.id
            )
            for package in facts.release_indexes
        )
    return tuple(found)


def _of_versions(
    request: Request, index: Index, *, selected: bool, kernels: bool = False
) -> tuple[Subject, ...]:
    chosen: dict[str, tuple[int, ...]] = {
        package: _release_indexes(index, package, texts, f"--{package}")
        for package, texts in ((SGLANG, request.sglang), (VLLM, request.vllm))
        if IMPORT_NAMES[package] not in request.without
    }
    paired = len(chosen) == 2 and all(len(releases) == 1 for releases in chosen.values())
    together = {package: releases[0] for package, releases in chosen.items()} if paired else {}
    found: list[Subject] = []
    for package, releases in chosen.items():
        for release_index in releases:
            facts = _environment(index, together or {package: release_index}, request)
            mine = [package]
            if package == SGLANG and not kernels:
                mine += [kernel for kernel in KERNELS if kernel in facts.release_indexes]
            found.extend(_subject(index, facts, name, selected=selected and name == package) for name in mine)
    if kernels:
        for kernel in KERNELS:
            if kernel in index.packages and IMPORT_NAMES[kernel] not in request.without:
                for release_index in range(len(index.versions(kernel))):
                    facts = _environment(index, {kernel: release_index}, request)
                    found.append(_subject(index, facts, kernel, selected=False))
    return tuple(found)


def _subject(index: Index, environment: Facts, package: str, *, selected: bool) -> Subject:
    at = environment.release_indexes[package]
    addition = index.addition(package, at)
    source = "index" if addition is None else addition.label
    return Subject(package, index.versions(package)[at], index, environment, selected, source=source)


def _environment(index: Index, releases: dict[str, int], request: Request) -> Facts:
    absent = request.without
    if len(releases) == 1 and not absent and request.cuda is None:
        return alone(index, *next(iter(releases.items())))
    known = releases | (companions(index, SGLANG, releases[SGLANG]) if SGLANG in releases else {})
    known = {package: at for package, at in known.items() if IMPORT_NAMES[package] not in absent}
    return Facts(release_indexes=known, absent=absent, cuda=request.cuda)


def _release_indexes(index: Index, package: str, texts: Iterable[str], option: str) -> tuple[int, ...]:
    """Return the distinct release indexes for versions, specifiers, `latest` and `all`, in order."""
    found: set[int] = set()
    for text in texts:
        found.update(_named(index, package, text.strip(), option))
    return tuple(sorted(found))


def _named(index: Index, package: str, text: str, option: str) -> Iterable[int]:
    versions = index.versions(package)
    if text == "all":
        return range(len(versions))
    if text == "latest":
        from compat.model.releases import newest

        return [newest(versions[: index.published(package)])]
    if MARK in text:
        return releases_between(index, package, text, option)
    if not text or text[0] not in "<>=!~":
        return [index.release_index(package, text, option)]
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # its import takes longer than a query

    try:
        specifier = SpecifierSet(text)
    except InvalidSpecifier:
        raise UsageError(f"{option}: {text!r} is not a valid specifier (example: '>=0.20,<0.24')") from None
    matching = [at for at, version in enumerate(versions) if specifier.contains(version, prereleases=True)]
    if not matching:
        raise NothingSelectedError(
            f"{option}: no indexed release of {package} matches {text!r}; "
            f"the index has {versions[0]} to {versions[-1]}"
        )
    return matching
