"""Run this project's GPU tests with pytest in the environment of a pair, for the level `gpu`.

The result comes from the JUnit file of pytest. A skipped test proves nothing, so a cell with one skipped test
does not pass.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree as ET

from compat._cli.progress import Progress
from compat._util.subprocesses import how_ended, run_logged
from compat.matrix.model.outcome import Counts, Disagreement, State

OPTIONS = ("-m", "gpu", "--require-gpu", "-p", "no:cacheprovider", "-o", "filterwarnings=default")
"""Options of pytest; warnings are not errors, since the packages under test emit many."""
FINE = (0, 1, 5)
"""Exit codes of a complete run of pytest: all passed, some failed, none collected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuTestSetup:
    """The interpreter, paths and limits of one run of the GPU tests."""

    python: Path
    """The interpreter of the environment."""
    path: tuple[Path, ...]
    """Folders that precede the environment's own packages on the import path, such as one with pytest."""
    tests: Path
    folder: Path
    """The folder for results and temporary files."""
    log: BinaryIO
    variables: Mapping[str, str]
    until: float = float("inf")

    @property
    def junit(self) -> Path:
        """The file to which pytest writes its results."""
        return self.folder / "gpu.xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """The result of a run of the GPU tests."""

    state: State
    reason: str
    counts: Counts
    failed: tuple[Disagreement, ...] = ()


def run_tests(bench: GpuTestSetup, progress: Progress) -> Ran:
    """Run the GPU tests and return their result.

    Raises:
        OutOfTimeError: the tests did not finish in time.
    """
    if not bench.tests.is_dir():
        return _not_run(f"there are no GPU tests: the folder {bench.tests.name} is missing")
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
    """Return the result in a JUnit file, given the exit code of pytest."""
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
        reason = f"{_of(len(skipped), cases)} were skipped, such as {_name(case)}: {_message(child)}"
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
