"""Compute what the site shows of pairs: clashes of their requirements, overrides, and the best partners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compat._cli.printable import printable
from compat.companions.reader import Companions
from compat.model.package_names import SGLANG, VLLM
from compat.partners.clashes import Clash
from compat.partners.indirect_clashes import known_requirements, predicted_clashes
from compat.partners.overrides import choose
from compat.partners.ranking import rank
from compat.partners.ranking_output import about, broken_text
from compat.requirements.release_requirements import requirements_of
from compat.requirements.release_summary import PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.index.reader import Index
    from compat.partners.ranking import Partner
    from compat.requirements.release_requirements import ReleaseRequirements

BEST = 8
"""The number of partners that the site names for a release."""
_TORCH = ("exact", "patch", "other")


def pairs_table(index: Index) -> dict[str, Any]:
    """Return the table of all pairs of final releases, on the default Python.

    `pairs` has, per release of sglang and of vllm, by index: how near their pins of torch are, the number of
    the problem, the numbers of the clashes, and the number of the text about modules that cannot be imported.
    A clash is the package, the two specifiers (with the pinned distribution that has one) and the override.
    """
    needs = {
        package: [requirements_of(package, each, PYTHON) for each in index.releases(package)]
        for package in (SGLANG, VLLM)
    }
    table = _Table(index, needs[SGLANG], needs[VLLM])
    pairs: dict[str, dict[str, list[Any]]] = {}
    best: dict[str, dict[str, list[int]]] = {SGLANG: {}, VLLM: {}}
    summaries: dict[str, dict[str, str]] = {SGLANG: {}, VLLM: {}}
    for package, other in ((SGLANG, VLLM), (VLLM, SGLANG)):
        for at, version in enumerate(index.versions(package)):
            mine, partners = rank(index, package, version, PYTHON)
            if not mine.final:
                continue
            summaries[package][str(at)] = printable(about(mine))
            fitting = [each for each in partners if not each.problem]
            best[package][str(at)] = [
                index.versions(other).index(each.candidate.version) for each in fitting[:BEST]
            ]
            if package == SGLANG:
                pairs[str(at)] = {
                    str(index.versions(VLLM).index(each.vllm.version)): table.pair(at, each)
                    for each in partners
                }
    return {
        "python": PYTHON,
        "pairs": pairs,
        "best": best,
        "about": summaries,
        "extras": {str(at): list(each.extras) for at, each in enumerate(needs[SGLANG]) if each.extras},
        "clashes": [list(each) for each in table.clashes],
        "problems": list(table.problems),
    }


class _Table:
    """Numbers the clashes and problems of pairs, each of which many pairs share."""

    def __init__(
        self, index: Index, sglang: list[ReleaseRequirements], vllm: list[ReleaseRequirements]
    ) -> None:
        self._needs = sglang, vllm
        self._vllm = index.versions(VLLM)
        self._required = known_requirements(Companions(), PYTHON)
        self._known: dict[tuple[str, ...], int] = {}
        self.clashes: dict[tuple[str, ...], int] = {}
        self.problems: dict[str, int] = {"": 0}

    def pair(self, sglang: int, partner: Partner) -> list[Any]:
        """Return how near the pins of torch are, the number of the problem, the clashes, and what breaks."""
        problem = self._number(partner.problem)
        broken = self._number(broken_text(partner))
        keys = [tuple(each) for each in (*partner.clashes, *partner.indirect)]
        if any(key not in self._known for key in keys):
            self._learn(keys, sglang, self._vllm.index(partner.vllm.version))
        return [_TORCH.index(partner.same_torch), problem, [self._known[key] for key in keys], broken]

    def _number(self, text: str) -> int:
        return self.problems.setdefault(printable(text), len(self.problems))

    def _learn(self, keys: list[tuple[str, ...]], sglang: int, vllm: int) -> None:
        """Add the clashes of a pair, with the override of each."""
        found = {
            str(clash.package): clash
            for clash in predicted_clashes(self._needs[0][sglang], self._needs[1][vllm], self._required)
        }
        for key in keys:
            clash = found[key[0]]
            row = (key[0], *_specifiers(clash), str(choose(clash)), "torch" if clash.bound else "")
            self._known[key] = self.clashes.setdefault(row, len(self.clashes))


def _specifiers(clash: Clash) -> Iterator[str]:
    """Yield the specifiers of sglang and of vllm, with the pinned distribution that has one, if any."""
    sides = {each.side: each for each in clash.sides}
    for side in (SGLANG, VLLM):
        own = clash.direct or sides[side].by.startswith((f"{side} ", f"{side}["))
        yield str(sides[side].specifiers) + ("" if own else f" by {sides[side].by}")
