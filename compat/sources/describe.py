"""Describe checkouts, commits, wheels and environments: what they are near to, and what they add."""

from collections.abc import Sequence
from typing import Any

from compat import errors
from compat._cli import console
from compat._cli.text import counted, listed
from compat.errors import UsageError
from compat.index.extended import open_index
from compat.index.reader import Index
from compat.sources.command_line import with_named_sources
from compat.sources.stores.addresses import FORMS, is_source


def describe(sources: Sequence[str], form: str) -> int:
    """Print what sources are, as text or JSON, and return the exit code.

    Raises:
        UsageError: a text names no source, or the source does not exist.
    """
    for text in sources:
        if not is_source(text):
            raise UsageError(f"{text!r} is no source; a source is {FORMS}")
    files, named = with_named_sources({"SOURCE": sources}, ())
    index = open_index(files)
    found = [_described(index, *each.split("==")) for each in named["SOURCE"]]
    if form == "json":
        print(console.document("index info", sources=found))
        return errors.CLEAN
    for each in found:
        print(f"{each['package']} {each['version']}: {each['label']}")
        print(f"  the nearest release is {each['distance']}")
        print(f"  {counted(each['modules'], 'module')}, {counted(each['names'], 'name')}")
        for key, told in (("new_modules", "that no release has"), ("generated", "that a build makes")):
            if each[key]:
                print(f"  {counted(len(each[key]), 'module')} {told}: {listed(each[key], 6)}")
        print(f"  requires {listed(each['requires_dist'], 6)}")
    return errors.CLEAN


def _described(index: Index, package: str, version: str) -> dict[str, Any]:
    at = index.release_index(package, version, version)
    facts = index.addition(package, at)
    assert facts is not None  # noqa: S101 -- for the type checker
    names = index.release_names(package, at)
    return {
        "package": package,
        "version": version,
        "label": facts.label,
        "nearest": facts.nearest,
        "distance": facts.distance,
        "modules": len(index.modules(package, at)),
        "names": sum(len(each) for each in names.values()),
        "generated": list(facts.generated),
        "new_modules": list(facts.new_modules),
        "requires_dist": list(index.requires_dist(package, at)),
    }
