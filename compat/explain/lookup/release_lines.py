"""The releases that the lines of a log fit: frames, the prefixes of log lines, and warnings."""

from collections.abc import Iterator
from functools import lru_cache

from compat._cli.text import counted
from compat.errors import IntegrityError
from compat.explain.log.log_reader import LogContents
from compat.explain.log.model import Failure, TracebackFrame
from compat.index.reader import Index
from compat.model.release_ranges import ranges_of
from compat.source_outlines.reader import SourceOutlines, indexes
from compat.source_outlines.release_fit import ReleaseFit, Sighting, fit

MOST_NAMED = 3
"""Up to this many releases are named one by one."""


@lru_cache(maxsize=1)
def shipped_outlines() -> SourceOutlines | None:
    """Return the shipped outlines; None if they are missing, for example beside an index of one's own."""
    try:
        return SourceOutlines()
    except IntegrityError:
        return None


def release_fits(contents: LogContents, index: Index, outlines: SourceOutlines) -> dict[str, ReleaseFit]:
    """Return, for each package that a log shows places of, the releases that these fit."""
    seen = tuple(_sightings(contents))
    found = {}
    for package in outlines.packages:
        tops = [top for top, owners in index.owners.items() if package in owners]
        fitting = fit(outlines, package, tops[0], seen) if tops else None
        if fitting is not None:
            found[package] = fitting
    return found


def fitting_indexes(fitting: ReleaseFit, index: Index, outlines: SourceOutlines) -> list[int]:
    """Return the releases of a fit as indexes into the releases of the index."""
    known = {version: at for at, version in enumerate(index.versions(fitting.package))}
    versions = outlines.versions(fitting.package)
    return [known[versions[at]] for at in indexes(fitting.releases) if versions[at] in known]


def described(fitting: ReleaseFit, outlines: SourceOutlines) -> str:
    """Return a fit as one line for people: `vllm 0.10.1 or 0.10.1.1, by 7 places in the log`."""
    places = counted(fitting.places, "place")
    if not fitting.releases:
        nearest = releases_text(fitting.nearest, fitting.package, outlines)
        told = (
            f"; {fitting.fitting} of its {counted(fitting.frames, 'frame')} fit {nearest}" if nearest else ""
        )
        return (
            f"the log fits no release of {fitting.package} ({places} compared): it is of a fork, a local "
            f"build, a newer release, or of several releases{told}"
        )
    releases = releases_text(fitting.releases, fitting.package, outlines)
    return f"{fitting.package} {releases}, by {places} in the log"


def releases_text(releases: int, package: str, outlines: SourceOutlines) -> str:
    """Return releases, one bit each, as text: named one by one if they are few, else as ranges."""
    versions, found = outlines.versions(package), indexes(releases)
    if len(found) <= MOST_NAMED:
        names = [versions[at] for at in found]
        return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    spans = (
        versions[first] if first == last else f"{versions[first]} to {versions[last]}"
        for first, last in ranges_of(found)
    )
    return ", ".join(spans)


def _sightings(contents: LogContents) -> Iterator[Sighting]:
    for (path, line), logged in contents.facts.places.items():
        yield Sighting(path=path, line=line, logged=logged)
    for frame in _frames((*contents.failures, *contents.mentions)):
        if frame.line is not None:
            yield Sighting(path=frame.path, line=frame.line, function=frame.function, source=frame.source)


def _frames(failures: tuple[Failure, ...]) -> Iterator[TracebackFrame]:
    for failure in failures:
        for exception in failure.chain:
            yield from exception.frames
