"""Run this project's GPU tests with pytest in the environment of a pair, for the level `gpu`.

The result comes from the JUnit file of pytest. A skipped test proves nothing, so a cell with one skipped test
does not pass. The tests are collected first, and those that ran are compared with those that must run. No
variable of the environment, no plugin that is installed and no configuration outside the project has a say.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree as ET

from compat._cli.progress import Progress
from compat._util.orphans import orphans_ended
from compat._util.subprocesses import how_ended, run_logged
from compat.matrix.judge import collection_plugin
from compat.matrix.judge.gpu_collection import Collection, junit_name
from compat.matrix.model.outcome import Counts, Disagreement, State

OPTIONS = (
    *("-m", "gpu", "--require-gpu", "-p", "no:cacheprovider", "--strict-markers", "--strict-config"),
    *("-o", "addopts=", "-o", "filterwarnings=default"),
)
"""Options of pytest; warnings are not errors, since the packages under test emit many."""
NOUN = "GPU test"
"""What the tests are called in messages."""
PLUGIN = "compat_collection"
"""The name under which pytest loads the copy of `collection_plugin`."""
FINE = (0, 1, 5)
"""Exit codes of a complete run of pytest: all passed, some failed, none collected."""
COLLECTED = (0, 5)
"""Exit codes of a complete collection: some tests, or none."""
KEPT = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONUSERBASE")
"""Variables of Python that do not change what the tests do; a cell sets some for an existing environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuTestOptions:
    """The options of a user for the GPU tests."""

    workers: int = 0
    """The number of processes of pytest-xdist; 0 to run the tests in one process without it."""
    results: Path | None = None
    """The file to which the tests write what they measured."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments of pytest."""
        workers = ("-p", "xdist.plugin", "-n", str(self.workers)) if self.workers else ()
        return (*workers, *(("--results", str(self.results)) if self.results else ()))

    @property
    def described(self) -> tuple[str, ...]:
        """The options as they are given on the command line; empty if there are none."""
        workers = (f"--workers {self.workers}",) if self.workers else ()
        return (*workers, *((f"--results {self.results}",) if self.results else ()))


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
    options: GpuTestOptions = field(default_factory=GpuTestOptions)

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
        return not_run(f"there are no GPU tests: the folder {bench.tests.name} is missing")
    plugins, record = collecting_plugin(bench.folder)
    code = _pytest(bench, progress, plugins, ("-p", PLUGIN, "--collect-only", "-q"))
    if code not in COLLECTED:
        return _failed(f"pytest {how_ended(code)} when it collected the GPU tests, see the log")
    try:
        collection = Collection.read(record)
        problem = collection.problem(bench.tests)
    except (OSError, ValueError, SyntaxError) as error:
        return _failed(f"pytest left no list of the GPU tests ({error})")
    if problem:
        return _failed(problem)
    if not collection.selected:
        return not_run("no GPU test was collected")
    bench.junit.unlink(missing_ok=True)
    code = _pytest(bench, progress, plugins, (*bench.options.arguments, f"--junitxml={bench.junit}"))
    return judged(bench.junit, code, collection.selected)


def collecting_plugin(folder: Path) -> tuple[Path, Path]:
    """Write the plug-in that records what pytest collects; return its folder and the file that it writes."""
    plugins = folder / "plugins"
    plugins.mkdir(exist_ok=True)
    (plugins / f"{PLUGIN}.py").write_bytes(Path(collection_plugin.__file__).read_bytes())
    record = plugins / collection_plugin.RECORD
    record.unlink(missing_ok=True)
    return plugins, record


def _pytest(bench: GpuTestSetup, progress: Progress, plugins: Path, arguments: Sequence[str]) -> int:
    """Run pytest on the GPU tests in the environment, and return its exit code."""
    root = bench.tests.parent.parent
    home = bench.folder / "home"
    home.mkdir(exist_ok=True)
    path = f"{bench.python.parent}{os.pathsep}{bench.variables.get('PATH', os.defpath)}"
    # By default, pytest looks for configuration in all parent folders.
    config = root / "pyproject.toml"
    where = (
        "-c",
        str(config if config.is_file() else os.devnull),
        f"--rootdir={root}",
        f"--confcutdir={root}",
    )
    with orphans_ended():
        return run_logged(
            [str(bench.python), "-m", "pytest", *where, *OPTIONS, *arguments, str(bench.tests)],
            bench.log,
            progress,
            until=bench.until,
            variables={
                **{name: value for name, value in bench.variables.items() if not steers(name)},
                "HOME": str(home),
                "PATH": path,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTHONPATH": os.pathsep.join(map(str, (*bench.path, root, plugins))),
            },
            folder=root,
        )


def steers(variable: str) -> bool:
    """Return whether an environment variable steers pytest, or Python: PYTHONOPTIMIZE removes assertions."""
    return variable.startswith(("PYTEST", "PYTHON")) and variable not in KEPT


def judged(junit: Path, code: int, selected: Sequence[str], noun: str = NOUN) -> Ran:
    """Return the result of a run.

    Args:
        junit: the JUnit file of pytest.
        code: the exit code of pytest.
        selected: the ids of the tests that had to run.
        noun: what the tests are called in messages.
    """
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
        return not_run(f"no {noun} was collected")
    if bad:
        reason = f"{_of(len({id(case) for case, _ in bad}), cases, noun)} failed, such as {_name(bad[0][0])}"
        return Ran(state=State.FAILED, reason=reason, counts=counts, failed=failed)
    if (ran := sorted(map(_name, cases))) != (wanted := sorted(map(junit_name, selected))):
        different = sorted(set(ran) ^ set(wanted)) or ran
        reason = f"{len(ran)} of {len(wanted)} {noun}s ran; the difference is {different[0]}"
        return Ran(state=State.FAILED, reason=reason, counts=counts)
    if skipped:
        case, child = skipped[0]
        reason = f"{_of(len(skipped), cases, noun)} were skipped, such as {_name(case)}: {_message(child)}"
        return Ran(state=State.NOT_RUN, reason=reason, counts=counts)
    if code:
        return Ran(state=State.FAILED, reason=f"pytest {how_ended(code)}, see the log", counts=counts)
    return Ran(state=State.PASSED, reason="", counts=counts)


def _failed(reason: str) -> Ran:
    return Ran(state=State.FAILED, reason=reason, counts=Counts())


def not_run(reason: str) -> Ran:
    """Return the result of tests of which none ran."""
    return Ran(state=State.NOT_RUN, reason=reason, counts=Counts())


def _of(count: int, cases: list[ET.Element], noun: str) -> str:
    return f"{count} of {len(cases)} {noun}s"


def _name(case: ET.Element) -> str:
    return f"{case.get('classname', '')}.{case.get('name', '')}".strip(".")


def _message(child: ET.Element) -> str:
    return " ".join((child.get("message") or child.text or child.tag).split())[:300]
