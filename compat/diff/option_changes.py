"""Compare the command-line options that two releases add to their parsers."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from compat.index.format import SHIPPED
from compat.index.reader import Index
from compat.source_outlines.format import NAME
from compat.source_outlines.reader import SourceOutlines


class OptionChanges(NamedTuple):
    """The options, by name, that only one of two releases has."""

    removed: tuple[str, ...]
    added: tuple[str, ...]


def option_changes(index: Index, package: str, old: int, new: int) -> OptionChanges:
    """Return the options that no file of the other release adds to a parser; both are sorted."""
    outlines = SourceOutlines(Path(SHIPPED).with_name(NAME))
    before, after = (_options(index, outlines, package, at) for at in (old, new))
    return OptionChanges(tuple(sorted(before - after)), tuple(sorted(after - before)))


def _options(index: Index, outlines: SourceOutlines, package: str, release_index: int) -> frozenset[str]:
    build = index.addition(package, release_index)
    if build is not None:
        return frozenset(build.options)
    versions = outlines.versions(package)
    version = index.versions(package)[release_index]
    if version not in versions:
        return frozenset()
    at = versions.index(version)
    found: set[str] = set()
    for path in outlines.below(package, ""):
        for content in outlines.contents(package, path):
            if content.releases >> at & 1:
                found.update(_named(content.text.splitlines()))
    return frozenset(found)


def _named(lines: Iterable[str]) -> Iterable[str]:
    """Yield the options among encoded definitions, whose first letter is their kind."""
    return (line[1:].partition("\t")[0] for line in lines if line.startswith("o"))
