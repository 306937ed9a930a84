"""The output of `compat check`: text, a JSON document, JUnit XML, annotations for GitHub, or HTML."""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from compat._cli import console
from compat._cli.junit import JUnitCase, junit_suite
from compat._cli.printable import github_message, github_property, printable
from compat._cli.text import counted, listed
from compat.check.findings import CheckReport, Finding
from compat.check.fixes import cause_of, fix_of, releases_with
from compat.check.page import as_html
from compat.companions.reader import Companions
from compat.index.reader import Index
from compat.model.diagnosis import Fix
from compat.model.symbols import split_location

_ENTRY = {"import": "the package itself", "serve": "the server"}


def render(report: CheckReport, index: Index, companions: Companions, form: str) -> str:
    """Return the report in one of the formats of the command."""
    texts = [_Texts(finding, report, index, companions) for finding in report.findings]
    if form == "json":
        return _json(report, texts)
    if form == "junit":
        return _junit(report, texts)
    if form == "html":
        return as_html(report, texts)
    if form == "github":
        return "\n".join(_annotation(each) for each in texts)
    return _text(report, texts)


class _Texts:
    """What the formats say about one finding."""

    def __init__(self, finding: Finding, report: CheckReport, index: Index, companions: Companions) -> None:
        self.finding = finding
        self._index = index
        self.cause = cause_of(finding.root, index, companions)
        self.releases = releases_with(finding.root, index, companions)
        self.fix: Fix = fix_of(finding, report, index, companions)

    @property
    def place(self) -> str:
        """The first line that imports it: `vllm/entrypoints/chat_utils.py:286`."""
        first = self.finding.places[0] if self.finding.places else None
        if first is None:
            return self.finding.package
        line = "" if first.line is None else f":{first.line}"
        path = first.module.replace(".", "/")
        return f"{path}/__init__.py{line}" if self._is_package(first.module) else f"{path}.py{line}"

    def _is_package(self, module: str) -> bool:
        """Return whether a module of the package is an `__init__.py`."""
        package = self.finding.package
        at = self._index.release_index(package, self.finding.version, package)
        row = self._index.module(module, package, at)
        return row is not None and row.form == "package"

    @property
    def headline(self) -> str:
        """The root cause as one sentence."""
        finding, root = self.finding, self.finding.root
        asks = f"{finding.package} {finding.version}"
        if root.by is not None:
            asks += (
                f" imports {listed(finding.targets, 2)}, and {root.via}"
                if finding.targets
                else f": {root.via}"
            )
        if root.lack == "requirement":
            return f"{asks} refuses {root.distribution} {root.installed}: it wants {root.target}"
        what = root.target.replace(":", ".")
        if root.lack == "distribution":
            carried = f"; {root.distribution} carries it" if root.distribution else ""
            return f"{asks} imports {what}, and no installed distribution carries it{carried}"
        return f"{asks} imports {what}, which {root.distribution} {root.installed} does not have"

    @property
    def details(self) -> list[str]:
        """What has it, what breaks, and what mends it."""
        finding = self.finding
        lines = [f"has it: {finding.root.distribution} {', '.join(self.releases)}"] if self.releases else []
        entries = [_ENTRY[each] for each in finding.entry]
        modules = counted(len(finding.breaks), "module")
        lines.append(f"breaks: {' and '.join([*entries, modules])} ({listed(finding.breaks, 2)})")
        lines.append(f"fix: {self.fix.text}")
        return lines

    def document(self) -> Mapping[str, Any]:
        """Return the finding as a JSON object."""
        finding, root = self.finding, self.finding.root
        first = finding.places[0] if finding.places else None
        module, name = split_location(root.target)
        return {
            "cause": self.cause,
            "package": finding.package,
            "version": finding.version,
            "module": None if first is None else first.module,
            "line": None if first is None else first.line,
            "places": [{"module": each.module, "line": each.line} for each in finding.places],
            "imports": list(finding.targets),
            "by": None if root.by is None else {"distribution": root.by, "module": root.via},
            "needs": {
                "module": None if root.lack == "requirement" else module,
                "name": name or None,
                "requirement": root.target if root.lack == "requirement" else None,
                "distribution": root.distribution,
                "installed": root.installed,
                "releases": list(self.releases),
            },
            "breaks": list(finding.breaks),
            "entry": list(finding.entry),
            "fix": {
                "kind": self.fix.kind,
                "text": self.fix.text,
                "import": None,
                "command": self.fix.command,
            },
        }


def _json(report: CheckReport, texts: list[_Texts]) -> str:
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


def _text(report: CheckReport, texts: list[_Texts]) -> str:
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


def _junit(report: CheckReport, texts: list[_Texts]) -> str:
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
    broken = {each.finding.package for each in texts}
    cases += [
        JUnitCase(suite="compat check", name=f"{package} {version}")
        for package, version in report.releases.items()
        if package not in broken
    ]
    return ET.tostring(junit_suite("compat check", cases), encoding="unicode")


def _annotation(each: _Texts) -> str:
    title = github_property(f"compat check: {each.cause}")
    message = github_message(". ".join([f"{each.place}: {each.headline}", *each.details]))
    return f"::error title={title}::{message}"
