"""What can be said of requirements from their specifiers alone, whichever versions exist."""

from collections.abc import Iterable, Iterator
from functools import cache

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import Version


def disjoint(one: SpecifierSet, other: SpecifierSet) -> bool:
    """Return whether no version can satisfy both, whichever versions exist."""
    return bool(one) and bool(other) and _empty(str(one), str(other))


@cache
def _empty(one: str, other: str) -> bool:
    both = SpecifierSet(one) & SpecifierSet(other)
    return not any(both.contains(version, prereleases=True) for version in _candidates(both))


def _candidates(specifiers: Iterable[Specifier]) -> Iterator[Version]:
    """Yield versions of which one satisfies the specifiers if any version does.

    The lowest version of a range is 0, a version that a specifier names, or what comes next after one: after
    `>V` and `!=V` a longer release, after `!=V.*` the next prefix. Below an upper bound alone lies 0.
    """
    yield Version("0")
    for specifier in specifiers:
        version = named_version(specifier)
        *head, last = version.release
        yield version
        yield Version(f"{version.epoch}!{'.'.join(map(str, version.release))}.0.1")
        yield Version(f"{version.epoch}!{'.'.join(map(str, [*head, last + 1]))}")


def named_version(specifier: Specifier) -> Version:
    """Return the version that a specifier names; of `==2.*` it is 2."""
    return Version(specifier.version.removesuffix(".*"))


def pinned(specifiers: SpecifierSet | None) -> Version | None:
    """Return the one version that a requirement allows when it is an exact pin."""
    pins = [each for each in specifiers or () if each.operator == "==" and not each.version.endswith("*")]
    return Version(pins[0].version) if pins else None


def python_specifier(requires_python: str | None) -> SpecifierSet:
    """Return a Requires-Python; any Python when there is none or, as for installers, when it is not valid."""
    try:
        return SpecifierSet(requires_python or "")
    except InvalidSpecifier:
        return SpecifierSet()
