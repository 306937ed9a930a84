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
from compat.index.records import BASE_CLASS, CALLED, Successor
from compat.model.symbols import is_peripheral

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
SWITCH = 0.45
"""What the confidence gains if very many modules import one name instead of the other, and no others."""
HANDED_ON = 0.9
"""The confidence of the base class or function to which the definition added nothing but a warning."""
PERIPHERAL = 0.3
"""What the confidence loses if a definition seems to move to tests, examples or vendored code."""


class ImportChanges(NamedTuple):
    """The modules of both releases whose imports change."""

    stopped: dict[str, list[str]]
    """The modules that stop importing each removed name."""
    started: dict[str, list[str]]
    """The modules that start importing each added name."""

    def switched(self, old: str, new: str) -> tuple[int, int]:
        """Return how many modules import `new` instead of `old`, and how many changed either import."""
        before, after = set(self.stopped.get(old, ())), set(self.started.get(new, ()))
        return len(before & after), len(before | after)

    def heirs(self, old: str) -> set[str]:
        """Return the names that at least half of the modules which stop importing `old` start importing."""
        before = set(self.stopped.get(old, ()))
        least = len(before) / 2
        return {new for new, after in self.started.items() if before and len(before & set(after)) >= least}


NO_CHANGES = ImportChanges({}, {})


def successors(
    last: int,
    gone: Sequence[Definition],
    come: Sequence[Definition],
    kept: Sequence[Definition],
    imports: ImportChanges = NO_CHANGES,
) -> tuple[Successor, ...]:
    """Return the likely successors of removed definitions, ordered by module and name.

    Args:
        last: the index of the last release with the definitions.
        gone: the definitions that were removed from their modules.
        come: the definitions that the next release adds.
        kept: the other definitions of the modules of `gone`, which still exist.
        imports: which modules import other names than before.
    """
    words = Words(each.name for each in (*gone, *come, *kept))
    found = _Candidates(come)
    arrived = {each.name for each in come}
    living = _Candidates([*kept, *(each for each in gone if each.name in arrived)])
    judged = [_judged(old, found, living, words, imports) for old in sorted(gone, key=_by_place)]
    company = _company(each[0] for each in judged if each)
    remaining = {(each.module, each.name): each for each in kept}
    claimed = [_handed_on(_in_company(each, company), remaining, words) for each in judged if each]
    claimed += [
        claim
        for old, claims in zip(sorted(gone, key=_by_place), judged, strict=True)
        if not claims and (claim := _base(old, remaining, words))
    ]
    return tuple(_successor(last, claim) for claim in claimed if claim.confidence >= LEAST)


class _Claim(NamedTuple):
    """A candidate for the successor of a definition."""

    old: Definition
    new: Definition
    confidence: float
    alike: Likeness
    switched: tuple[int, int] = (0, 0)
    """See `ImportChanges.switched`."""
    handed_on: bool = False
    """Whether the old definition added nothing to the new one."""

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


def _judged(
    old: Definition, found: "_Candidates", living: "_Candidates", words: Words, imports: ImportChanges
) -> list[_Claim]:
    """Return all candidates, likeliest first; the confidence of the first is reduced by counter-evidence."""
    claims = [_claim(old, new, words, imports) for new in found.near(old, imports.heirs(old.name))]
    claims.sort(key=lambda each: (-each.confidence, -each.alike.place, *_by_place(each.new)))
    if not claims:
        return []
    first, *others = claims
    rivals = [each for each in others if first.moved or each.new.name != first.new.name]
    confidence = first.confidence - _doubt(first.confidence, rivals[0].confidence if rivals else 0.0)
    if not first.moved and _copied(first.new, living, first.alike.body):
        confidence -= 0.25
    return [first._replace(confidence=confidence), *others]


def _claim(old: Definition, new: Definition, words: Words, imports: ImportChanges) -> _Claim:
    confidence, alike = judge(old, new, words)
    switched, changed = imports.switched(old.name, new.name)
    if switched and old.name != new.name:
        confidence += SWITCH * switched / changed * switched / (switched + 1)
    if is_peripheral(new.module) and not is_peripheral(old.module):
        enough = min(1.0, len(old.features.own.phrases) / SMALL)
        confidence -= PERIPHERAL * (1 - enough * alike.body)
    return _Claim(old, new, min(1.0, confidence), alike, (switched, changed))


def _base(old: Definition, remaining: Mapping[tuple[str, str], Definition], words: Words) -> _Claim | None:
    """Return the base class or function of the same module to which a definition added nothing."""
    new = remaining.get((old.module, old.features.hands_on or ""))
    if new is None or new.features.kind != old.features.kind:
        return None
    return _Claim(old, new, HANDED_ON, likeness(old, new, words), handed_on=True)


def _handed_on(claim: _Claim, remaining: Mapping[tuple[str, str], Definition], words: Words) -> _Claim:
    """Return the likelier of a candidate and of what the old definition handed its uses on to."""
    base = _base(claim.old, remaining, words)
    return base if base is not None and base.confidence > claim.confidence else claim


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

    def near(self, old: Definition, names: Iterable[str] = ()) -> Iterator[Definition]:
        """Yield definitions of the same kind that share the name, many phrases, or rare parts of the name.

        Those called one of `names` are added.
        """
        called = (old.name, *sorted(names))
        chosen = dict.fromkeys(at for name in called for at in self._by_name.get(name, ()))
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
    old, new, confidence = claim.old, claim.new, claim.confidence
    return Successor(
        module=new.module,
        name=new.name,
        confidence=round(confidence, 2),
        evidence=_evidence(claim),
        old_module=old.module,
        old_name=old.name,
        last=last,
    )


def _by_place(definition: Definition) -> tuple[str, str]:
    return definition.module, definition.name


def _evidence(claim: _Claim) -> str:
    """Return the evidence for a successor as text."""
    old, new, alike = claim.old, claim.new, claim.alike
    if claim.handed_on:
        return BASE_CLASS if old.features.kind == "class" else CALLED
    one, other = compared(old.features, new.features)
    reasons = [f"body {alike.body:.2f}"]
    if old.features.kind == "class":
        if one.bases and one.bases == other.bases:
            reasons.append("same bases")
        if one.members:
            reasons.append(f"{len(one.members & other.members)} of {len(one.members)} methods")
    elif one.members:
        reasons.append(f"{len(one.members & other.members)} of {len(one.members)} parameters")
    if claim.switched[0] and not claim.moved:
        reasons.append(f"{claim.switched[0]} of {claim.switched[1]} importing modules switched")
    return ", ".join(reasons)
