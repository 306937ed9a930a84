"""Known failures: which disagreements `matrix.toml` explains, and which of its entries explain nothing."""

import fnmatch
from collections.abc import Sequence

from compat.matrix.outcome import Disagreement, ExpectedFailure
from compat.model.releases import KnownFailure
from compat.model.symbols import split_location


def explain(
    disagreements: Sequence[Disagreement], expect: Sequence[KnownFailure], *, cuda: bool
) -> tuple[tuple[Disagreement, ...], tuple[ExpectedFailure, ...], tuple[KnownFailure, ...]]:
    """Return the disagreements that are left, those that are explained, and the entries that met none.

    Args:
        disagreements: what comparing gave.
        expect: the pair's entries; only those count whose `when` fits this machine.
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
    places = (disagreement.location, split_location(disagreement.location)[0])
    return any(fnmatch.fnmatchcase(place, entry.location) for place in places)
