"""The output of `compat upgrade`: one page of text, or a JSON document."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from compat._cli import console
from compat._cli.printable import printable
from compat._cli.text import counted, listed
from compat.model.release_ranges import range_text
from compat.upgrade.pair import Proposal
from compat.upgrade.pins import PinChange
from compat.upgrade.steps import EFFORTS, Blocker, Effort, PackageUpgrade

_SHOWN = 8
"""Most causes of one kind that the page lists."""
_STEPS = 12
"""Most ranges of releases that the page lists for a package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeReport:
    """How far a tree can go."""

    upgrades: tuple[PackageUpgrade, ...]
    as_is: Proposal
    after_safe_fixes: Proposal | None
    """None if safe fixes lead no further."""
    pins: tuple[PinChange, ...]
    """What the pins would have to say for the last of these proposals."""
    folder: str = ""
    """The scanned folder, which the text leaves out of paths."""

    def place(self, path: str, line: int) -> str:
        """Return a place as text, relative to the scanned folder."""
        return f"{path.removeprefix(self.folder)}:{line}"

    @property
    def arrived(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.as_is.problem and all(each.as_is == each.target for each in self.upgrades)


def as_text(report: UpgradeReport) -> str:
    """Return the report as one page of text."""
    lines: list[str] = []
    for each in report.upgrades:
        lines += [*_package(each, report), ""]
    lines += _proposal("works as it is", report.as_is)
    if report.after_safe_fixes is not None:
        lines += ["", *_proposal("works after safe fixes (--fix)", report.after_safe_fixes)]
    if report.pins:
        lines += [
            "",
            "the pins would change, which --fix leaves to you:",
            *(f"  {each.text}" for each in report.pins),
        ]
    return "\n".join(map(printable, lines))


def as_json(report: UpgradeReport) -> str:
    """Return the report as the JSON document of `compat upgrade`."""
    fixed = report.after_safe_fixes
    return console.document(
        "upgrade",
        packages=[each.as_document() for each in report.upgrades],
        as_is=report.as_is.as_document(),
        after_safe_fixes=None if fixed is None else fixed.as_document(),
        pins=[each.as_document() for each in report.pins],
    )


def _package(upgrade: PackageUpgrade, report: UpgradeReport) -> Iterator[str]:
    standing = f"; {counted(upgrade.standing, 'finding')} there already" if upgrade.standing else ""
    yield f"{upgrade.package} {upgrade.current} ({upgrade.source}{standing})"
    if upgrade.current == upgrade.target:
        yield "  is the release to reach"
        return
    yield f"  works as it is with     {upgrade.as_is}"
    if upgrade.after_safe_fixes != upgrade.as_is:
        yield f"  after safe fixes with   {upgrade.after_safe_fixes}"
    later = list(upgrade.later())
    if not later:
        return
    yield f"  in the way of later releases, up to {upgrade.target}:"
    rows = [(range_text((first, last)), work_text(counts)) for first, last, counts in later]
    if len(rows) > _STEPS:
        rows = [*rows[: _STEPS - 1], rows[-1]]
    width = max(len(releases) for releases, _ in rows)
    yield from (f"    {releases.ljust(width)}  {work}" for releases, work in rows)
    if len(later) > _STEPS:
        yield f"    ({len(later) - _STEPS} more ranges are left out)"
    for effort in EFFORTS:
        yield from _blockers(
            effort, [each for each in upgrade.blockers if each.effort == effort], upgrade, report
        )


def _blockers(
    effort: Effort, blockers: Sequence[Blocker], upgrade: PackageUpgrade, report: UpgradeReport
) -> Iterator[str]:
    if not blockers:
        return
    places = sum(len(each.places) for each in blockers)
    yield f"  for {upgrade.target}, {effort}: {counted(len(blockers), 'cause')} in {counted(places, 'place')}"
    for each in blockers[:_SHOWN]:
        new = f" -> {each.replacement}" if each.replacement else ""
        where = listed((report.place(*place) for place in each.places), 2)
        yield f"    {each.rule} {each.statement}: {each.reason}, since {each.since}{new} ({where})"
    if len(blockers) > _SHOWN:
        yield f"    and {len(blockers) - _SHOWN} more (--format json lists all)"


def work_text(counts: Mapping[Effort, int]) -> str:
    """Return numbers of findings by effort as text: `3 findings: 2 safe fix, 1 by hand`."""
    parts = [f"{counts[effort]} {effort}" for effort in EFFORTS if counts[effort]]
    total = sum(counts.values())
    return f"{counted(total, 'finding')}: {', '.join(parts)}" if total else "works"


def _proposal(title: str, proposal: Proposal) -> Iterator[str]:
    releases = " + ".join(f"{package} {version}" for package, version in proposal.versions.items())
    yield f"{title}: {releases}"
    if proposal.problem:
        yield f"  {proposal.problem}"
        return
    if proposal.overrides:
        count = counted(len(proposal.overrides), "override")
        yield f"  they go together with {count}: {listed(proposal.overrides, 6)}"
    yield from (f"  {each}" for each in proposal.third[:_SHOWN])
    if len(proposal.third) > _SHOWN:
        yield f"  and {len(proposal.third) - _SHOWN} more"
    yield from (f"  $ {command}" for command in proposal.commands)
