"""JUnit XML: suites of test cases, as CI services read them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

from compat._cli.printable import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class JUnitCase:
    """One test case, and why it did not pass."""

    suite: str
    """Where it belongs: a file, or a command."""
    name: str
    seconds: str = "0"
    problem: Literal["failure", "error", ""] = ""
    """Empty when it passed."""
    rule: str = ""
    """What it violates, if that has a name."""
    message: str = ""
    lines: Sequence[str] = ()
    """The whole story."""


def junit_suite(name: str, cases: Sequence[JUnitCase], **more: str) -> ET.Element:
    """Return a suite with the counts of its cases; `more` are further attributes of it."""
    counts = Counter(case.problem for case in cases)
    own = {"name": name, "tests": len(cases), "failures": counts["failure"], "errors": counts["error"]}
    suite = ET.Element("testsuite", {key: str(value) for key, value in own.items()} | more)
    for case in cases:
        told = {"classname": printable(case.suite), "name": printable(case.name), "time": case.seconds}
        element = ET.SubElement(suite, "testcase", told)
        if case.problem:
            rule = {"type": case.rule} if case.rule else {}
            found = ET.SubElement(element, case.problem, rule | {"message": printable(case.message)})
            found.text = "\n".join(map(printable, case.lines))
    return suite
