"""The records of an upgrade: what blocks each release of a package, and how much work that is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Effort = Literal["safe fix", "unsafe fix", "by hand"]
EFFORTS: tuple[Effort, ...] = ("safe fix", "unsafe fix", "by hand")
"""The kinds of work, the least first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """Findings with the same cause in one release, which the code does not have today."""

    rule: str
    statement: str
    """What breaks, as an import statement or a dotted path."""
    effort: Effort
    reason: str
    """Why it breaks, in a few words."""
    replacement: str | None
    """What to write instead, as an import statement."""
    since: str
    """The first release after today's in which it breaks."""
    places: tuple[tuple[str, int], ...]
    """Files and lines."""

    def as_document(self) -> dict[str, Any]:
        """Return the blocker as an object of the JSON document."""
        return {
            "rule": self.rule,
            "import": self.statement,
            "effort": self.effort,
            "reason": self.reason,
            "replacement": self.replacement,
            "since": self.since,
            "places": [{"path": path, "line": line} for path, line in self.places],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageUpgrade:
    """How far a tree can go with one package."""

    package: str
    current: str
    """The release to start from."""
    source: str
    """Why that is today's release."""
    standing: int
    """The number of findings in that release; they stand in the way of nothing."""
    versions: tuple[str, ...]
    """The releases from today's to the target, pre-releases left out."""
    counts: Mapping[str, Mapping[Effort, int]]
    """Release to the number of findings that today's release does not have, by effort."""
    blockers: tuple[Blocker, ...]
    """What blocks the target."""

    @property
    def target(self) -> str:
        """The release to reach."""
        return self.versions[-1]

    @property
    def as_is(self) -> str:
        """The newest release with which the code works as it is."""
        return self.reachable()[-1]

    @property
    def after_safe_fixes(self) -> str:
        """The newest release with which the code works once all safe fixes are written."""
        return self.reachable(fixed=True)[-1]

    def reachable(self, *, fixed: bool = False) -> list[str]:
        """Return the releases with which the code works, oldest first.

        Args:
            fixed: whether safe fixes are written.
        """
        return [
            version
            for version in self.versions
            if not any(
                count for effort, count in self.counts[version].items() if effort != "safe fix" or not fixed
            )
        ]

    def later(self) -> Iterator[tuple[str, str, Mapping[Effort, int]]]:
        """Yield the releases after `as_is`, in ranges with the same numbers of findings."""
        left: Sequence[str] = self.versions[self.versions.index(self.as_is) + 1 :]
        begin = 0
        for at, version in enumerate(left):
            if at + 1 == len(left) or self.counts[left[at + 1]] != self.counts[version]:
                yield left[begin], version, self.counts[version]
                begin = at + 1

    def as_document(self) -> dict[str, Any]:
        """Return the upgrade as an object of the JSON document."""
        return {
            "package": self.package,
            "current": {"version": self.current, "source": self.source, "findings": self.standing},
            "as_is": self.as_is,
            "after_safe_fixes": self.after_safe_fixes,
            "target": self.target,
            "later": [
                {"first": first, "last": last, "findings": {effort: counts[effort] for effort in EFFORTS}}
                for first, last, counts in self.later()
            ],
            "blockers": [each.as_document() for each in self.blockers],
        }
