"""Match disagreements with the `expect` entries of `matrix.toml`, and find entries that match none."""

import fnmatch
from collections.abc import Sequence

from compat.matrix.model.outcome import Disagreement, ExpectedFailure
from compat.model.releases import KnownFailure
from compat.model.symbols import split_location


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
        covering = [entry for entry in entries if _covers(entry, disagreement)]
        used.update(covering)
        if covering:
            reason, link = covering[0].reason, covering[0].link
            met.append(ExpectedFailure(disagreement=disagreement, reason=reason, link=link))
        else:
            left.append(disagreement)
    return tuple(left), tuple(met), tuple(entry for entry in entries if entry not in used)


def _covers(entry: KnownFailure, disagreement: Disagreement) -> bool:
    locations = (disagreement.location, split_location(disagreement.location)[0])
    return any(fnmatch.fnmatchcase(location, entry.location) for location in locations)
