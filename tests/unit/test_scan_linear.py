"""The work of a scan grows with the number of tests in a file, and no faster."""

from collections.abc import Callable
from pathlib import Path

import pytest

from compat.scan.cli import main
from compat.scan.interpreter.expressions import Evaluation
from compat.scan.interpreter.statements import Execution

USE = "import vllm.worker.worker"


def flat(n: int) -> str:
    tests = "".join(f"if os.environ.get('A{at}'):\n    x = {at}\n" for at in range(n))
    return f"import os\nx = 0\n{tests}" + f"if x:\n    {USE}\n" * n


def alternating(n: int) -> str:
    return "import os\nx = os\n" + f"if x:\n    x = os.environ.get('A')\n    {USE}\n" * n


def local(n: int) -> str:
    return "def f(y):\n    x = y\n" + f"    if x:\n        x = y.a\n    if x:\n        {USE}\n" * n


def returning(n: int) -> str:
    tests = "".join(f"    if y.a{at}:\n        return\n    {USE}\n" for at in range(n))
    return f"def f(y):\n{tests}"


def chained(n: int) -> str:
    return "def f(y):\n    x0 = y\n" + "".join(
        f"    x{at + 1} = x{at}\n    if x{at + 1}:\n        {USE}\n" for at in range(n)
    )


@pytest.mark.parametrize("source", [flat, alternating, local, returning, chained])
def test_twice_as_many_tests_take_twice_the_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    source: Callable[[int], str],
) -> None:
    work = 0
    evaluate, execute = Evaluation.value, Execution.statement

    def value(self: Evaluation, *arguments: object) -> object:
        nonlocal work
        work += 1
        return evaluate(self, *arguments)  # type: ignore[arg-type]

    def statement(self: Execution, *arguments: object) -> object:
        nonlocal work
        work += 1
        return execute(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Evaluation, "value", value)
    monkeypatch.setattr(Execution, "statement", statement)
    counts = []
    for n in (250, 500):
        work = 0
        (tmp_path / "code.py").write_text(source(n))
        main([str(tmp_path / "code.py"), "--vllm", "0.23.0", "--sglang", "0.5.1", "--format", "json"])
        counts.append(work)
    capsys.readouterr()
    assert counts[0] > 250
    assert counts[1] < 2.5 * counts[0]
