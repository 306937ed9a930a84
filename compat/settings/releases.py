"""The settings of every release of the packages, in memory, and how they are read from the data file."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from os.path import abspath, dirname, join
from typing import TYPE_CHECKING

from compat.errors import IntegrityError

if TYPE_CHECKING:  # a scan need not load it
    from pathlib import Path

NAME = "settings.tsv"
SHIPPED = join(dirname(dirname(abspath(__file__))), "data", NAME)  # noqa: PTH100, PTH118, PTH120 -- pathlib takes too long
"""The path of the data file in this package, which "compat index build" writes beside the index."""
HEADER = "compat settings 1"
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


def read_packages(path: "str | Path" = SHIPPED) -> list[PackageSettings]:
    """Return what a data file has, one record a package.

    Raises:
        IntegrityError: the file does not exist, or is not of this version.
    """
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 -- a scan need not load pathlib
            header, *lines = file.read().splitlines()
    except (OSError, ValueError):
        raise IntegrityError(f'{path}: the settings are missing; run "compat index build"') from None
    if header != HEADER:
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
