"""Show how the pins of a project would have to change for other releases; nothing is written."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from compat.scan.releases.project_pins import pinned_specifiers


class PinChange(NamedTuple):
    """A pin that does not admit a release, and one that does."""

    path: str
    package: str
    old: str
    new: str

    @property
    def text(self) -> str:
        """The change in one line."""
        return f"{self.path}: {self.package}{self.old} -> {self.package}{self.new}"

    def as_document(self) -> dict[str, Any]:
        """Return the change as an object of the JSON document."""
        return self._asdict()


def pin_changes(root: str, versions: Mapping[str, str]) -> Iterator[PinChange]:
    """Yield the pins of a project that do not admit given releases.

    Args:
        root: the folder of the project.
        versions: package to release.
    """
    for package, specifiers in pinned_specifiers(root).items():
        for specifier, path in specifiers.items():
            new = _admitting(specifier, versions[package]) if package in versions else specifier
            if new != specifier:
                yield PinChange(path, package, specifier, new)


def _admitting(specifier: str, version: str) -> str:
    """Return a specifier that admits a release: the same one, with another upper bound or another version."""
    try:
        if SpecifierSet(specifier).contains(version, prereleases=True):
            return specifier
    except InvalidSpecifier:
        pass
    clauses = [each.strip() for each in specifier.split(",")]
    lower = [each for each in clauses if re.match(r">=?", each)]
    return ",".join([*lower, f"<={version}"]) if lower else f"=={version}"
