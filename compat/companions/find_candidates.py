"""Find the distributions that metadata requires: their releases, and what their newest wheels say."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from email.parser import HeaderParser

from packaging.specifiers import SpecifierSet

from compat._cli.progress import Progress
from compat.companions.candidates import admitted, one_wheel_each, required_by, specifiers_of
from compat.companions.extract.wheel_modules import added_folders
from compat.errors import UsageError
from compat.index.reader import Index
from compat.requirements.install_paths import importable
from compat.wheels.package_index import Registry, WheelFile
from compat.wheels.wheel_files import WheelFileCache, WheelFiles

_FETCHERS = 4
_LEVELS = 3
"""How far to follow the requirements of requirements: what is below is not imported by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A distribution that the metadata of some release requires, with what its newest wheel says."""

    name: str
    wheels: tuple[WheelFile, ...]
    """Its releases to read, oldest first."""
    newest: WheelFile
    """Its newest release that is no pre-release."""
    imports: tuple[str, ...]
    """The top-level modules of the newest release."""
    lines: tuple[str, ...]
    """The Requires-Dist lines of the newest release."""
    adds: tuple[str, ...] = ()
    """The folders below site-packages that the newest release adds to the import path."""
    folders: tuple[str, ...] = ()
    """Those that others add, and in which the newest release has files."""
    placed: tuple[str, ...] = ()
    """The top-level modules that the newest release has there alone."""
    moved: tuple[str, ...] = ()
    """Those that others have in folders which this one adds: its older releases may bring them themselves."""

    @property
    def requires(self) -> Mapping[str, Sequence[SpecifierSet]]:
        """What the newest release requires without extras."""
        return specifiers_of(line for line in self.lines if "extra ==" not in line)


def find_candidates(index: Index, registry: Registry, progress: Progress) -> dict[str, Candidate]:
    """Return the distributions that the releases of an index require, and what those require, by name."""
    specifiers: dict[str, list[SpecifierSet]] = required_by(index)
    found: dict[str, Candidate] = {}
    cache = WheelFileCache()
    tried: set[str] = set()
    for _ in range(_LEVELS):
        new = [name for name in sorted(specifiers) if name not in tried]
        tried.update(new)
        with ThreadPoolExecutor(_FETCHERS) as fetchers:
            probed = fetchers.map(lambda name: _candidate(name, registry, cache, progress), new)
            found.update((each.name, each) for each in probed if each is not None)
        for name in new:
            for required, asked in found[name].requires.items() if name in found else ():
                specifiers.setdefault(required, []).extend(asked)
    added = frozenset(folder for each in found.values() for folder in each.adds)
    with ThreadPoolExecutor(_FETCHERS) as fetchers:
        placed = fetchers.map(lambda each: with_folders(each, added, registry, cache), found.values())
        beside = list(placed)
    return {
        each.name: replace(
            each,
            wheels=admitted(each.wheels, specifiers.get(each.name, ())),
            moved=moved_from(each, beside),
        )
        for each in beside
    }


def moved_from(candidate: Candidate, others: Iterable[Candidate]) -> tuple[str, ...]:
    """Return the top-level modules that some distributions have in folders which another one adds."""
    found = (each.placed for each in others if not set(candidate.adds).isdisjoint(each.folders))
    return tuple(sorted({top for each in found for top in each}))


def _candidate(name: str, registry: Registry, cache: WheelFileCache, progress: Progress) -> Candidate | None:
    """Return what the newest wheel of a distribution says; None if the index has no wheel of it."""
    try:
        wheels = one_wheel_each(registry.files(name))
    except UsageError:
        return None
    final = [wheel for wheel in wheels if not wheel.version.is_prerelease and not wheel.yanked] or list(
        wheels
    )
    if not final:
        progress.note(f"{name}: the package index has no wheel of it")
        return None
    with WheelFiles(final[-1], registry.session, cache) as files:
        adds = added_folders(files)
        metadata = HeaderParser().parsestr(files.metadata)
    return Candidate(
        name=name,
        wheels=wheels,
        newest=final[-1],
        imports=(),
        lines=tuple(metadata.get_all("Requires-Dist") or ()),
        adds=adds,
    )


def with_folders(
    candidate: Candidate, added: Collection[str], registry: Registry, cache: WheelFileCache
) -> Candidate:
    """Return a distribution with the modules that it has in folders which others add to the import path."""
    with WheelFiles(candidate.newest, registry.session, cache) as files:
        folders = tuple(
            folder
            for folder in sorted(set(added).difference(candidate.adds))
            if any(path.startswith(f"{folder}/") for path in files.record)
        )
        imports = importable(files.record, (*candidate.adds, *folders))
        placed = tuple(sorted(set(imports).difference(importable(files.record, candidate.adds))))
    return replace(candidate, imports=imports, folders=folders, placed=placed)
