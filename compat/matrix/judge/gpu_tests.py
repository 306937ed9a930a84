"""The level `gpu`: this project's GPU tests, run by pytest in the environment of a pair.

What counts is what pytest has written down about each test. A skipped test has proved nothing, so one skip is
enough for the cell not to pass.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree as ET

from compat._cli.progress import Progress
from compat._util.subprocesses import how_ended, run_logged
from compat.matrix.outcome import Counts, Disagreement, State

OPTIONS = ("-m", "gpu", "--require-gpu", "-p", "no:cacheprovider", "-o", "filterwarnings=default")
"""The packages under test warn a lot, which is no matter of these tests."""
FINE = (0, 1, 5)
"""How pytest ends that has come to its end: all passed, some failed, none collected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuTestSetup:
    """What the tests run with."""

    python: Path
    """The environment's."""
    path: tuple[Path, ...]
    """Folders that come before the environment's own packages, such as one that holds pytest."""
    tests: Path
    folder: Path
    """Takes what is written meanwhile."""
    log: BinaryIO
    variables: Mapping[str, str]
    until: float = float("inf")

    @property
    def junit(self) -> Path:
        """Where pytest writes its results."""
        return self.folder / "gpu.xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How the tests ended."""

    state: State
    reason: str
    counts: Counts
    failed: tuple[Disagreement, ...] = ()


def run_tests(bench: GpuTestSetup, progress: Progress) -> Ran:
    """Run the GPU tests and return what they prove.

    Raises:
        OutOfTimeError: they were not done in time.
    """
    if not bench.tests.is_dir():
        return _not_run(f"there are no GPU tests: {bench.tests.name} is missing")
    bench.junit.unlink(missing_ok=True)
    root = bench.tests.parent.parent
    home = bench.folder / "home"
    home.mkdir(exist_ok=True)
    path = f"{bench.python.parent}{os.pathsep}{bench.variables.get('PATH', os.defpath)}"
    code = run_logged(
        [str(bench.python), "-m", "pytest", *OPTIONS, f"--junitxml={bench.junit}", str(bench.tests)],
        bench.log,
        progress,
        until=bench.until,
        variables={
            **bench.variables,
            "HOME": str(home),
            "PATH": path,
            "PYTHONPATH": os.pathsep.join(map(str, (*bench.path, root))),
        },
        folder=root,
    )
    return judged(bench.junit, code)


def judged(junit: Path, code: int) -> Ran:
    """Return what a results file proves, given how pytest ended."""
    if code not in FINE:
        return Ran(state=State.FAILED, reason=f"pytest {how_ended(code)}, see the log", counts=Counts())
    try:
        cases = list(ET.parse(junit).getroot().iter("testcase"))  # noqa: S314 -- pytest has just written it
    except (OSError, ET.ParseError) as error:
        return Ran(state=State.FAILED, reason=f"pytest left no results ({error})", counts=Counts())
    bad = [(case, child) for case in cases for child in case if child.tag in {"failure", "error"}]
    skipped = [(case, child) for case in cases for child in case if child.tag == "skipped"]
    passed = len(cases) - len({id(case) for case, _ in [*bad, *skipped]})
    counts = Counts(tests=len(cases), tests_passed=passed)
    failed = tuple(
        Disagreement(location=_name(case), expected="a test that passes", observed=_message(child))
        for case, child in bad
    )
    if not cases:
        return _not_run("no GPU test was collected")
    if bad:
        reason = f"{_of(len({id(case) for case, _ in bad}), cases)} failed, such as {_name(bad[0][0])}"
        return Ran(state=State.FAILED, reason=reason, counts=counts, failed=failed)
    if skipped:
        case, child = skipped[0]
        reason = f"{_of(len(skipped), cases)} skipped themselves, such as {_name(case)}: {_message(child)}"
        return Ran(state=State.NOT_RUN, reason=reason, counts=counts)
    if code:
        return Ran(state=State.FAILED, reason=f"pytest {how_ended(code)}, see the log", counts=counts)
    return Ran(state=State.PASSED, reason="", counts=counts)


def _not_run(reason: str) -> Ran:
    return Ran(state=State.NOT_RUN, reason=reason, counts=Counts())


def _of(count: int, cases: list[ET.Element]) -> str:
    return f"{count} of {len(cases)} GPU tests"


def _name(case: ET.Element) -> str:
    return f"{case.get('classname', '')}.{case.get('name', '')}".strip(".")


def _message(child: ET.Element) -> str:
    return " ".join((child.get("message") or child.text or child.tag).split())[:300]
