"""Make issues of calls and subclasses: the ranges of releases, and since when they do not fit."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from compat.index.query.answers import Answer
from compat.scan.calls.fitting import Fitting
from compat.scan.check.reference_checker import Issue, Rule
from compat.scan.findings import BrokenRange
from compat.scan.releases.index_lookup import LookupOutcome, ReleaseSet, ranges
from compat.scan.syntax.references import Reference


class RangedIssue(NamedTuple):
    """An issue with the ranges of releases in which it occurs."""

    issue: Issue
    ranges: tuple[BrokenRange, ...]


class Unfit(NamedTuple):
    """What does not fit in a release."""

    text: str
    """The call or the override as text for people."""
    reason: str
    subject: str
    """What fits other releases: `the call`, `the override`."""
    more: str = ""
    """What else to say, after the releases that fit."""


def ranged_issue(  # noqa: PLR0917 -- they are one question
    reference: Reference,
    rule: Rule,
    release_set: ReleaseSet,
    versions: Sequence[str],
    reached: int,
    fitting: Fitting,
    unfit: Callable[[int], Unfit],
) -> RangedIssue:
    """Return the issue of something that does not fit some releases.

    Args:
        reference: what does not fit.
        rule: the rule.
        release_set: the selected releases.
        versions: all releases of the package.
        reached: the selected releases in which it does not fit and code reaches it.
        fitting: finds the releases of the package that fit.
        unfit: returns what does not fit in one of the selected releases.
    """
    found: list[BrokenRange] = []
    text = ""
    for first, last in ranges(reached):
        for slot in range(first, last + 1):
            at, version = release_set.release_indexes[slot], release_set.versions[slot]
            what = unfit(slot)
            text = what.text
            reason = f"{what.reason}; {what.subject} {_since(fitting, versions, at)}{what.more}"
            if slot > first and found[-1].reason == reason:
                found[-1] = found[-1]._replace(last=version)
            else:
                cause = "not_yet_added" if fitting.before(at) is None else "symbol_removed"
                found.append(BrokenRange(version, version, cause, reason, None))  # type: ignore[arg-type]
    outcome = LookupOutcome("", "", "", Answer(status="defined"))
    issue = Issue(reference, release_set.package, rule, reached, outcome, text)
    return RangedIssue(issue, tuple(found))


def _since(fitting: Fitting, versions: Sequence[str], at: int) -> str:
    """Return which release is the last that fits before one, by its index, or else the first after it."""
    before, after = fitting.before(at), fitting.after(at)
    if before is not None:
        return f"fits up to {versions[before]}"
    return "fits other releases" if after is None else f"fits from {versions[after]}"
