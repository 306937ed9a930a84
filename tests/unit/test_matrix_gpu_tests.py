"""The level `gpu`: real runs of pytest in a child process, and the outcomes of their results."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from compat._cli.progress import Silent
from compat.errors import OutOfTimeError
from compat.matrix.judge.gpu_collection import Collection
from compat.matrix.judge.gpu_tests import GpuTestOptions, GpuTestSetup, Ran, judged, run_tests
from compat.matrix.model.outcome import State

CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--require-gpu", action="store_true")

def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: needs a GPU")
"""
GOOD = "import pytest\n@pytest.mark.gpu\ndef test_good(): pass\n"
BAD = "@pytest.mark.gpu\ndef test_bad(): assert 1 == 2\n"
SKIP = "@pytest.mark.gpu\ndef test_skip(): pytest.skip('no FP8 here')\n"
DIES = "@pytest.mark.gpu\ndef test_dies():\n    import os\n    os.kill(os.getpid(), 11)\n"
HANGS = "@pytest.mark.gpu\ndef test_hangs():\n    import threading\n    threading.Event().wait()\n"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[GpuTestSetup]:
    """Return a setup in which the interpreter of these tests, which has pytest, is the environment."""
    tests = tmp_path / "project" / "tests" / "gpu"
    tests.mkdir(parents=True)
    (tests / "conftest.py").write_text(CONFTEST)
    with (tmp_path / "log").open("a+b", buffering=0) as log:
        yield GpuTestSetup(
            python=Path(sys.executable),
            path=(),
            tests=tests,
            folder=tmp_path,
            log=log,
            variables={key: value for key, value in os.environ.items() if not key.startswith("PYTEST")},
        )


def ran(bench: GpuTestSetup, source: str) -> Ran:
    (bench.tests / "test_it.py").write_text(source)
    return run_tests(bench, Silent())


def test_all_passed_is_passed(bench: GpuTestSetup) -> None:
    found = ran(bench, GOOD + "def test_unmarked(): assert False\n")
    assert (found.state, found.reason) == (State.PASSED, "")
    assert (found.counts.tests, found.counts.tests_passed) == (1, 1)


def test_a_skipped_test_is_enough_for_not_run(bench: GpuTestSetup) -> None:
    found = ran(bench, GOOD + SKIP)
    assert found.state is State.NOT_RUN
    assert found.reason == ("1 of 2 GPU tests were skipped, such as tests.gpu.test_it.test_skip: no FP8 here")
    assert (found.counts.tests, found.counts.tests_passed) == (2, 1)


def test_a_failed_test_is_reported_with_its_message(bench: GpuTestSetup) -> None:
    found = ran(bench, GOOD + BAD + SKIP)
    assert found.state is State.FAILED
    assert found.reason == "1 of 3 GPU tests failed, such as tests.gpu.test_it.test_bad"
    (entry,) = found.failed
    assert "assert 1 == 2" in entry.observed


def test_no_test_and_no_folder_are_not_run(bench: GpuTestSetup) -> None:
    assert ran(bench, "def test_unmarked(): pass\n").state is State.NOT_RUN
    (bench.tests / "test_it.py").unlink()
    (bench.tests / "conftest.py").unlink()
    bench.tests.rmdir()
    found = run_tests(bench, Silent())
    assert (found.state, found.reason) == (State.NOT_RUN, "there are no GPU tests: the folder gpu is missing")


def test_a_module_that_cannot_be_collected_has_failed(bench: GpuTestSetup) -> None:
    found = ran(bench, "import nothing_like_this\n")
    assert found.state is State.FAILED


def test_a_run_that_is_killed_has_failed(bench: GpuTestSetup) -> None:
    found = ran(bench, GOOD + DIES)
    assert (found.state, found.reason) == (
        State.FAILED,
        "pytest crashed: signal 11 (SIGSEGV), see the log",
    )


def test_a_test_that_hangs_is_ended_with_the_cell(bench: GpuTestSetup) -> None:
    from time import monotonic

    with pytest.raises(OutOfTimeError, match="did not end in time"):
        ran(replace(bench, until=monotonic() + 1), GOOD + HANGS)


@pytest.mark.parametrize("content", ["", "<testsuites><testsuite>", None])
def test_missing_or_truncated_results_have_failed(content: str | None, tmp_path: Path) -> None:
    junit = tmp_path / "gpu.xml"
    if content is not None:
        junit.write_text(content)
    found = judged(junit, 0, ["a.py::b"])
    assert found.state is State.FAILED
    assert found.reason.startswith("pytest left no results")


