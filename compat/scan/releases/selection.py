"""Select the releases of a scan from the values of options, from pins, or the newest."""

from collections.abc import Iterable, Sequence

from compat.errors import NothingSelectedError, UsageError
from compat.index.query.printed_ranges import MARK, releases_between
from compat.index.reader import Index
from compat.scan.releases.index_lookup import ReleaseSet

NEWEST = 10
"""Number of releases to scan if neither options nor pins select any."""
FORM = (
    "expected a version, a specifier such as '>=0.20,<0.24', a range such as 0.20.0..0.23.0, `latest` or "
    "`all`"
)


def requested_releases(index: Index, package: str, texts: Sequence[str], option: str) -> ReleaseSet:
    """Return the releases that the values of an option select.

    Raises:
        UsageError: a value is not a version or a specifier.
        NothingSelectedError: no release matches.
    """
    versions = index.versions(package)
    found: set[int] = set()
    for text in (text.strip() for text in texts):
        if text == "all":
            found.update(range(len(versions)))
        elif text == "latest":
            found.update(newest_indexes(versions, 1))
        elif MARK in text:
            found.update(releases_between(index, package, text, option))
        elif text[:1].isdigit():
            found.add(index.release_index(package, text, option))
        else:
            matching = matching_indexes(versions, text)
            if matching is None:
                raise UsageError(f"{option}: {text!r} is not a valid specifier; {FORM}")
            if not matching:
                raise NothingSelectedError(
                    f"{option}: no indexed release of {package} matches {text!r}; "
                    f"the index has {versions[0]} to {versions[-1]}"
                )
            found.update(matching)
    return release_set(index, package, found, " or ".join(texts))


def release_set(index: Index, package: str, release_indexes: Iterable[int], source: str) -> ReleaseSet:
    """Return a release set from release indexes."""
    versions = index.versions(package)
    ordered = tuple(sorted(set(release_indexes)))
    return ReleaseSet(package, ordered, tuple(versions[at] for at in ordered), source)


def newest_releases(index: Index, package: str) -> ReleaseSet:
    """Return the newest releases of a package."""
    newest = newest_indexes(index.versions(package), NEWEST)
    return release_set(index, package, newest, f"the newest {NEWEST}")._replace(pinned=False)


def newest_indexes(versions: Sequence[str], count: int) -> list[int]:
    """Return the indexes of the newest versions that are not pre-releases."""
    final = [
        at for at, version in enumerate(versions) if version.replace("post", "").replace(".", "").isdigit()
    ]
    return (final or list(range(len(versions))))[-count:]


def matching_indexes(versions: Sequence[str], text: str) -> list[int] | None:
    """Return the indexes of the versions that a specifier matches; None if it is not a valid specifier.

    Pre-releases match only if the specifier names one.
    """
    plain = _plain(versions, text)
    if plain is not None:
        return plain
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        specifier = SpecifierSet(text)
    except InvalidSpecifier:
        return None
    return [at for at, version in enumerate(versions) if specifier.contains(version)]


_NUMBERS = frozenset("0123456789.")


def _plain(versions: Sequence[str], text: str) -> list[int] | None:
    """Return the result of `matching_indexes` for bounds in the list, without importing `packaging`."""
    chosen = set(newest_indexes(versions, len(versions)))
    for clause in text.split(","):
        clause = clause.strip()  # noqa: PLW2901
        operator = clause[: 2 if clause[1:2] == "=" else 1]
        bound = clause[len(operator) :].strip()
        if operator not in (">=", "<=", "==", "!=", "<") or not set(bound) <= _NUMBERS:
            return None
        at = next((versions.index(each) for each in (bound, f"{bound}.0") if each in versions), None)
        if at is None:
            return None
        match operator:
            case ">=":
                chosen &= set(range(at, len(versions)))
            case "<=":
                chosen &= set(range(at + 1))
            case "<":
                chosen &= set(range(at))
            case "==":
                chosen &= {at}
            case _:
                chosen -= {at}
    return sorted(chosen)
