"""Find what became of the definitions of the nearest release in a source, from the outlines of both."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

from compat.index.history.features import Features, View
from compat.index.history.release_diff import Modules, appeared, import_changes, vanished
from compat.index.history.similarity import Definition
from compat.index.history.successors import successors
from compat.index.records import Successor
from compat.source_outlines.reader import SourceOutlines
from compat.source_outlines.records import Definition as Outlined
from compat.source_outlines.records import Outline

_PHRASE = 2
"""Lines of one phrase: the code of a line is one byte, so that one line alone says little."""
_KINDS = {"c": "class", "f": "function"}


class ReleaseOutlines(NamedTuple):
    """The outlines of one release."""

    outlines: SourceOutlines
    package: str
    release_index: int

    def of(self, path: str) -> Outline | None:
        """Return the outline of a file; None if the release does not have it."""
        for each in self.outlines.contents(self.package, path):
            if each.releases >> self.release_index & 1:
                return Outline(each.definitions, each.lines, ())
        return None


def successors_in_source(
    release: ReleaseOutlines, before: Modules, after: Modules, files: Mapping[str, Outline]
) -> tuple[Successor, ...]:
    """Return the likely successors of the definitions that a release has and a source lacks.

    Args:
        release: the outlines of the release.
        before: the modules of the release with their names.
        after: the modules of the source with their names.
        files: the outlines of the source files.
    """
    gone, come = vanished(before, after), appeared(before, after)
    if not gone or not come:
        return ()
    old, kept = _split(gone, release.of)
    new, _ = _split(come, files.get)
    return successors(0, old, new, kept, import_changes(before, after, gone, come))


def _split(
    names: Mapping[str, Iterable[str]], outline: Callable[[str], Outline | None]
) -> tuple[list[Definition], list[Definition]]:
    """Return the definitions with the listed names, and the others of the same modules."""
    named: list[Definition] = []
    others: list[Definition] = []
    for module, listed in sorted(names.items()):
        path = module.replace(".", "/")
        wanted = set(listed)
        found = outline(f"{path}/__init__.py") or outline(f"{path}.py")
        for each in _definitions(module, found) if found is not None else ():
            (named if each.name in wanted else others).append(each)
    return named, others


def _definitions(module: str, outline: Outline) -> Iterable[Definition]:
    """Yield the definitions of a file that are in no other definition, with their features."""
    end = 0
    for each in outline.definitions:
        if each.kind in _KINDS and each.start > end:
            end = each.end
            inside = [other for other in outline.definitions if each.start < other.start <= each.end]
            view = _view(each, inside, outline.lines)
            yield Definition(module, each.name, Features(_KINDS[each.kind], view, view))  # type: ignore[arg-type]


def _view(definition: Outlined, inside: Sequence[Outlined], lines: bytes) -> View:
    first, *_ = definition.detail.split("|")
    parts = frozenset(each.strip("*=") for each in first.split(",") if each.strip("*="))
    codes = bytes(code for code in lines[definition.start : definition.end] if code)  # without its own name
    phrases = frozenset(crc32(codes[at : at + _PHRASE]) for at in range(max(len(codes) - _PHRASE, 0) + 1))
    if definition.kind == "f":
        return View(frozenset(), parts, phrases)
    bases = frozenset(each.partition("[")[0].rpartition(".")[2] for each in parts)
    return View(bases, frozenset(each.name for each in inside if each.kind == "f"), phrases)
