"""A pytest plug-in: a diagnosis under a failed test whose error is an import or a call of these packages.

It is active once this project is installed; `--no-compat`, or `compat = false` in pytest's configuration,
turns it off. As long as nothing fails it does nothing, and loads nothing but this file.
"""

import re
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from compat.model.diagnosis import Diagnosis

TITLE = "compat diagnosis"
DEEPEST = 30
"""Exceptions of a chain that are looked at."""
_OURS = re.compile(r"\b(?:sglang|vllm|sgl_kernel)\b")
_STUBBED = re.compile(r"\bAny\b|\bDummy|\bPlaceholder|NoneType")
"""What errors say when a stub was used as the real thing."""
_CALL = re.compile(r"(\w+)(?:\.\w+)*\(\) (?:got an unexpected|missing \d+ required|takes .{1,30} positional)")
"""What Python says of a call that a definition does not take."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ways to turn it off."""
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
    """Start to watch for failures, unless that is turned off."""
    if not config.getoption("no_compat") and config.getini("compat"):
        config.pluginmanager.register(Reporter(), "compat-reporter")


class Reporter:
    """Adds a diagnosis to the reports of failures."""

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
        """Look at a failed test, or its set-up or clean-up."""
        outcome = yield
        if call.excinfo is not None:
            _tell(outcome.get_result(), call.excinfo.value)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, Any, None]:
        """Look at a file that could not be collected."""
        outcome = yield
        report = outcome.get_result()
        excinfo = getattr(getattr(report, "call", None), "excinfo", None)
        if excinfo is not None:
            _tell(report, excinfo.value)


def _tell(report: pytest.TestReport | pytest.CollectReport, error: BaseException) -> None:
    """Add the diagnosis to a failed report; whatever goes wrong here is one line in it, and no more."""
    if not report.failed:
        return
    try:
        text = _diagnosed(error)
    except Exception as problem:  # noqa: BLE001 -- a defect here must not break a run
        text = f"no diagnosis: {type(problem).__name__}: {' '.join(str(problem).split())}"
    if not text:
        return
    add = getattr(report.longrepr, "addsection", None)
    if add is not None:
        add(TITLE, text)  # shown whatever becomes of captured output
    else:
        report.sections.append((TITLE, text))


def _diagnosed(error: BaseException) -> str:
    """Return the diagnosis of an exception as text; empty when it is none of these packages', or unknown."""
    chain = list(_chain(error))
    if not any(map(_concerned, chain)):
        return ""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a run may turn warnings into errors
        from compat.explain.output import as_text

        # Of an unknown cause something may be known all the same: then it says where.
        found = [each for each in _found(error, chain) if each.cause != "unknown" or each.module]
        return as_text(found) if found else ""


def _found(error: BaseException, chain: list[BaseException]) -> tuple["Diagnosis", ...]:
    """Return what `compat.load` has told already, else what its text is explained by."""
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
    """Yield an exception and those that it came from, the last first."""
    current: BaseException | None = error
    for _ in range(DEEPEST):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__


def _concerned(error: BaseException) -> bool:
    """Return whether an exception may be an import error of these packages, or tell of one of their stubs."""
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
    """Return whether it is a definition of these packages that does not take a call."""
    found = _CALL.match(text)
    step = error.__traceback__
    if found is None or step is None:
        return False
    while step.tb_next is not None:
        step = step.tb_next
    frame = step.tb_frame
    called = frame.f_locals.get(found[1], frame.f_globals.get(found[1]))
    return bool(_OURS.search(str(getattr(called, "__module__", ""))))
