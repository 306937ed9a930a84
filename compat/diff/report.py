"""Put a comparison together: changes of names and of requirements, and what a tree uses of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from compat.diff.changes import Change, Comparison
from compat.diff.option_changes import OptionChanges, option_changes
from compat.diff.requirement_changes import RequirementChange, requirement_changes
from compat.diff.sides import Sides
from compat.diff.used_names import Use, located, used_names


class DiffReport(NamedTuple):
    """What changes between two releases of a package."""

    package: str
    old: str
    new: str
    changes: tuple[Change, ...]
    requirements: tuple[RequirementChange, ...]
    options: OptionChanges
    uses: Mapping[tuple[str, str], list[Use]] | None = None
    """The uses of each changed name; None if the comparison is not limited to what a tree uses."""

    @property
    def breaking(self) -> bool:
        """Whether code that works with the first release may fail with the second."""
        return any(change.breaking for change in self.changes)


def compare(sides: Sides, old: int, new: int, used_by: Sequence[str]) -> DiffReport:
    """Return what changes between two releases, or only what some files use of that."""
    comparison = Comparison(sides.reader, sides.package, old, new)
    labels = sides.label(old), sides.label(new)
    about = (
        requirement_changes(sides.reader, sides.package, old, new),
        option_changes(sides.reader, sides.package, old, new),
    )
    if not used_by:
        return DiffReport(sides.package, *labels, tuple(comparison.everything()), *about)
    uses = located(used_names(used_by, sides.package), sides.reader, sides.package, old)
    found = (comparison.of(*place) for place in sorted(uses))
    changes = tuple(change for change in found if change is not None and change.sort != "added")
    return DiffReport(sides.package, *labels, changes, *about, uses)
