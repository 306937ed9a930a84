"""The level `tests`: the user's own tests in the environment of a pair; a skip never counts as passed."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compat._cli.progress import Silent
from compat.errors import UsageError
from compat.matrix import scheduler
from compat.matrix.config import read_matrix
from compat.matrix.install import prepare
from compat.matrix.judge import inputs, user_tests
from compat.matrix.judge.gpu_tests import Ran
from compat.matrix.judge.user_tests import UserTestSetup
from compat.matrix.model.outcome import (
    Cell,
    CellOutcome,
    Counts,
    Digests,
    Level,
    State,
    levels_of,
    outcome_path,
    read_outcome,
)
from compat.matrix.report.gate import read_gate
from test_matrix_scheduler import Tiny, house, options, pair

__all__ = ["house"]  # a fixture

ENTRY = '[[pair]]\nid = "new"\npython = "3.11"\nvllm = "0.33.0"\n'
PASSING = "import mine\n\n\ndef test_one():\n    assert mine.ANSWER == 42\n"
SKIPPED = "import pytest\n\n\ndef test_two():\n    pytest.skip('no model here')\n"
FAILING = "def test_three():\n    assert 1 == 2\n"


def project(root: Path, command: str = "pytest", **files: str) -> Path:
    """Write a project in the `src` layout with these test files."""
    (root / "src").mkdir(parents=True)
    (root / "src/mine.py").write_text("ANSWER = 42\n")
    (root / "tests").mkdir()
    for name, text in files.items():
        (root / f"tests/{name}.py").write_text(text)
    (root / "matrix.toml").write_text(f'[defaults]\ntests = "{command}"\n\n{ENTRY}')
    return root


def run(root: Path, folder: Path, **variables: str) -> Ran:
    folder.mkdir()
    (pair,) = read_matrix(root / "matrix.toml").pairs
    with (folder / "log").open("ab", buffering=0) as log:
        setup = UserTestSetup(
            command=pair.tests,
            python=Path(sys.executable),
            path=(),
            root=root,
            folder=folder,
            log=log,
            variables=variables,
        )
        return user_tests.run_tests(setup, Silent())


@pytest.mark.parametrize(
    ("command", "files", "state", "reason", "counts"),
    [
        ("pytest tests", {"test_a": PASSING}, State.PASSED, "", (1, 1)),
        ("pytest -k one", {"test_a": PASSING, "test_b": FAILING}, State.PASSED, "", (1, 1)),
        (
            "pytest",
            {"test_a": PASSING, "test_b": SKIPPED},
            State.NOT_RUN,
            "1 of 2 tests were skipped, such as tests.test_b.test_two",
            (2, 1),
        ),
        ("pytest", {"test_a": PASSING, "test_b": FAILING}, State.FAILED, "1 of 2 tests failed", (2, 1)),
        ("pytest -k nothing", {"test_a": PASSING}, State.NOT_RUN, "no test was collected", (0, 0)),
        ("pytest -x", {"test_a": FAILING, "test_b": PASSING}, State.FAILED, "1 of 1 tests failed", (1, 0)),
        ("pytest", {"test_a": "import gone\n"}, State.FAILED, "exited with code 2 when it collected", (0, 0)),
        ("pytest --no-such-option", {"test_a": PASSING}, State.FAILED, "exited with code 4", (0, 0)),
    ],
)
def test_only_tests_that_all_pass_count(  # noqa: PLR0917 -- the columns of a table
    command: str,
    files: dict[str, str],
    state: State,
    reason: str,
    counts: tuple[int, int],
    tmp_path: Path,
) -> None:
    ran = run(project(tmp_path / "project", command, **files), tmp_path / "scratch")
    assert (ran.state, ran.counts.tests, ran.counts.tests_passed) == (state, *counts)
    assert reason in ran.reason
    assert bool(ran.reason) == (state is not State.PASSED)


def test_no_variable_of_the_environment_leaves_out_a_test(tmp_path: Path) -> None:
    root = project(tmp_path / "project", test_a=PASSING, test_b=FAILING)
    ran = run(root, tmp_path / "scratch", PYTEST_ADDOPTS="-k one")
    assert (ran.state, ran.counts.tests, ran.counts.tests_passed) == (State.FAILED, 2, 1)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('tests = "make test"', "must be a command of pytest"),
        ('tests = "pytest \'x"', "is not a command line"),
        ("tests = 3", "must be a string"),
        ('tests-install = ["=="]', "is not a requirement"),
        ('test = "pytest"', 'did you mean "tests"'),
    ],
)
@pytest.mark.parametrize("where", ["defaults", "pair"])
def test_a_wrong_value_is_an_error_that_names_its_key(
    where: str, line: str, problem: str, tmp_path: Path
) -> None:
    text = f"[defaults]\n{line}\n\n{ENTRY}" if where == "defaults" else f"{ENTRY}{line}\n"
    (tmp_path / "matrix.toml").write_text(text)
    with pytest.raises(UsageError, match=r"matrix\.toml: (pair\[0\]|defaults)\.test") as raised:
        read_matrix(tmp_path / "matrix.toml")
    assert problem in str(raised.value)


def test_only_pairs_with_tests_have_the_level(tmp_path: Path) -> None:
    path = project(tmp_path / "one") / "matrix.toml"
    (pair,) = read_matrix(path).pairs
    assert levels_of(pair) == (Level.IMPORT, Level.GPU, Level.TESTS)
    path.write_text(ENTRY)
    (pair,) = read_matrix(path).pairs
    assert levels_of(pair) == (Level.IMPORT, Level.GPU)
    assert levels_of(pair, [Level.TESTS]) == ()


def test_the_gate_without_any_tests_is_closed(tmp_path: Path) -> None:
    (tmp_path / "matrix.toml").write_text(ENTRY)
    pairs = read_matrix(tmp_path / "matrix.toml").pairs
    assert not read_gate(pairs, Level.TESTS, tmp_path, inputs.Shipped(tmp_path / "locks")).open


def test_an_outcome_of_tests_needs_tests_and_no_gpu(tmp_path: Path) -> None:
    cell = Cell(pair_id="new", level=Level.TESTS)
    digests = Digests(pair="a", lock="b", index="c", probe="d")
    for counts, passed in ((Counts(tests=2, tests_passed=2), True), (Counts(), False)):
        outcome = CellOutcome(
            cell=cell, state=State.PASSED, reason="", pair="vllm 0.33.0", counts=counts, digests=digests,
            started="2026-12-01T00:00:00+00:00",
        )  # fmt: skip
        outcome.write(outcome_path(cell, tmp_path))
        assert read_outcome(outcome_path(cell, tmp_path), cell).passed == passed


def test_the_code_of_the_project_decides(tmp_path: Path) -> None:
    root = project(tmp_path / "project", test_a=PASSING)
    (root / ".hidden.py").write_text("")
    (root / "pyproject.toml").write_text("")
    (root / "notes.md").write_text("")
    names = {path.relative_to(root).as_posix() for path in user_tests.deciding_files(root)}
    assert {"src/mine.py", "tests/test_a.py", "pyproject.toml"} <= names
    assert "notes.md" not in names


def test_a_cell_runs_the_tests_in_its_environment_until_the_code_changes(
    house: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """From the installation to the gate; only pytest comes from this environment, as there is no network."""
    site, root = Path(pytest.__file__).parents[1], Path(__file__).parents[2]  # with pytest's plugins
    install = prepare.prepare_installed

    def with_pytest(*arguments: Any, tests: Sequence[str], **options: Any) -> prepare.Prepared:
        assert tests == (prepare.PYTEST,)
        return replace(install(*arguments, tests=(), **options), path=(site, root))

    monkeypatch.setattr(prepare, "prepare_installed", with_pytest)
    # In the project, the files of the cache would count as its code.
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
    (house / "tests").mkdir()
    (house / "tests/test_mine.py").write_text("def test_it():\n    import sglang.quant\n")
    tested = replace(pair(), tests="pytest tests")
    sources = Tiny(house / "locks")
    levels = replace(options(house), levels=(Level.TESTS,))
    (outcome,) = scheduler.run_pairs([tested], sources, levels)
    assert (outcome.state, outcome.reason, outcome.counts.tests_passed) == (State.PASSED, "", 1)
    first = read_gate([tested], Level.TESTS, levels.reports, sources)
    assert [each.reason for each in first.failures] == []
    (again,) = scheduler.run_pairs([tested], sources, levels)
    assert again == outcome, "nothing changed"
    (house / "tests/test_mine.py").write_text("def test_it():\n    import sglang.gone\n")
    gate = read_gate([tested], Level.TESTS, levels.reports, sources)
    assert [each.reason for each in gate.failures] == [
        "the outcome is stale: code changed since; run the cell again"
    ]
    (failed,) = scheduler.run_pairs([tested], sources, levels)
    assert failed.state is State.FAILED
    assert failed.disagreements[0].location == "tests.test_mine.test_it"
    assert "No module named 'sglang.gone'" in failed.disagreements[0].observed
    with pytest.raises(UsageError, match='has no "tests" for this pair'):
        scheduler.run_pairs([pair()], sources, levels)
