"""The output of `compat check`: text, a JSON document, JUnit XML, annotations for GitHub, or HTML."""

from xml.etree import ElementTree as ET

from compat._cli import console
from compat._cli.junit import JUnitCase, junit_suite
from compat._cli.printable import github_message, github_property, printable
from compat._cli.text import counted, listed
from compat.check.finding_texts import CollisionText, FindingText, texts_of
from compat.check.findings import CheckReport
from compat.check.page import as_html
from compat.companions.reader import Companions
from compat.index.reader import Index


def render(report: CheckReport, index: Index, companions: Companions, form: str) -> str:
    """Return the report in one of the formats of the command."""
    texts = texts_of(report, index, companions)
    if form == "json":
        return _json(report, texts)
    if form == "junit":
        return _junit(report, texts)
    if form == "html":
        return as_html(report, texts)
    if form == "github":
        return "\n".join(_annotation(each) for each in texts)
    return _text(report, texts)


def _json(report: CheckReport, texts: list[FindingText | CollisionText]) -> str:
    environment = report.environment
    return console.document(
        "check",
        releases=dict(report.releases),
        versions=dict(environment.versions),
        assumed=sorted(environment.assumed),
        optional=dict(report.optional),
        notes=list(report.notes),
        findings=[each.document() for each in texts],
    )


def _text(report: CheckReport, texts: list[FindingText | CollisionText]) -> str:
    environment = report.environment
    lines = [f"checked  {', '.join(f'{name} {version}' for name, version in report.releases.items())}"]
    if environment.assumed:
        taken = [f"{name} {environment.versions[name]}" for name in sorted(environment.assumed)]
        lines.append(
            f"assumed  {counted(len(taken), 'release')}, the newest that metadata admits: {listed(taken, 8)}"
        )
    lines.append(f"findings  {len(texts) or 'none'}")
    for each in texts:
        lines += [
            "",
            f"{each.place}: {each.headline} [{each.cause}]",
            *(f"    {line}" for line in each.details),
        ]
    if report.optional:
        named = [f"{name} ({count})" for name, count in report.optional.items()]
        lines += ["", f"note: modules that need what nothing requires are left out: {listed(named, 8)}"]
    lines += [f"note: {note}" for note in report.notes]
    return "\n".join(map(printable, lines))


def _junit(report: CheckReport, texts: list[FindingText | CollisionText]) -> str:
    cases = [
        JUnitCase(
            suite="compat check",
            name=each.place,
            problem="failure",
            rule=each.cause,
            message=each.headline,
            lines=each.details,
        )
        for each in texts
    ]
    broken = {each.package for each in texts}
    cases += [
        JUnitCase(suite="compat check", name=f"{package} {version}")
        for package, version in report.releases.items()
        if package not in broken
    ]
    return ET.tostring(junit_suite("compat check", cases), encoding="unicode")


def _annotation(each: FindingText | CollisionText) -> str:
    title = github_property(f"compat check: {each.cause}")
    message = github_message(". ".join([f"{each.place}: {each.headline}", *each.details]))
    return f"::error title={title}::{message}"
