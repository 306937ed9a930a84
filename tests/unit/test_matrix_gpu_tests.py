"""The level `gpu`: real runs of pytest in a child process, and the outcomes of their results."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat._cli.progress import Silent
from compat.errors import OutOfTimeError
from compat.matrix.judge.gpu_tests import GpuTestSetup, Ran, judged, run_tests
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
    from dataclasses import replace
    from time import monotonic

    with pytest.raises(OutOfTimeError, match="did not end in time"):
        ran(replace(bench, until=monotonic() + 1), GOOD + HANGS)


@pytest.mark.parametrize("content", ["", "<testsuites><testsuite>", None])
def test_missing_or_truncated_results_have_failed(content: str | None, tmp_path: Path) -> None:
    junit = tmp_path / "gpu.xml"
    if content is not None:
        junit.write_text(content)
    found = judged(junit, 0)
    assert found.state is State.FAILED
    assert found.reason.startswith("pytest left no results")


def test_good_results_of_a_run_that_ended_badly_have_failed(tmp_path: Path) -> None:
    junit = tmp_path / "gpu.xml"
    junit.write_text('<testsuites><testsuite><testcase classname="a" name="b"/></testsuite></testsuites>')
    assert judged(junit, 0).state is State.PASSED
    found = judged(junit, 1)
    assert (found.state, found.reason) == (State.FAILED, "pytest exited with code 1, see the log")
