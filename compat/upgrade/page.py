"""The HTML page of `compat upgrade`, which loads nothing."""

from collections.abc import Iterator

from compat._cli.html_page import report_page
from compat._cli.printable import html
from compat._cli.text import counted
from compat.model.release_ranges import range_text
from compat.upgrade.output import UpgradeReport, work_text
from compat.upgrade.pair import Proposal
from compat.upgrade.steps import EFFORTS, Blocker, PackageUpgrade


def as_html(report: UpgradeReport) -> str:
    """Return the report as one HTML page."""
    facts = {each.package: f"from {each.current}, {each.source}" for each in report.upgrades}
    parts = [*_proposal("Works as it is", report.as_is)]
    if report.after_safe_fixes is not None:
        parts += _proposal("Works after safe fixes", report.after_safe_fixes)
    for each in report.upgrades:
        parts += _package(each, report)
    if report.pins:
        parts += [
            "<h2>Pins</h2><ul>",
            *(f"<li><code>{html(each.text)}</code></li>" for each in report.pins),
            "</ul>",
        ]
    return report_page("compat upgrade: how far this code can go", facts, parts)


def _proposal(title: str, proposal: Proposal) -> Iterator[str]:
    releases = " + ".join(f"{package} {version}" for package, version in proposal.versions.items())
    yield f"<h2>{title}: {html(releases)}</h2>"
    if proposal.problem:
        yield f"<p>{html(proposal.problem)}</p>"
        return
    if proposal.overrides:
        count = counted(len(proposal.overrides), "override")
        yield f"<p>They go together with {count}: {html(', '.join(proposal.overrides))}</p>"
    if proposal.third:
        yield "<ul>" + "".join(f"<li>{html(each)}</li>" for each in proposal.third) + "</ul>"
    yield f"<pre>{html(chr(10).join(proposal.commands))}</pre>"


def _package(upgrade: PackageUpgrade, report: UpgradeReport) -> Iterator[str]:
    start = f"from {upgrade.current}, {upgrade.source}"
    yield f"<h2>{html(upgrade.package)} <small>{html(start)}</small></h2>"
    if upgrade.standing:
        yield f"<p>{counted(upgrade.standing, 'finding')} there already.</p>"
    rows = [
        f'<tr><th scope="row">{html(range_text((first, last)))}</th><td>{html(work_text(counts))}</td></tr>'
        for first, last, counts in upgrade.later()
    ]
    if not rows:
        yield f"<p>Nothing is in the way of {html(upgrade.target)}.</p>"
        return
    head = '<tr><th scope="col">release</th><th scope="col">in the way</th></tr>'
    yield f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
    for effort in EFFORTS:
        mine = [each for each in upgrade.blockers if each.effort == effort]
        if mine:
            yield f"<h3>For {html(upgrade.target)}: {effort}</h3>"
            yield from (_blocker(each, report) for each in mine)


def _blocker(blocker: Blocker, report: UpgradeReport) -> str:
    new = f"<p>Write <code>{html(blocker.replacement)}</code></p>" if blocker.replacement else ""
    places = "".join(f"<li><code>{html(report.place(*each))}</code></li>" for each in blocker.places)
    count = counted(len(blocker.places), "place")
    about = html(f"{blocker.rule} {blocker.reason}, since {blocker.since}, {count}")
    return (
        f"<details><summary><code>{html(blocker.statement)}</code> <small>{about}</small></summary>"
        f"{new}<ul>{places}</ul></details>"
    )
