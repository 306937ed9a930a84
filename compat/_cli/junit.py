"""Write test suites as JUnit XML, which CI services read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

from compat._cli.printable import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class JUnitCase:
    """One test case with its result."""

    suite: str
    """The file or command that the case belongs to."""
    name: str
    seconds: str = "0"
    problem: Literal["failure", "error", ""] = ""
    """Empty if the case passed."""
    rule: str = ""
    """The name of the violated rule, if any."""
    message: str = ""
    lines: Sequence[str] = ()
    """The full text of the failure."""
    output: Sequence[str] = ()
    """Lines that the case reports whether it passed or not."""


def junit_suite(name: str, cases: Sequence[JUnitCase], **more: str) -> ET.Element:
    """Return the XML element of a suite, with the counts of its cases; `more` are further attributes."""
    counts = Counter(case.problem for case in cases)
    own = {"name": name, "tests": len(cases), "failures": counts["failure"], "errors": counts["error"]}
    suite = ET.Element("testsuite", {key: str(value) for key, value in own.items()} | more)
    for case in cases:
        attributes = {"classname": printable(case.suite), "name": printable(case.name), "time": case.seconds}
        element = ET.SubElement(suite, "testcase", attributes)
        if case.problem:
            rule = {"type": case.rule} if case.rule else {}
            found = ET.SubElement(element, case.problem, rule | {"message": printable(case.message)})
            found.text = "\n".join(map(printable, case.lines))
        if case.output:
            ET.SubElement(element, "system-out").text = "\n".join(map(printable, case.output))
    return suite
