"""What a module defines under a name, with the releases in which that is the same."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from compat.callables.class_definitions import functions_in, outermost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.source_outlines.reader import Content, SourceOutlines
    from compat.source_outlines.records import Definition


class Defined(NamedTuple):
    """The definitions of a name that some releases share; their places are those of one of the releases."""

    releases: int
    """The releases, one bit each."""
    definitions: tuple[Definition, ...]
    """Empty if the module does not define the name, or does not exist."""
    functions: tuple[Definition, ...]
    """The functions directly in the first definition, if it is a class."""


@lru_cache(maxsize=20_000)
def definitions_of(outlines: SourceOutlines, package: str, module: str, name: str) -> tuple[Defined, ...]:
    """Return the distinct definitions of a name, and their releases: each release has one of them.

    A file changes in most releases, and a function or class of it in few.
    """
    left = (1 << len(outlines.versions(package))) - 1
    found: dict[object, Defined] = {}
    for content in _contents(outlines, package, module):
        each = _defined(content, name)._replace(releases=content.releases & left)
        left &= ~content.releases
        _add(found, each)
    _add(found, Defined(left, (), ()))
    return tuple(found.values())


def _contents(outlines: SourceOutlines, package: str, module: str) -> Iterator[Content]:
    """Yield the contents of the file of a module; a package hides a module of the same name."""
    base = module.replace(".", "/")
    for path in (f"{base}/__init__.py", f"{base}.py"):
        yield from outlines.contents(package, path)


def _defined(content: Content, name: str) -> Defined:
    if f"{name}\t" not in content.text:
        return Defined(0, (), ())
    own = tuple(each for each in outermost(content.definitions) if each.name == name and each.kind in "cf")
    inner = functions_in(own[0], content.definitions) if own and own[0].kind == "c" else ()
    return Defined(0, own, tuple(inner))


def _add(found: dict[object, Defined], more: Defined) -> None:
    """Add definitions to those that differ from them in their places only."""
    key = tuple(
        tuple((each.kind, each.name, each.detail) for each in part)
        for part in (more.definitions, more.functions)
    )
    known = found.setdefault(key, more)
    found[key] = known._replace(releases=known.releases | more.releases)
