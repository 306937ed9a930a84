"""Find regular expressions that backtrack: those that can match one text in a growing number of ways.

A pattern becomes a position automaton, whose states are the characters and classes of the pattern. It is
ambiguous without a bound if two states, each on a loop, can both be in use after the same text: it leads from
`p` to `p`, from `p` to `q` and from `q` to `q` (Weber and Seidl, "On the degree of ambiguity of finite
automata", 1991). The number of ways is exponential if `p` and `q` are on one loop, and otherwise a
polynomial, whose degree is the length of the longest chain of such states. Assertions count as always true,
so that a pattern is sometimes refused that an assertion makes unambiguous.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

if sys.version_info >= (3, 11):
    from re import _compiler, _parser  # type: ignore[attr-defined]
else:
    import sre_compile as _compiler
    import sre_parse as _parser

LETTERS = [*map(chr, range(128)), "é", "│", "\u3000", "٣"]
"""One character for each class that the patterns distinguish, and all of ASCII."""
EXPONENTIAL = 1_000
"""A degree that stands for an exponential number of ways."""

Follow = Mapping[int, set[int]]
Pattern = re.Pattern[str] | re.Pattern[bytes]


def degree(pattern: Pattern, *, many: int, whole: bool) -> int:
    """Return the degree of ambiguity of a pattern; 0 if the number of ways is bounded.

    Args:
        pattern: the pattern.
        many: a repetition of at least so many times counts as one without a bound.
        whole: whether it has to match a whole text; otherwise a match ends the search as soon as it can.
    """
    parsed = _parser.parse(pattern.pattern, pattern.flags)
    automaton = _Automaton(pattern, parsed.state, many)
    ends = automaton.sequence(parsed).ends
    # Once a match could end, the search does not go back beyond it.
    states = set(range(len(automaton.classes))).difference(() if whole else ends)
    edges = {(a, b): times for (a, b), times in automaton.edges.items() if {a, b} <= states}
    follow = {state: {b for a, b in edges if a == state} for state in states}
    reach = {state: _reachable(state, follow) for state in states}
    if any(times > 1 and a in reach[b] for (a, b), times in edges.items()):
        return EXPONENTIAL
    looping = [state for state in states if state in reach[state]]
    pairs = [
        (p, q)
        for p in looping
        for q in looping
        if p != q and q in reach[p] and _together(p, q, follow, reach, automaton.classes)
    ]
    return EXPONENTIAL if any(p in reach[q] for p, q in pairs) else _longest(pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A part of a pattern."""

    first: Sequence[int] = ()
    last: Sequence[int] = ()
    ends: Sequence[int] = ()
    """The last states after which no assertion follows."""
    empty: bool = True
    """Whether the part matches the empty text."""
    free: bool = True
    """Whether the part matches the empty text anywhere."""


@dataclass(slots=True)
class _Automaton:
    pattern: Pattern
    state: Any
    many: int
    classes: list[int] = field(default_factory=list)
    """The characters of each state, as bits."""
    edges: Counter[tuple[int, int]] = field(default_factory=Counter)
    """How often one state follows another: twice, if two repetitions can continue in the same way."""

    def sequence(self, items: Iterable[Any]) -> _Part:
        whole = _Part()
        for item in items:
            whole = self._joined(whole, self._part(item))
        return whole

    def _joined(self, one: _Part, two: _Part) -> _Part:
        self.edges.update((a, b) for a in one.last for b in two.first)
        return _Part(
            first=[*one.first, *(two.first if one.empty else ())],
            last=[*two.last, *(one.last if two.empty else ())],
            ends=[*two.ends, *(one.ends if two.free else ())],
            empty=one.empty and two.empty,
            free=one.free and two.free,
        )

    def _part(self, item: Any) -> _Part:
        operation, argument = str(item[0]), item[1]
        if operation in {"MAX_REPEAT", "MIN_REPEAT"}:
            return self._repeated(*argument)
        if operation == "SUBPATTERN":
            return self.sequence(argument[-1])
        if operation == "BRANCH":
            parts = [self.sequence(branch) for branch in argument[1]]
            return _Part(
                first=[state for part in parts for state in part.first],
                last=[state for part in parts for state in part.last],
                ends=[state for part in parts for state in part.ends],
                empty=any(part.empty for part in parts),
                free=any(part.free for part in parts),
            )
        if operation in {"AT", "ASSERT", "ASSERT_NOT", "GROUPREF"}:
            return _Part(free=False)
        return self._letter(item)

    def _letter(self, item: Any) -> _Part:
        single = _compiler.compile(_parser.SubPattern(self.state, [item]), self.pattern.flags)
        letters = map(_encoded, LETTERS) if isinstance(self.pattern.pattern, bytes) else LETTERS
        self.classes.append(sum(1 << at for at, each in enumerate(letters) if single.fullmatch(each)))
        new = [len(self.classes) - 1]
        return _Part(first=new, last=new, ends=new, empty=False, free=False)

    def _repeated(self, least: int, most: Any, items: Any) -> _Part:
        if most is _parser.MAXREPEAT or most >= self.many:
            part = self.sequence(items)
            self.edges.update((a, b) for a in part.last for b in part.first)
            return _optional(part) if least == 0 else part
        rest = _Part()
        for number in reversed(range(min(most, 2))):  # a second time only after the first
            part = self._joined(self.sequence(items), rest)
            rest = _optional(part) if number >= least else part
        return rest


def _optional(part: _Part) -> _Part:
    return _Part(first=part.first, last=part.last, ends=part.ends)


def _encoded(letter: str) -> bytes:
    return letter.encode("latin-1", "replace")


def _reachable(state: int, follow: Follow) -> set[int]:
    found: set[int] = set()
    waiting = list(follow[state])
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += follow[each]
    return found


def _together(p: int, q: int, follow: Follow, reach: Follow, classes: Sequence[int]) -> bool:
    """Return whether one text leads from `p` to `p`, from `p` to `q` and from `q` to `q`."""
    seen: set[tuple[int, int, int]] = set()
    waiting = [(p, p, q)]
    while waiting:
        for new in _steps(waiting.pop(), follow, classes):
            a, b, c = new
            if new == (p, q, q):
                return True
            if new not in seen and p in reach[a] and q in reach[b] and q in reach[c]:
                seen.add(new)
                waiting.append(new)
    return False


def _steps(
    at: tuple[int, int, int], follow: Follow, classes: Sequence[int]
) -> Iterator[tuple[int, int, int]]:
    for a in follow[at[0]]:
        for b in follow[at[1]]:
            if shared := classes[a] & classes[b]:
                yield from ((a, b, c) for c in follow[at[2]] if shared & classes[c])


def _longest(pairs: Sequence[tuple[int, int]]) -> int:
    """Return the number of pairs in the longest chain `(a, b), (b, c), …`; there is no circle."""
    after = {p: [q for other, q in pairs if other == p] for p, _ in pairs}

    def chain(state: int) -> int:
        return max((1 + chain(each) for each in after.get(state, ())), default=0)

    return max(map(chain, after), default=0)
