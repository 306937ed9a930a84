"""JUnit XML: suites of test cases, as CI services read them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

from compat._cli.printable import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class JUnitProblem:
    """Why a test case did not pass."""

    kind: Literal["failure", "error"]
    message: str
    lines: Sequence[str]
    """The whole story."""
    rule: str = ""
    """What it violates, if that has a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JUnitCase:
    """One test case."""

    suite: str
    """Where it belongs: a file, or a command."""
    name: str
    seconds: str = "0"
    problem: JUnitProblem | None = None


def junit_suite(name: str, cases: Sequence[JUnitCase], **more: str) -> ET.Element:
    """Return a suite with the counts of its cases.

    Args:
        name: the suite's.
        cases: in order.
        more: more attributes of the suite.
    """
    counts = Counter(case.problem.kind for case in cases if case.problem)
    own = {"name": name, "tests": len(cases), "failures": counts["failure"], "errors": counts["error"]}
    suite = ET.Element("testsuite", {key: str(value) for key, value in own.items()} | more)
    for case in cases:
        element = ET.SubElement(
            suite, "testcase", classname=printable(case.suite), name=printable(case.name), time=case.seconds
        )
        if problem := case.problem:
            rule = {"type": problem.rule} if problem.rule else {}
            found = ET.SubElement(element, problem.kind, {**rule, "message": printable(problem.message)})
            found.text = "\n".join(map(printable, problem.lines))
    return suite
