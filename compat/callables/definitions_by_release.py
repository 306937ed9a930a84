"""What a module defines under a name, with the releases in which that is the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from compat.callables.class_definitions import functions_in, outermost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.source_outlines.reader import Content, SourceOutlines
    from compat.source_outlines.records import Definition

    _Own = tuple[Definition, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Defined:
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
    found: dict[object, tuple[int, _Own, _Own]] = {}
    for content in _contents(outlines, package, module):
        _add(found, content.releases & left, *_defined(content, name))
        left &= ~content.releases
    _add(found, left, (), ())
    return tuple(
        Defined(releases=releases, definitions=own, functions=functions)
        for releases, own, functions in found.values()
    )


def _contents(outlines: SourceOutlines, package: str, module: str) -> Iterator[Content]:
    """Yield the contents of the file of a module; a package hides a module of the same name."""
    base = module.replace(".", "/")
    for path in (f"{base}/__init__.py", f"{base}.py"):
        yield from outlines.contents(package, path)


def _defined(content: Content, name: str) -> tuple[_Own, _Own]:
    """Return the definitions of a name in a file, and the functions directly in it if it is a class."""
    if f"{name}\t" not in content.text:
        return (), ()
    own = tuple(each for each in outermost(content.definitions) if each.name == name and each.kind in "cf")
    inner = functions_in(own[0], content.definitions) if own and own[0].kind == "c" else ()
    return own, tuple(inner)


def _add(found: dict[object, tuple[int, _Own, _Own]], releases: int, own: _Own, functions: _Own) -> None:
    """Add definitions to those that differ from them in their places only."""
    key = tuple(tuple((each.kind, each.name, each.detail) for each in part) for part in (own, functions))
    known, own, functions = found.get(key, (0, own, functions))
    found[key] = known | releases, own, functions
