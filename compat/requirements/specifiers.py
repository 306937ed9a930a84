"""Compare specifiers without knowledge of the existing versions."""

from collections.abc import Iterable, Iterator
from functools import cache

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import Version


def disjoint(one: SpecifierSet, other: SpecifierSet) -> bool:
    """Return whether no possible version satisfies both specifiers."""
    return bool(one) and bool(other) and _empty(str(one), str(other))


@cache
def _empty(one: str, other: str) -> bool:
    both = SpecifierSet(one) & SpecifierSet(other)
    return not any(both.contains(version, prereleases=True) for version in _candidates(both))


def _candidates(specifiers: Iterable[Specifier]) -> Iterator[Version]:
    """Yield versions of which at least one satisfies the specifiers if they can be satisfied.

    The lowest version of a range is 0, a version in a specifier, or the next version after one: after
    `>V` and `!=V` a longer release, after `!=V.*` the next prefix. Without a lower bound it is 0.
    """
    yield Version("0")
    for specifier in specifiers:
        version = named_version(specifier)
        *head, last = version.release
        yield version
        yield Version(f"{version.epoch}!{'.'.join(map(str, version.release))}.0.1")
        yield Version(f"{version.epoch}!{'.'.join(map(str, [*head, last + 1]))}")


def named_version(specifier: Specifier) -> Version:
    """Return the version in a specifier; for `==2.*` it is 2."""
    return Version(specifier.version.removesuffix(".*"))


def pinned(specifiers: SpecifierSet | None) -> Version | None:
    """Return the only allowed version if the specifiers are an exact pin, else None."""
    pins = [each for each in specifiers or () if each.operator == "==" and not each.version.endswith("*")]
    return Version(pins[0].version) if pins else None


def python_specifier(requires_python: str | None) -> SpecifierSet:
    """Return the specifiers in Requires-Python; empty if it is missing or, as for installers, not valid."""
    try:
        return SpecifierSet(requires_python or "")
    except InvalidSpecifier:
        return SpecifierSet()
