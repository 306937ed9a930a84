"""Match disagreements with the `expect` entries of `matrix.toml`, and find entries that match none."""

import fnmatch
from collections.abc import Iterable, Sequence

from compat.matrix.judge.compare import UNCOMMITTED
from compat.matrix.model.outcome import Disagreement, ExpectedFailure
from compat.model.releases import KnownFailure
from compat.model.symbols import location, split_location
from compat.probe.expectation import ModuleExpectation


def explain(
    disagreements: Sequence[Disagreement], expect: Sequence[KnownFailure], *, cuda: bool
) -> tuple[tuple[Disagreement, ...], tuple[ExpectedFailure, ...], tuple[KnownFailure, ...]]:
    """Return the unexpected disagreements, the expected ones, and the entries that match no disagreement.

    Args:
        disagreements: the disagreements of a cell.
        expect: the entries of the pair; those whose `when` excludes this machine are ignored.
        cuda: whether torch found a GPU.
    """
    entries = [entry for entry in expect if entry.applies(cuda=cuda)]
    left: list[Disagreement] = []
    met: list[ExpectedFailure] = []
    used: set[KnownFailure] = set()
    for disagreement in disagreements:
        covering = [entry for entry in entries if _covers(entry, disagreement.location)]
        used.update(covering)
        if covering:
            reason, link = covering[0].reason, covering[0].link
            met.append(ExpectedFailure(disagreement=disagreement, reason=reason, link=link))
        else:
            left.append(disagreement)
    return tuple(left), tuple(met), tuple(entry for entry in entries if entry not in used)


def covered_packages(
    expected: Iterable[ModuleExpectation], expect: Sequence[KnownFailure], *, cuda: bool
) -> list[str]:
    """Return the packages in which every definite answer of the index is covered by an entry."""
    entries = [entry for entry in expect if entry.applies(cuda=cuda)]
    covered: dict[str, bool] = {}
    for module in expected:
        package = module.module.partition(".")[0]
        for name in () if module.must_fail else module.names:
            if name.status not in UNCOMMITTED:
                where = location(module.module, name.name)
                is_covered = any(_covers(entry, where) for entry in entries)
                covered[package] = covered.get(package, True) and is_covered
    return [package for package, all_of_it in covered.items() if all_of_it]


def _covers(entry: KnownFailure, where: str) -> bool:
    return any(fnmatch.fnmatchcase(each, entry.location) for each in (where, split_location(where)[0]))
