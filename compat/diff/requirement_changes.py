"""Compare what two releases require of other distributions and of Python."""

from collections.abc import Iterable
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from compat.index.reader import Index


class RequirementChange(NamedTuple):
    """A distribution that is required otherwise."""

    name: str
    """The distribution, with the extra that requires it: `outlines[srt]`; `python` for Python itself."""
    old: tuple[str, ...]
    """The specifiers of the first release; empty if it does not require it, `any` without a specifier."""
    new: tuple[str, ...]


def requirement_changes(index: Index, package: str, old: int, new: int) -> tuple[RequirementChange, ...]:
    """Return the changes of requirements, ordered by name."""
    rows = index.releases(package)
    one, other = (_requirements(rows[at].requires_dist) for at in (old, new))
    for found, at in ((one, old), (other, new)):
        found["python"] = {str(SpecifierSet(text)) for text in [rows[at].requires_python] if text}
    return tuple(
        RequirementChange(name, tuple(sorted(one.get(name, ()))), tuple(sorted(other.get(name, ()))))
        for name in sorted(one.keys() | other.keys())
        if one.get(name, set()) != other.get(name, set())
    )


def _requirements(lines: Iterable[str]) -> dict[str, set[str]]:
    """Return the specifiers of each required distribution, with the markers that are about no extra."""
    found: dict[str, set[str]] = {}
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        marker = str(requirement.marker or "")
        extra = marker.partition('extra == "')[2].partition('"')[0]
        name = canonicalize_name(requirement.name) + (f" [{extra}]" if extra else "")
        rest = "" if not marker or extra else f"; {marker}"
        found.setdefault(name, set()).add(f"{requirement.specifier or 'any'}{rest}")
    return found