def test_good_results_of_a_run_that_ended_badly_have_failed(tmp_path: Path) -> None:
    junit = tmp_path / "gpu.xml"
    junit.write_text('<testsuites><testsuite><testcase classname="a" name="b"/></testsuite></testsuites>')
    assert judged(junit, 0, ["a.py::b"]).state is State.PASSED
    found = judged(junit, 1, ["a.py::b"])
    assert (found.state, found.reason) == (State.FAILED, "pytest exited with code 1, see the log")


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTEST_ADDOPTS": "-k good"},
        {"PYTEST_ADDOPTS": "--deselect tests/gpu/test_it.py::test_bad"},
        {"PYTEST_ADDOPTS": "--co"},
        {"PYTEST_PLUGINS": "foreign"},
        {"PYTEST_PLUGINS": "nothing_like_this"},
        {"PYTHONOPTIMIZE": "2"},
        {"PYTHONSTARTUP": "x", "PYTHONINSPECT": "1"},
    ],
)
def test_nothing_in_the_environment_steers_the_tests(
    variables: dict[str, str], bench: GpuTestSetup, tmp_path: Path
) -> None:
    foreign = "def pytest_collection_modifyitems(items): items[:] = items[:1]\n"
    (tmp_path / "foreign.py").write_text(foreign)
    found = ran(replace(bench, variables={**bench.variables, **variables}, path=(tmp_path,)), GOOD + BAD)
    assert (found.state, found.counts.tests, found.counts.tests_passed) == (State.FAILED, 2, 1)
    assert found.reason == "1 of 2 GPU tests failed, such as tests.gpu.test_it.test_bad"


@pytest.mark.parametrize("name", ["pytest.ini", "tox.ini", "conftest.py", "project/pytest.ini"])
def test_no_configuration_from_elsewhere_steers_the_tests(
    name: str, bench: GpuTestSetup, tmp_path: Path
) -> None:
    conftest = "def pytest_collection_modifyitems(items): items[:] = items[:1]\n"
    (tmp_path / name).write_text(conftest if name == "conftest.py" else "[pytest]\naddopts = -k good\n")
    assert ran(bench, GOOD + BAD).counts.tests == 2


def test_options_in_the_project_do_not_select_tests(bench: GpuTestSetup, tmp_path: Path) -> None:
    (tmp_path / "project" / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = ["-k good"]\n')
    assert ran(bench, GOOD + BAD).counts.tests == 2


DROPS = CONFTEST + "def pytest_collection_modifyitems(items): items[:] = items[:1]\n"
DROPS_LATE = CONFTEST + "def pytest_runtest_protocol(item): return item.name != 'test_good' or None\n"
IGNORES = CONFTEST + "collect_ignore = ['test_it.py']\n"


@pytest.mark.parametrize(
    ("conftest", "reason"),
    [
        (DROPS, "1 GPU test was deselected, such as tests/gpu/test_it.py::test_bad"),
        (DROPS_LATE, "1 of 2 GPU tests ran; the difference is tests.gpu.test_it.test_bad"),
        (IGNORES, "2 GPU tests were not collected, such as tests/gpu/test_it.py::test_good"),
    ],
)
def test_a_test_that_does_not_run_fails_the_cell(conftest: str, reason: str, bench: GpuTestSetup) -> None:
    (bench.tests / "conftest.py").write_text(conftest)
    found = ran(bench, GOOD + BAD)
    assert (found.state, found.reason) == (State.FAILED, reason)


DROPPED = "1 GPU test was deselected, such as a.py::c[x]"


@pytest.mark.parametrize(("gpus", "problem"), [(0, DROPPED), (1, ""), (2, DROPPED)])
def test_only_a_machine_with_one_gpu_deselects_tests_for_two(gpus: int, problem: str, tmp_path: Path) -> None:
    collected = {"a.py::b": ["gpu"], "a.py::c[x]": ["two_gpus", "gpu"], "a.py::d": []}
    collection = Collection(collected=collected, selected=["a.py::b"], gpus=gpus)
    assert collection.problem(tmp_path / "tests" / "gpu") == problem


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_every_gpu_test_of_this_project_is_collected(bench: GpuTestSetup) -> None:
    """Without a GPU each of them fails, so what is compared is which ones ran."""
    found = run_tests(replace(bench, tests=Path(__file__).parents[1] / "gpu"), Silent())
    assert "GPU tests failed, such as tests.gpu." in found.reason or found.state is State.PASSED


CASES = """
@pytest.mark.gpu
class TestAll:
    @pytest.mark.parametrize("text", ["a::b", "[]", "/x.py", "\\x1b<&"])
    def test_text(self, text): pass
"""


WRITES = (
    CONFTEST.replace("\n\n", "\n    parser.addoption('--results')\n\n", 1)
    + """
def pytest_sessionfinish(session):
    if session.config.getoption("--results"):
        open(session.config.getoption("--results"), "w").close()
"""
)


def test_workers_share_the_tests_and_results_are_written(bench: GpuTestSetup, tmp_path: Path) -> None:
    options = GpuTestOptions(workers=2, results=tmp_path / "results.json")
    (bench.tests / "conftest.py").write_text(WRITES)
    found = ran(replace(bench, options=options), GOOD + CASES)
    assert (found.state, found.reason, found.counts.tests) == (State.PASSED, "", 5)
    assert (tmp_path / "results.json").exists()
    assert "2 workers" in (tmp_path / "log").read_text()
