"""Which definition of a release took the place of one that the release before had: evidence, not tables."""

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
"""Confidence under which nothing is claimed."""
COMMON = 40
"""Definitions that may share a phrase or a part of a name before it says nothing about any of them."""
CLOSEST = 12
"""Candidates that are looked at in full, of those which share most."""
CERTAIN = 0.8
"""Confidence from which a move in company is taken for the right one of twins."""
SMALL = 24
"""Phrases under which a text is too short to prove much."""


def successors(
    last: int, gone: Sequence[Definition], come: Sequence[Definition], kept: Sequence[Definition]
) -> tuple[Successor, ...]:
    """Return the likely successors of the definitions that vanished, ordered by module and name.

    Args:
        last: index of the last release that had them.
        gone: what vanished from its module.
        come: what the next release defines where the last one did not.
        kept: definitions of the last release, around those that vanished, which did not vanish.
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
    """One definition that may have taken the place of another."""

    old: Definition
    new: Definition
    confidence: float
    alike: Likeness

    @property
    def moved(self) -> bool:
        """Whether it keeps the name."""
        return self.old.name == self.new.name


def judge(old: Definition, new: Definition, words: Words) -> tuple[float, Likeness]:
    """Return how likely `new` took the place of `old`, each looked at alone, and why."""
    alike = likeness(old, new, words)
    members = (alike.members + alike.bases) / 2
    enough = min(1.0, len(old.features.own.phrases) / SMALL)
    body = alike.body * (0.6 + 0.4 * enough)
    if old.name == new.name:
        return min(1.0, 0.25 + 0.55 * body + 0.15 * members + 0.2 * alike.place), alike
    confidence = 0.65 * body + 0.3 * alike.name + 0.08 * members + 0.05 * alike.place
    if old.module != new.module and words.rarest(old.name) not in parts(new.name):
        # What told it from others of its sort is lost: the new one is often no more than of that sort.
        confidence -= 0.12
    return min(1.0, confidence), alike


def _judged(old: Definition, found: "_Candidates", living: "_Candidates", words: Words) -> list[_Claim]:
    """Return every candidate, the likeliest first, less what speaks against that one."""
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
    """Return the module to which most of what left each module together has moved, two names at least."""
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
    """Return the likeliest claim, or the twin that is where the rest of its module went.

    A module that was copied before it moved leaves twins that are as like as the true successor, or more.
    """
    first = claims[0]
    target = company.get(first.old.module)
    if not first.moved or first.new.module == target:
        return first
    twins = (each for each in claims[1:] if each.moved and each.new.module == target)
    return next((each for each in twins if each.confidence >= CERTAIN), first)


class _Candidates:
    """Definitions, found by what they share with another one."""

    def __init__(self, definitions: Iterable[Definition]) -> None:
        self._all = sorted(definitions, key=lambda each: (each.module, each.name))
        self._by_phrase = _by(
            ((phrase, at) for at, each in enumerate(self._all) for phrase in each.features.whole.phrases)
        )
        self._by_part = _by(((part, at) for at, each in enumerate(self._all) for part in parts(each.name)))
        self._by_name = _by(((each.name, at) for at, each in enumerate(self._all)))

    def near(self, old: Definition) -> Iterator[Definition]:
        """Yield those of the same kind which share the name, many phrases, or rare parts of the name."""
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
    """Return how much a second candidate takes away that is nearly as good."""
    return max(0.0, 0.1 - (confidence - rival)) * 2


def _copied(new: Definition, living: _Candidates, body: float) -> bool:
    """Return whether something that lives on explains the new definition better: its copy, or its move."""
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
    """Return what speaks for a successor, in a few words."""
    one, other = compared(old.features, new.features)
    told = [f"body {alike.body:.2f}"]
    if old.features.kind == "class":
        if one.bases and one.bases == other.bases:
            told.append("same bases")
        if one.members:
            told.append(f"{len(one.members & other.members)} of {len(one.members)} methods")
    elif one.members:
        told.append(f"{len(one.members & other.members)} of {len(one.members)} parameters")
    return ", ".join(told)
