"""Unknown values: no function of Python makes a known value of one, so that both branches are checked."""

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat.index.reader import Index
from compat.scan.interpreter import reachability
from compat.scan.interpreter.builtins import BUILTINS
from compat.scan.interpreter.patterns import matched
from compat.scan.interpreter.values import LARGEST, UNKNOWN, bounded, size
from scan_guard_cases import BROKEN, broken

FUNCTIONS = sorted(
    name
    for name in dir(builtins)
    if name[0].islower() and callable(getattr(builtins, name)) and name != "exit"
)
ARGUMENTS = ("settings.flags", "[settings.flags]", "Local", "Local()", "helper", "(1, settings)", "sys.argv")
TRUE = {
    *(("bool", argument) for argument in ("Local", "helper", "[settings.flags]", "(1, settings)")),
    ("any", "(1, settings)"),
}
"""Calls whose result is known: classes, functions and tuples with elements are true."""
HEAD = """
import sys
import settings
class Local: ...
def helper(): ...
"""


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_a_built_in_function_of_an_unknown_value_is_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argument: str
) -> None:
    """Imports in both branches are reported, for every built-in function and as every argument."""
    lines = HEAD.strip().split("\n")
    wanted = {}
    for name in FUNCTIONS:
        if (name, argument) in TRUE:
            continue
        for call in (f"{name}({argument})", f"{name}('x', {argument})"):
            lines += [
                f"if {call}:",
                "    import vllm.worker.worker",
                "else:",
                "    import vllm.worker.worker",
            ]
            wanted.update({len(lines) - 2: BROKEN, len(lines): BROKEN})
    source = "\n".join(lines)
    assert set(BUILTINS) < {*FUNCTIONS, "__import__"}
    assert broken(tmp_path, capsys, source) == wanted


@pytest.mark.parametrize(
    "test",
    [
        "settings.mode is None",
        "settings.Debug",
        "not settings.Debug",
        "settings.Debug.Level",
        "bool(settings.Debug)",
        "Feature",
        "any([settings.Debug, 0])",
        "re.compile(settings.pattern).match('old')",
        "re.compile('old', settings.flags).match('old')",
        "settings.mode == 'old'",
        "'old' in (settings.mode, 1)",
        "{'old': True}.get(settings.mode)",
        "'old'.startswith(settings.mode)",
        "'-'.join([settings.mode]) == 'old'",
        "f'{settings.mode}' == 'old'",
        "settings.mode[:3] == 'old'",
        "settings.mode + 'x' == 'old'",
        "settings.mode in {'old', 'new'}",
        "any(each for each in settings.modes)",
        "str(settings.mode, **settings.options) == 'old'",
        "re.match(settings.pattern, 'old')",
        "'{:>999999999}'.format(1) == 'old'",
        "'%999999999d' % 1 == 'old'",
        "'{}'.format(*settings.modes) == 'old'",
        "'%s' % settings.mode == 'old'",
    ],
)
def test_an_expression_with_an_unknown_value_is_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], test: str
) -> None:
    source = (
        f"import re\nimport settings\nfrom mine import Feature\nif {test}:\n    import vllm.worker.worker\n"
        "else:\n    import vllm.worker.worker\n"
    )
    assert broken(tmp_path, capsys, source) == {5: BROKEN, 7: BROKEN}


@pytest.mark.parametrize(
    "known", ["vllm.LLM", "LLM", "vllm.envs", "Path", "enum.Enum", "all([settings, 1, 0])"]
)
def test_classes_and_modules_are_true(tmp_path: Path, capsys: pytest.CaptureFixture[str], known: str) -> None:
    known = f"not {known}" if "all" not in known else known
    source = f"""
        import enum, settings, vllm, vllm.envs
        from pathlib import Path
        from vllm import LLM
        if {known}:
            import vllm.worker.worker
        """
    assert broken(tmp_path, capsys, source) == {}


def test_what_a_package_has_is_not_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = """
        import vllm.envs, torch
        from vllm import LLM
        if LLM is None or vllm.envs is None or torch is None:
            import vllm.worker.worker
        """
    assert broken(tmp_path, capsys, source) == {}


def test_a_computed_value_has_a_largest_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Chained methods, concatenations and nested tuples are unknown before they take memory or time."""
    lines = ["import settings", "a = 'a'", "t = (1, 1)", "n = 9"]
    for _ in range(60):
        lines += ["a = a.replace('a', 'a' + 'a' * 1 + 'aaaaaaaaa')", "t = (t, t)", "n = n * n", "a = a + a"]
    lines += ["if a == 'b' or t == 3 or n == 4:", "    import vllm.worker.worker"]
    chained = "'a'" + ".replace('a', 'aaaaaaaaaa')" * 40
    lines += [f"if {chained} == 'b':", "    import vllm.worker.worker"]
    found = broken(tmp_path, capsys, "\n".join(lines))
    assert found == {len(lines) - 2: BROKEN, len(lines): BROKEN}


def test_sizes_are_counted_up_to_the_limit() -> None:
    shared: tuple[object, ...] = (1, 2)
    for _ in range(100):
        shared = (shared, shared)
    assert LARGEST < size(shared) <= 2 * LARGEST
    assert size("abc", (1, "ab")) == 4 + 3 + 1 + 3
    assert bounded("a" * LARGEST) is UNKNOWN
    assert bounded("a" * 10) == "a" * 10


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "a{1,9}", "(?=a)", "a*a*a*a*a*a*b", "(a?)*", "a" * 200]
)
def test_a_pattern_that_may_take_long_is_not_applied(pattern: str) -> None:
    assert matched("re.match", pattern, "a" * 30) is UNKNOWN


def test_a_simple_pattern_is_applied_to_a_short_text() -> None:
    found = matched("re.match", r"(\d+)\.(\d+)(?:\.post(\d+))?$", "0.9.post1")
    assert found.groups() == ("0", "9", "1")
    assert matched("re.fullmatch", r"\d+", "0.9") is None
    assert matched("re.match", r"\d+", "1" * 1_000) is UNKNOWN


MISSING = "import vllm.missing{0}\n"
FORMS = {
    "a module": MISSING,
    "a name": "from vllm.missing{0} import name{0}\n",
    "in an attempt": "try:\n    import vllm.missing{0}\nexcept ValueError:\n    pass\n",
    "after a test that may leave": "if settings.old{0}:\n    raise SystemExit\n" + MISSING,
}


@pytest.mark.parametrize("name", FORMS)
def test_the_work_grows_with_the_number_of_missing_modules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Twice as many imports take twice as many questions to the index and looks at statements."""
    work = 0
    leaves = reachability._may_leave

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any) -> Any:
            nonlocal work
            work += 1
            return function(*arguments)

        return counting

    for asked in ("module", "branches", "binders", "modules_named", "successors"):
        monkeypatch.setattr(Index, asked, counted(getattr(Index, asked)))
    monkeypatch.setattr(reachability, "_may_leave", counted(leaves))
    counts = []
    for count in (50, 100, 200):
        work = 0
        source = "import settings\n" + "".join(FORMS[name].format(number) for number in range(count))
        assert len(broken(tmp_path, capsys, source)) == count
        counts.append(work)
    assert counts[2] - counts[1] <= 2.2 * (counts[1] - counts[0])
