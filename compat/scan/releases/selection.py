"""Which releases a scan is about: those asked for, else those the project pins, else the newest."""

from collections.abc import Iterable, Sequence

from compat.errors import NothingSelectedError, UsageError
from compat.index.reader import Index
from compat.scan.releases.index_lookup import ReleaseSet

NEWEST = 10
"""Releases that are taken when nothing says which."""
FORM = "write a release, a specifier such as '>=0.20,<0.24', `latest` or `all`"


def asked(index: Index, package: str, texts: Sequence[str], option: str) -> ReleaseSet:
    """Return the releases that the values of an option name.

    Raises:
        UsageError: a value cannot be understood.
        NothingSelectedError: no release matches.
    """
    versions = index.versions(package)
    found: set[int] = set()
    for text in (text.strip() for text in texts):
        if text == "all":
            found.update(range(len(versions)))
        elif text == "latest":
            found.update(newest(versions, 1))
        elif text[:1].isdigit():
            found.add(index.release_index(package, text, option))
        else:
            matching = matches(versions, text)
            if matching is None:
                raise UsageError(f"{option}: {text!r} is not a specifier ({FORM})")
            if not matching:
                raise NothingSelectedError(
                    f"{option}: no indexed release of {package} matches {text!r}; "
                    f"there are {versions[0]} to {versions[-1]}"
                )
            found.update(matching)
    return release_set(index, package, found, " or ".join(texts))


def release_set(index: Index, package: str, release_indexes: Iterable[int], source: str) -> ReleaseSet:
    """Return the set of some releases."""
    versions = index.versions(package)
    ordered = tuple(sorted(set(release_indexes)))
    return ReleaseSet(package, ordered, tuple(versions[at] for at in ordered), source)


def default(index: Index, package: str) -> ReleaseSet:
    """Return the newest releases."""
    return release_set(index, package, newest(index.versions(package), NEWEST), f"the newest {NEWEST}")


def newest(versions: Sequence[str], count: int) -> list[int]:
    """Return the positions of the newest releases that are no pre-releases."""
    final = [
        at for at, version in enumerate(versions) if version.replace("post", "").replace(".", "").isdigit()
    ]
    return (final or list(range(len(versions))))[-count:]


def matches(versions: Sequence[str], text: str) -> list[int] | None:
    """Return the positions that a specifier admits; None when it is no specifier.

    Pre-releases are among them only when it names one.
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
    """Return what `matches` does for bounds that are themselves in the list: packaging takes time to load."""
    chosen = set(newest(versions, len(versions)))
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
