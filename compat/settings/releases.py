"""The settings of every release of the packages, in memory and in the data file."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from os.path import abspath, dirname, join
from pathlib import Path

from compat._util import atomic_write
from compat.errors import IntegrityError
from compat.model.release_ranges import ranges_of
from compat.settings.extract import FileSettings, groups_of, read_settings

NAME = "settings.tsv"
SHIPPED = join(dirname(dirname(abspath(__file__))), "data", NAME)  # noqa: PTH100, PTH118, PTH120 -- pathlib takes too long
"""The path of the data file in this package, which "compat index build" writes beside the index."""
_HEADER = "compat settings 1"
VARIABLES = "variable"
PATTERNS = "pattern"
RENAMES = "rename"
OPTIONS = "option:"
"""The kinds of settings; for options, the name of their group follows."""

Key = tuple[str, str]
"""Kind and name of a setting."""


@dataclass(slots=True)
class PackageSettings:
    """The settings of one package, collected release by release."""

    package: str
    versions: list[str] = field(default_factory=list)
    found: dict[Key, int] = field(default_factory=dict)
    """Each setting to the releases that have it: bit `i` stands for the `i`-th version."""
    notes: dict[str, str] = field(default_factory=dict)
    """Name to what the last release that calls it deprecated says."""
    _read: dict[bytes, FileSettings] = field(default_factory=dict)

    def add(self, version: str, sources: Mapping[str, bytes]) -> None:
        """Add the next release: its source files by path."""
        found: set[Key] = set()
        notes: dict[str, str] = {}
        for path, source in sources.items():
            groups = tuple(groups_of(self.package, path))
            key = sha256(source).digest() + bytes([bool(groups)])
            if key not in self._read:
                self._read[key] = read_settings(source, options=bool(groups))
            each = self._read[key]
            found.update((VARIABLES, name) for name in each.variables)
            found.update((PATTERNS, name) for name in each.patterns)
            found.update((RENAMES, f"{old} {new}") for old, new in each.renames)
            found.update((f"{OPTIONS}{group}", name) for group in groups for name in each.options)
            notes.update(each.notes)
        self.put(version, found, notes)

    def put(self, version: str, found: Iterable[Key], notes: Mapping[str, str]) -> None:
        """Add the next release: its settings, and what it says about some of them."""
        at = len(self.versions)
        self.versions.append(version)
        for key in found:
            self.found[key] = self.found.get(key, 0) | 1 << at
        self.notes.update(notes)

    def of(self, version: str) -> set[Key]:
        """Return the settings of one release."""
        at = self.versions.index(version)
        return {key for key, releases in self.found.items() if releases >> at & 1}


def write_settings(target: Path, packages: Iterable[PackageSettings]) -> None:
    """Write the data file; equal contents give equal bytes.

    Raises:
        DiskError: the file cannot be written.
    """
    lines = [_HEADER]
    for package in packages:
        lines.append(f"@{package.package}\t{' '.join(package.versions)}")
        named = {name for _, name in package.found}
        for (kind, name), releases in sorted(package.found.items()):
            spans = (
                f"{package.versions[first]}..{package.versions[last]}"
                for first, last in ranges_of(at for at in range(releases.bit_length()) if releases >> at & 1)
            )
            lines.append(f"{kind}\t{name}\t{' '.join(spans)}")
        lines += [f"note\t{name}\t{text}" for name, text in sorted(package.notes.items()) if name in named]
    atomic_write.write_text(target, "\n".join(lines) + "\n")


def read_packages(path: str | Path = SHIPPED) -> list[PackageSettings]:
    """Return what a data file has, one record a package.

    Raises:
        IntegrityError: the file does not exist, or is not of this version.
    """
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 -- a scan need not load pathlib
            header, *lines = file.read().splitlines()
    except (OSError, ValueError):
        raise IntegrityError(f'{path}: the settings are missing; run "compat index build"') from None
    if header != _HEADER:
        raise IntegrityError(f'{path}: not the settings of this version; run "compat index build"')
    return list(_packages(lines))


def _packages(lines: Iterable[str]) -> Iterator[PackageSettings]:
    package: PackageSettings | None = None
    at: dict[str, int] = {}
    for line in lines:
        kind, _, rest = line.partition("\t")
        if kind.startswith("@"):
            if package is not None:
                yield package
            package = PackageSettings(kind[1:], rest.split())
            at = {version: number for number, version in enumerate(package.versions)}
            continue
        if package is None:
            continue
        name, _, value = rest.partition("\t")
        if kind == "note":
            package.notes[name] = value
            continue
        releases = 0
        for span in value.split():
            first, _, last = span.partition("..")
            releases |= (1 << at[last] + 1) - (1 << at[first])
        package.found[kind, name] = releases
    if package is not None:
        yield package
