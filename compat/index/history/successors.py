"""Find the likely successor of each removed definition by similarity."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from compat.index.history.similarity import (
    Definition,
    Likeness,
    Words,
    body_likeness,
    compared,
    likeness,
    parts,
)
from compat.index.records import Successor

LEAST = 0.5
"""The minimum confidence of a successor."""
COMMON = 40
"""A phrase or a part of a name in more definitions than this is ignored."""
CLOSEST = 12
"""The number of candidates that are compared in full."""
CERTAIN = 0.8
"""The minimum confidence to prefer a candidate in the module to which its neighbours moved."""
SMALL = 24
"""A source with fewer phrases than this is weak evidence."""


def successors(
    last: int, gone: Sequence[Definition], come: Sequence[Definition], kept: Sequence[Definition]
) -> tuple[Successor, ...]:
    """Return the likely successors of removed definitions, ordered by module and name.

    Args:
        last: the index of the last release with the definitions.
        gone: the definitions that were removed from their modules.
        come: the definitions that the next release adds.
        kept: the other definitions of the modules of `gone`, which still exist.
    """
    words = Words(each.name for each in (*gone, *come, *kept))
    found = _Candidates(come)
    arrived = {each.name for each in come}
    living = _Candidates([*kept, *(each for each in gone if each.name in arrived)])
    judged = [_judged(old, found, living, words) for old in sorted(gone, key=_by_place)]
    company = _company(each[0] for each in judged if each)
    claimed = [_in_company(each, company) for each in judged if each]
    return tuple(_successor(last, claim) for claim in claimed if claim.confidence >= LEAST)


class _Claim(NamedTuple):
    """A candidate for the successor of a definition."""

    old: Definition
    new: Definition
    confidence: float
    alike: Likeness

    @property
    def moved(self) -> bool:
        """Whether it keeps the name."""
        return self.old.name == self.new.name


def judge(old: Definition, new: Definition, words: Words) -> tuple[float, Likeness]:
    """Return the confidence that `new` is the successor of `old`, without rivals, and the similarity."""
    alike = likeness(old, new, words)
    members = (alike.members + alike.bases) / 2
    enough = min(1.0, len(old.features.own.phrases) / SMALL)
    body = alike.body * (0.6 + 0.4 * enough)
    if old.name == new.name:
        return min(1.0, 0.25 + 0.55 * body + 0.15 * members + 0.2 * alike.place), alike
    confidence = 0.65 * body + 0.3 * alike.name + 0.08 * members + 0.05 * alike.place
    if old.module != new.module and words.rarest(old.name) not in parts(new.name):
        # The most specific part of the name is lost: the candidate is often only of the same sort.
        confidence -= 0.12
    return min(1.0, confidence), alike


def _judged(old: Definition, found: "_Candidates", living: "_Candidates", words: Words) -> list[_Claim]:
    """Return all candidates, likeliest first; the confidence of the first is reduced by counter-evidence."""
    claims = [_Claim(old, new, *judge(old, new, words)) for new in found.near(old)]
    claims.sort(key=lambda each: (-each.confidence, -each.alike.place, *_by_place(each.new)))
    if not claims:
        return []
    first, *others = claims
    rivals = [each for each in others if first.moved or each.new.name != first.new.name]
    confidence = first.confidence - _doubt(first.confidence, rivals[0].confidence if rivals else 0.0)
    if not first.moved and _copied(first.new, living, first.alike.body):
        confidence -= 0.25
    return [first._replace(confidence=confidence), *others]


def _company(firsts: Iterable[_Claim]) -> dict[str, str]:
    """Return, per old module, the new module of most of its moved definitions (at least two)."""
    votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for claim in firsts:
        if claim.moved and claim.confidence >= LEAST:
            votes[claim.old.module][claim.new.module] += 1
    leading = {
        module: min(count.items(), key=lambda vote: (-vote[1], vote[0])) for module, count in votes.items()
    }
    return {
        module: target
        for module, (target, count) in leading.items()
        if count > 1 and count * 2 > votes[module].total()
    }


def _in_company(claims: Sequence[_Claim], company: Mapping[str, str]) -> _Claim:
    """Return the likeliest candidate, or an equal one in the module to which the other definitions moved.

    If a module was copied before it moved, the copies are as similar as the true successor, or more so.
    """
    first = claims[0]
    target = company.get(first.old.module)
    if not first.moved or first.new.module == target:
        return first
    twins = (each for each in claims[1:] if each.moved and each.new.module == target)
    return next((each for each in twins if each.confidence >= CERTAIN), first)


class _Candidates:
    """Finds definitions by features that they share with another one."""

    def __init__(self, definitions: Iterable[Definition]) -> None:
        self._all = sorted(definitions, key=lambda each: (each.module, each.name))
        self._by_phrase = _by(
            ((phrase, at) for at, each in enumerate(self._all) for phrase in each.features.whole.phrases)
        )
        self._by_part = _by(((part, at) for at, each in enumerate(self._all) for part in parts(each.name)))
        self._by_name = _by(((each.name, at) for at, each in enumerate(self._all)))

    def near(self, old: Definition) -> Iterator[Definition]:
        """Yield definitions of the same kind that share the name, many phrases, or rare parts of the name."""
        chosen = dict.fromkeys(self._by_name.get(old.name, ()))
        chosen.update(dict.fromkeys(self._closest(self._by_phrase, old.features.whole.phrases)))
        chosen.update(dict.fromkeys(self._closest(self._by_part, parts(old.name))))
        for at in chosen:
            if self._all[at].features.kind == old.features.kind:
                yield self._all[at]

    def _closest(self, table: Mapping[object, Sequence[int]], keys: Iterable[object]) -> list[int]:
        shared: Counter[int] = Counter()
        for key in keys:
            places = table.get(key, ())
            if len(places) <= COMMON:
                shared.update(places)
        return sorted(shared, key=lambda at: (-shared[at], at))[:CLOSEST]


def _by(pairs: Iterable[tuple[object, int]]) -> dict[object, list[int]]:
    table: defaultdict[object, list[int]] = defaultdict(list)
    for key, at in pairs:
        table[key].append(at)
    return dict(table)


def _doubt(confidence: float, rival: float) -> float:
    """Return by how much an almost equal second candidate reduces the confidence."""
    return max(0.0, 0.1 - (confidence - rival)) * 2


def _copied(new: Definition, living: _Candidates, body: float) -> bool:
    """Return whether the new definition is rather a copy of an existing one, or its move."""
    others = living.near(Definition(new.module, new.name, new.features))
    return any(body_likeness(other.features.own, new.features.own) > body for other in others)


def _successor(last: int, claim: _Claim) -> Successor:
    old, new, confidence, alike = claim
    return Successor(
        module=new.module,
        name=new.name,
        confidence=round(confidence, 2),
        evidence=_evidence(old, new, alike),
        old_module=old.module,
        old_name=old.name,
        last=last,
    )


def _by_place(definition: Definition) -> tuple[str, str]:
    return definition.module, definition.name


def _evidence(old: Definition, new: Definition, alike: Likeness) -> str:
    """Return the evidence for a successor as text."""
    one, other = compared(old.features, new.features)
    reasons = [f"body {alike.body:.2f}"]
    if old.features.kind == "class":
        if one.bases and one.bases == other.bases:
            reasons.append("same bases")
        if one.members:
            reasons.append(f"{len(one.members & other.members)} of {len(one.members)} methods")
    elif one.members:
        reasons.append(f"{len(one.members & other.members)} of {len(one.members)} parameters")
    return ", ".join(reasons)
