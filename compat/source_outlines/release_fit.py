"""Find the releases in which every frame, log line and warning of a log stands where the log says."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compat.source_outlines.records import LOGGING_CODES, line_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from compat.source_outlines.reader import Content, SourceOutlines

PREFIXED = "vllm"
"""The package whose logger writes the file and the line of each logging call."""
MOST = 300
"""Most places of one log that are compared."""
_ANYWHERE = re.compile(r"<(?!module>)\w+>$")
"""The names of functions without a name: `<lambda>`, `<listcomp>`."""
_INSTALLED = re.compile(r"/(?:site|dist)-packages/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A place in a source file at which a program was, as a log shows it."""

    path: str
    """The path of a frame or a warning, or the file name in a logger's prefix."""
    line: int
    function: str = ""
    """The name of the function; empty if the log does not name it."""
    source: str = ""
    """The text of the line, if the log has it."""
    logged: bool = False
    """Whether it is the prefix of a log line, so that a logging call begins there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFit:
    """The releases of one package that a log fits."""

    package: str
    releases: int
    """One bit for each release that all places fit; 0 if none does."""
    places: int
    """The number of places that were compared."""
    frames: int
    """The number of frames and warnings among them; the others are prefixes of log lines."""
    unfitting: int = 0
    """The number of frames that fit no release: the log is of a fork, a local build or a newer release."""
    nearest: int = 0
    """Where none fits all: the releases that the most frames fit, one bit each; 0 if no frame fits any."""
    fitting: int = 0
    """How many frames fit these."""


def fit(outlines: SourceOutlines, package: str, top: str, seen: Iterable[Sighting]) -> ReleaseFit | None:
    """Return the releases of a package that a log fits, or None if it shows no place in that package.

    Frames and warnings name their file, so each must fit. The prefix of a log line only has a file name, and
    plug-ins write the same prefixes: one that contradicts the frames is ignored.

    Args:
        outlines: the data file.
        package: the package.
        top: its top-level import name.
        seen: the places in the log.
    """
    places = [each for each in dict.fromkeys(seen) if not each.logged or top == PREFIXED][:MOST]
    frames, prefixes, unfitting = [], [], 0
    for each, found in zip(places, _possible(outlines, package, top, places), strict=True):
        if found is None:
            continue
        if each.logged:
            prefixes += [found[0]] if found[0] else []
        elif found == (0, 0):
            unfitting += 1
        else:
            frames.append(found)
    if not frames and not unfitting and not prefixes:
        return None
    everything = (1 << len(outlines.versions(package))) - 1
    releases = _common((strict for strict, _ in frames), everything)
    if not releases:  # the text of a line may be wrapped, shortened or translated
        releases = _common((loose for _, loose in frames), everything)
    if not frames:
        releases = _common(prefixes, everything)
    elif not unfitting:
        for mask in prefixes:
            releases = releases & mask or releases
    nearest, fitting = (0, 0) if releases and not unfitting else _most(loose for _, loose in frames)
    return ReleaseFit(
        package=package,
        releases=0 if unfitting else releases,
        places=len(frames) + len(prefixes) + unfitting,
        frames=len(frames) + unfitting,
        unfitting=unfitting,
        nearest=nearest,
        fitting=fitting,
    )


def _most(masks: Iterable[int]) -> tuple[int, int]:
    """Return the bits that are set in the most masks, and in how many; 0 and 0 without a mask."""
    counts = Counter(at for mask in masks for at in range(mask.bit_length()) if mask >> at & 1)
    most = max(counts.values(), default=0)
    return sum(1 << at for at, count in counts.items() if count == most), most


def _common(masks: Iterable[int], everything: int) -> int:
    for mask in masks:
        everything &= mask
    return everything


def _possible(
    outlines: SourceOutlines, package: str, top: str, places: Sequence[Sighting]
) -> list[tuple[int, int] | None]:
    """Return the releases that each place fits, with and without its source text; None if it is elsewhere."""
    strict, loose = [0] * len(places), [0] * len(places)
    wanted: dict[str, list[int]] = {}
    elsewhere = set()
    for at, each in enumerate(places):
        paths = outlines.paths(package, each.path) if each.logged else _known(outlines, package, top, each)
        if not paths and not (_INSTALLED.search(each.path) and next(_below(each.path, top), None)):
            elsewhere.add(at)
        for path in paths:
            wanted.setdefault(path, []).append(at)
    for path, numbers in sorted(wanted.items()):
        for content in outlines.contents(package, path):
            for at in numbers:
                if admits(content, places[at]):
                    loose[at] |= content.releases
                    strict[at] |= content.releases if _has_text(content, places[at]) else 0
    masks = zip(strict, loose, strict=True)
    return [None if at in elsewhere else (one or two, two) for at, (one, two) in enumerate(masks)]


def _known(outlines: SourceOutlines, package: str, top: str, seen: Sighting) -> list[str]:
    """Return the path of a frame's file in the outlines, in a list; an empty one if no release has it."""
    return [path for path in _below(seen.path, top) if outlines.has(package, path)][:1]


def _below(path: str, top: str) -> Iterator[str]:
    """Yield what may be the path in a package: `vllm/config.py` for `/src/vllm/vllm/config.py`.

    Below a folder of installed packages, the package stands at once: `site-packages/verl/utils/vllm/utils.py`
    is a file of another project.
    """
    path = path.replace("\\", "/")
    *_, below = _INSTALLED.split(path)
    if below != path and not below.startswith(f"{top}/"):
        return
    parts = below.split("/")
    yield from ("/".join(parts[at:]) for at, part in enumerate(parts[:-1]) if part == top)


def admits(content: Content, seen: Sighting) -> bool:
    """Return whether a program can be at a place in one content of its file."""
    if not 0 < seen.line <= len(content.lines):
        return False
    code = content.lines[seen.line - 1]
    if seen.logged:
        return 0 < code <= LOGGING_CODES
    if not code:
        return False
    if not seen.function or _ANYWHERE.match(seen.function):
        return True
    if seen.function == "<module>":
        # A decorator, a default or a one-line body runs with the first line.
        return not any(
            max(each.body, each.start + 1) <= seen.line <= each.end
            for each in content.definitions
            if each.kind == "f"
        )
    name = seen.function.rpartition(".")[2]
    return any(
        each.name == name and each.kind != "o" and each.start <= seen.line <= each.end
        for each in content.definitions
    )


def _has_text(content: Content, seen: Sighting) -> bool:
    """Return whether a content has the source text at the line, as far as its code tells."""
    if not seen.source:
        return True
    code = content.lines[seen.line - 1]
    return code == line_code(seen.source.encode(), logging=code <= LOGGING_CODES)
