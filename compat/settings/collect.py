"""Collect the settings of releases from their source files, and write the data file."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from compat._util import atomic_write
from compat.model.release_ranges import ranges_of
from compat.settings.extract import FileSettings, groups_of, read_settings
from compat.settings.releases import HEADER, OPTIONS, PATTERNS, RENAMES, VARIABLES, Key, PackageSettings


class SettingsCollector:
    """Collects the settings of one package, release by release; equal files are read once.

    Args:
        package: the package.
    """

    def __init__(self, package: str) -> None:
        self.settings = PackageSettings(package)
        self._read: dict[bytes, FileSettings] = {}

    def add(self, version: str, sources: Mapping[str, bytes]) -> None:
        """Add the next release: its source files by path."""
        found: set[Key] = set()
        notes: dict[str, str] = {}
        for path, source in sources.items():
            groups = tuple(groups_of(self.settings.package, path))
            key = sha256(source).digest() + bytes([bool(groups)])
            if key not in self._read:
                self._read[key] = read_settings(source, options=bool(groups))
            each = self._read[key]
            found.update((VARIABLES, name) for name in each.variables)
            found.update((PATTERNS, name) for name in each.patterns)
            found.update((RENAMES, f"{old} {new}") for old, new in each.renames)
            found.update((f"{OPTIONS}{group}", name) for group in groups for name in each.options)
            notes.update(each.notes)
        self.settings.put(version, found, notes)


def write_settings(target: Path, packages: Iterable[PackageSettings]) -> None:
    """Write the data file; equal contents give equal bytes.

    Raises:
        DiskError: the file cannot be written.
    """
    lines = [HEADER]
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
