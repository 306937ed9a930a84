"""Find the modules that the wheels of several distributions bring in different forms."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import NamedTuple

from compat._cli.progress import Progress
from compat.companions.candidates import tops_of
from compat.companions.extract.wheel_modules import module_digests
from compat.errors import IntegrityError
from compat.wheels.package_index import Registry, WheelFile
from compat.wheels.wheel_files import WheelFileCache, WheelFiles

_FETCHERS = 6


class SharedModules(NamedTuple):
    """The modules of one release that another distribution brings as well."""

    distribution: str
    version: str
    digests: Mapping[str, int]
    """The first 32 bits of the digest of each module."""
    whole: bool
    """Whether a release of another distribution brings all its modules, in this form or another."""


def find_shared_modules(
    wheels: Mapping[str, Sequence[WheelFile]],
    folders: Mapping[str, Sequence[str]],
    demanded: Iterable[str],
    registry: Registry,
    progress: Progress,
) -> tuple[SharedModules, ...]:
    """Return the shared modules of all releases that have any, ordered by distribution and release.

    One wheel of each `X.Y` tells which distributions share modules; all releases of these are read. Modules
    of a top-level package from which nothing is demanded are left out, and so are those that all releases
    bring in one form.

    Args:
        wheels: the wheels of each distribution, oldest first.
        folders: folders below site-packages that others add to the import path, by distribution.
        demanded: what sglang, vllm and other distributions import.
        registry: the package index.
        progress: advanced by one for each wheel.

    Raises:
        NetworkError: the package index cannot be reached.
    """
    tops = tops_of(demanded)
    reader = _Reader(registry, folders, progress)
    sampled = {name: _samples(each) for name, each in wheels.items()}
    shared = _shared(reader.read(sampled), tops)
    whole = {name: wheels[name] for name in sorted({name for owners in shared.values() for name in owners})}
    found = list(reader.read(whole))
    kept = _shared(found, tops)
    brought = {(wheel.package, frozenset(every)) for wheel, every in found}
    return tuple(
        SharedModules(
            distribution=wheel.package,
            version=str(wheel.version),
            digests=digests,
            whole=any(other != wheel.package and modules.issuperset(every) for other, modules in brought),
        )
        for wheel, every in found
        if (
            digests := {name: digest for name, digest in every.items() if wheel.package in kept.get(name, ())}
        )
    )


def _samples(wheels: Sequence[WheelFile]) -> tuple[WheelFile, ...]:
    """Return the last release of each `X.Y`: files move between distributions in such steps."""
    groups = groupby(wheels, key=lambda wheel: wheel.version.release[:2])
    return tuple(list(group)[-1] for _, group in groups)


def _shared(
    found: Iterable[tuple[WheelFile, Mapping[str, int]]], tops: frozenset[str]
) -> dict[str, frozenset[str]]:
    """Return the modules that several distributions bring in different forms, with these distributions."""
    owners: dict[str, dict[str, set[int]]] = {}
    for wheel, digests in found:
        for name, digest in digests.items():
            if name.partition(".")[0] in tops:
                owners.setdefault(name, {}).setdefault(wheel.package, set()).add(digest)
    return {
        name: frozenset(forms)
        for name, forms in owners.items()
        if len(forms) > 1 and len(set().union(*forms.values())) > 1
    }


class _Reader:
    """Reads the modules of wheels, several at a time."""

    def __init__(self, registry: Registry, folders: Mapping[str, Sequence[str]], progress: Progress) -> None:
        self._registry = registry
        self._folders = folders
        self._progress = progress
        self._cache = WheelFileCache()

    def read(
        self, wheels: Mapping[str, Sequence[WheelFile]]
    ) -> Iterator[tuple[WheelFile, Mapping[str, int]]]:
        """Yield the wheels in their order, each with its modules; one that cannot be read has none."""
        wanted = [wheel for each in wheels.values() for wheel in each if _for_linux(wheel)]
        with ThreadPoolExecutor(_FETCHERS) as fetchers:
            for wheel, digests in zip(wanted, fetchers.map(self._modules, wanted), strict=True):
                self._progress.advance()
                yield wheel, digests

    def _modules(self, wheel: WheelFile) -> Mapping[str, int]:
        try:
            with WheelFiles(wheel, self._registry.session, self._cache) as files:
                return module_digests(files, self._folders.get(wheel.package, ()))
        except IntegrityError:
            return {}


def _for_linux(wheel: WheelFile) -> bool:
    return any(tag.platform == "any" or "linux" in tag.platform for tag in wheel.tags)
