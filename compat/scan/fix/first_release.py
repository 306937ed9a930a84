"""Find the exact first release for a new import, which need not be among the scanned releases."""

from collections.abc import Sequence

from packaging.version import Version

from compat.index.reader import Index
from compat.scan.fix.edits import Edit, Target
from compat.scan.releases.index_lookup import Lookup, ReleaseSet


def with_exact_releases(index: Index, edit: Edit, versions: Sequence[str]) -> Edit:
    """Return an edit with the exact first release in which each target replaces the one before.

    A target that is new in a commit or a build is in no release yet: no version test can tell, so the order
    of the releases is left out.

    Args:
        index: the index, with the releases between the scanned ones.
        edit: the edit.
        versions: the scanned releases.
    """
    if not edit.since:
        return edit
    if any(Version(release).local is not None for release in edit.since):
        return edit._replace(since=())
    places = [target if target.module else edit.old for target in edit.targets]
    since = tuple(
        _first(index, edit.package, (new, before), versions[versions.index(release) - 1], release)
        for new, before, release in zip(places[:-1], places[1:], edit.since, strict=True)
    )
    return edit._replace(since=since)


def _first(index: Index, package: str, places: tuple[Target, Target], last: str, release: str) -> str:
    """Return the first release after `last` in which the new location resolves and the old one does not."""
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
