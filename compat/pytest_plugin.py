"""A pytest plug-in that adds a diagnosis below a test which fails with an import error of these packages.

It is active wherever this project is installed; `--no-compat`, or `compat = false` in pytest's
configuration, turns it off. Until a test fails, it imports nothing else of this project.
"""

import re
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from compat.model.diagnosis import Diagnosis

TITLE = "compat diagnosis"
DEEPEST = 30
"""Most exceptions of one chain that are inspected."""
_OURS = re.compile(r"\b(?:sglang|vllm|sgl_kernel)\b")
_STUBBED = re.compile(r"\bAny\b|\bDummy|\bPlaceholder|NoneType")
"""Matches the message of an error that using a stub raises."""
_CALL = re.compile(r"(\w+)(?:\.\w+)*\(\) (?:got an unexpected|missing \d+ required|takes .{1,30} positional)")
"""Matches Python's message about arguments that do not fit a function's signature."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options that turn the plug-in off."""
    group = parser.getgroup("compat", "sglang-vllm-compat")
    group.addoption(
        "--no-compat",
        action="store_true",
        help="do not diagnose import errors of sglang and vllm under failed tests",
    )
    parser.addini(
        "compat", "whether import errors of sglang and vllm are diagnosed", type="bool", default=True
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the reporter, unless the plug-in is turned off."""
    if not config.getoption("no_compat") and config.getini("compat"):
        config.pluginmanager.register(Reporter(), "compat-reporter")


class Reporter:
    """Adds a diagnosis to pytest's reports of failures."""

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
        """Add a diagnosis to the report of a failed test, set-up or teardown."""
        outcome = yield
        if call.excinfo is not None:
            _add_diagnosis(outcome.get_result(), call.excinfo.value)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, Any, None]:
        """Add a diagnosis to the report of a file that could not be collected."""
        outcome = yield
        report = outcome.get_result()
        excinfo = getattr(getattr(report, "call", None), "excinfo", None)
        if excinfo is not None:
            _add_diagnosis(report, excinfo.value)


def _add_diagnosis(report: pytest.TestReport | pytest.CollectReport, error: BaseException) -> None:
    """Add a section with the diagnosis to a failed report; if diagnosing fails, the section says so."""
    if not report.failed:
        return
    try:
        text = _diagnosis_text(error)
    except Exception as problem:  # noqa: BLE001 -- a defect here must not break a run
        from compat._cli.printable import printable

        text = printable(f"no diagnosis: {type(problem).__name__}: {' '.join(str(problem).split())}")
    if not text:
        return
    add = getattr(report.longrepr, "addsection", None)
    if add is not None:
        add(TITLE, text)  # shown even when pytest hides captured output
    else:
        report.sections.append((TITLE, text))


def _diagnosis_text(error: BaseException) -> str:
    """Return the diagnosis of an exception as text; empty for other packages' errors and unknown causes."""
    chain = list(_chain(error))
    if not any(map(_concerned, chain)):
        return ""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a run may turn warnings into errors
        from compat.explain.output import as_text

        # An unknown cause that names a module still has evidence worth showing.
        found = [each for each in _found(error, chain) if each.cause != "unknown" or each.module]
        return as_text(found) if found else ""


def _found(error: BaseException, chain: list[BaseException]) -> tuple["Diagnosis", ...]:
    """Return the diagnosis that a SymbolUnavailable carries, else what `explain` finds in the traceback."""
    from compat.errors import SymbolUnavailable

    for each in chain:
        if isinstance(each, SymbolUnavailable):
            return (each.diagnosis,)
    import traceback

    from compat.explain.engine import explain
    from compat.requirements.installed import read_environment

    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return explain("".join(lines), environment=read_environment())


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes and contexts, the most recent first."""
    current: BaseException | None = error
    for _ in range(DEEPEST):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__


def _concerned(error: BaseException) -> bool:
    """Return whether an exception may come from an import, a stub or a call of these packages."""
    text = str(error)
    if not isinstance(error, ImportError):
        named = isinstance(error, AttributeError | KeyError | NameError | TypeError | RuntimeError | OSError)
        return named and bool(_OURS.search(text) or _STUBBED.search(text) or _called_ours(error, text))
    if _OURS.search(text) or _OURS.search(error.name or ""):
        return True
    step = error.__traceback__
    while step is not None:
        if _OURS.search(step.tb_frame.f_globals.get("__name__") or ""):
            return True
        step = step.tb_next
    return False


def _called_ours(error: BaseException, text: str) -> bool:
    """Return whether `text` reports wrong arguments for a function that these packages define."""
    found = _CALL.match(text)
    step = error.__traceback__
    if found is None or step is None:
        return False
    while step.tb_next is not None:
        step = step.tb_next
    frame = step.tb_frame
    called = frame.f_locals.get(found[1], frame.f_globals.get(found[1]))
    return bool(_OURS.search(str(getattr(called, "__module__", ""))))
