"""What is said about findings of `compat check`, in every format and by other commands."""

from collections.abc import Mapping
from typing import Any

from compat._cli.text import counted, listed
from compat.check.collisions import described, way_out
from compat.check.findings import CheckReport, Finding
from compat.check.fixes import cause_of, fix_of, releases_with
from compat.companions.reader import Companions
from compat.index.reader import Index
from compat.model.collisions import Collision
from compat.model.diagnosis import Fix
from compat.model.symbols import split_location

_ENTRY = {"import": "the package itself", "serve": "the server"}


def texts_of(
    report: CheckReport, index: Index, companions: Companions
) -> "list[FindingText | CollisionText]":
    """Return what is said about a report: root causes first, then collisions."""
    return [
        *(FindingText(each, report, index, companions) for each in report.findings),
        *(CollisionText(each, report, companions) for each in report.collisions),
    ]


class CollisionText:
    """What the formats say about modules that several distributions bring."""

    cause = "shadowed_module"
    package = None

    def __init__(self, collision: Collision, report: CheckReport, companions: Companions) -> None:
        self._collision = collision
        self._versions = report.environment.versions
        self.fix = way_out(collision, report.environment, companions)

    @property
    def place(self) -> str:
        """The first module that two distributions bring."""
        return self._collision.names[0]

    @property
    def headline(self) -> str:
        """What collides, as one sentence."""
        return described(self._collision, self._versions)

    @property
    def details(self) -> list[str]:
        """How to avoid it."""
        return [f"fix: {self.fix.text}"]

    def document(self) -> Mapping[str, Any]:
        """Return the collision as a JSON object of the form that findings have."""
        first, *others = self._collision.distributions
        return {
            "cause": self.cause,
            "package": first,
            "version": self._versions[first],
            "module": self._collision.names[0],
            "line": None,
            "places": [],
            "imports": [],
            "by": {"distribution": others[0], "module": None},
            "needs": {
                "module": self._collision.names[0],
                "name": None,
                "requirement": None,
                "distribution": first,
                "installed": self._versions[first],
                "releases": [],
            },
            "shared": {
                "distributions": {name: self._versions[name] for name in self._collision.distributions},
                "modules": list(self._collision.names),
            },
            "breaks": [],
            "entry": [],
            "fix": _fix_document(self.fix),
        }


class FindingText:
    """What the formats say about one finding."""

    def __init__(self, finding: Finding, report: CheckReport, index: Index, companions: Companions) -> None:
        self.finding = finding
        self.package = finding.package
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
        if finding.deferred:
            lines.append("breaks: calls of the functions that import it")
        else:
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
            "deferred": finding.deferred,
            "fix": _fix_document(self.fix),
        }


def _fix_document(fix: Fix) -> Mapping[str, str | None]:
    return {"kind": fix.kind, "text": fix.text, "import": None, "command": fix.command}
