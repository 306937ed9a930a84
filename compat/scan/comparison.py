"""Compare two releases for `--from` and `--to`: which releases are meant, and which findings are new."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from compat.errors import UsageError
from compat.index.reader import Index
from compat.scan.findings import Finding
from compat.scan.fits import used_packages
from compat.scan.options import ScanOptions
from compat.scan.releases.project_pins import pinned_specifiers, project_root
from compat.scan.releases.selection import matching_indexes, newest_indexes
from compat.scan.sources.discovery import Files

_PACKAGES = ("sglang", "vllm")


class Comparison(NamedTuple):
    """Two releases of a package."""

    package: str
    old: str
    new: str


def compared_releases(
    options: ScanOptions, index: Index, files: Sequence[str], store: Files
) -> tuple[Comparison, ...]:
    """Return the releases that `--from` and `--to` name.

    Raises:
        UsageError: a release does not exist, or it is not clear of which package it is one.
    """
    used = used_packages(filter(store.may_name_package, files), store)
    old = named_releases(index, options.old, "--from", used)
    new = named_releases(index, options.new, "--to", used, old)
    found = []
    for package in _PACKAGES:
        if package not in {**old, **new}:
            continue
        versions = index.versions(package)
        first = old.get(package) or _pinned(options.paths[0], package, versions)
        found.append(Comparison(package, first, new.get(package) or _latest(index, package)))
    return tuple(found)


def named_releases(
    index: Index,
    texts: Iterable[str],
    option: str,
    used: Iterable[str],
    named: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the releases that the values of an option name, by package.

    Args:
        index: the index of releases.
        texts: the values, such as `vllm==0.18.1` or `0.18.1`.
        option: the option.
        used: the packages that the tree uses.
        named: the packages of the other option; a version alone is then one of theirs.

    Raises:
        UsageError: a release does not exist, it is not clear of which package it is one, or two are of one.
    """
    found: dict[str, str] = {}
    for text in texts:
        package, version = _release(index, text, option, sorted(named or used or _PACKAGES))
        if found.get(package, version) != version:
            raise UsageError(f"{option}: {package} {found[package]} and {version}; name one of them")
        found[package] = version
    return found


def only_new(findings: Iterable[Finding], compared: Iterable[Comparison]) -> tuple[Finding, ...]:
    """Return the findings that break in the new release and not in the old one, and what cannot be read."""
    releases = {each.package: each for each in compared}
    return tuple(
        each
        for each in findings
        if each.rule == "CPT000" or (each.package in releases and _is_new(each, releases[each.package]))
    )


def _is_new(finding: Finding, compared: Comparison) -> bool:
    ends = {version for ends in finding.broken_in for version in ends}
    return compared.new in ends and compared.old not in ends


def _release(index: Index, text: str, option: str, possible: Sequence[str]) -> tuple[str, str]:
    """Return the package and the version that a value names; a version alone is of a possible package."""
    package, given, version = text.partition("==")
    if given:
        if package.strip() not in _PACKAGES:
            raise UsageError(f"{option}: {text!r}: expected vllm==VERSION or sglang==VERSION")
        return package.strip(), _version(index, package.strip(), version.strip(), option)
    known = [each for each in possible if text == "latest" or index.knows(each, text)]
    if len(possible) == 1:
        return possible[0], _version(index, possible[0], text, option)
    if len(known) != 1:
        what = "may be of either package" if known else "is not a release of either package"
        raise UsageError(f"{option}: {text!r} {what}; name the package, such as vllm=={text}")
    return known[0], _version(index, known[0], text, option)


def _version(index: Index, package: str, text: str, option: str) -> str:
    if text == "latest":
        return _latest(index, package)
    return index.versions(package)[index.release_index(package, text, option)]


def _latest(index: Index, package: str) -> str:
    """Return the newest release, checkouts and builds left out."""
    versions = index.versions(package)
    return versions[newest_indexes(versions[: index.published(package)], 1)[0]]


def _pinned(path: str, package: str, versions: Sequence[str]) -> str:
    """Return the newest release that the project pins."""
    root = project_root(path) or os.path.abspath(path)  # noqa: PTH100 -- as in `compat.scan.runner`
    specifiers = pinned_specifiers(root).get(package, {})
    at = [at for specifier in specifiers for at in matching_indexes(versions, specifier) or ()]
    if not at:
        raise UsageError(f"--to: {package} is not pinned here; name the release to start from with --from")
    return versions[max(at)]
