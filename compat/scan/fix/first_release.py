"""From which release on a new place is to be taken: the very one, whichever were asked about."""

from collections.abc import Sequence

from compat.index.reader import Index
from compat.scan.fix.edits import Edit, Target
from compat.scan.releases.index_lookup import Lookup, ReleaseSet


def exact(index: Index, edit: Edit, versions: Sequence[str]) -> Edit:
    """Return an edit whose releases are the first of all in which what was there before is not.

    Args:
        index: has the releases between those that were asked about.
        edit: the change.
        versions: those that were asked about.
    """
    if not edit.since:
        return edit
    places = [target if target.module else edit.old for target in edit.targets]
    since = tuple(
        _first(index, edit.package, (new, before), versions[versions.index(release) - 1], release)
        for new, before, release in zip(places[:-1], places[1:], edit.since, strict=True)
    )
    return edit._replace(since=since)


def _first(index: Index, package: str, places: tuple[Target, Target], last: str, release: str) -> str:
    """Return the first release after `last` that has the first of two places and not the second."""
    every = index.versions(package)
    between = tuple(range(every.index(last) + 1, every.index(release)))
    if not between:
        return release
    lookup = Lookup(index, ReleaseSet(package, between, tuple(every[at] for at in between)))
    new, before = (
        [
            mask
            for mask, outcome in lookup.imported(place.module, place.name)
            if not outcome.failing and outcome.answer.status != "placeholder"
        ]
        for place in places
    )
    gone = [at for at in range(len(between)) if not sum(before) >> at & 1]
    if gone and all(sum(new) >> at & 1 for at in range(gone[0], len(between))):
        return every[between[gone[0]]]
    return release
