"""Recognize imports between which a switch of the packages chooses: an environment variable of theirs."""

import ast
from collections.abc import Sequence

from compat.scan.interpreter.expressions import Evaluation
from compat.scan.interpreter.scopes import Frame
from compat.scan.interpreter.values import Path

_SWITCHES = ("vllm.envs.", "sglang.srt.environ.")
"""What the modules contain that read environment variables, each with a default that fits the release."""


def reads_switch(test: ast.expr, evaluation: Evaluation, frame: Frame) -> bool:
    """Return whether a test reads a switch of the packages."""
    values = (evaluation.quiet(each, frame) for each in ast.walk(test) if isinstance(each, ast.Attribute))
    return any(isinstance(value, Path) and value.text.startswith(_SWITCHES) for value in values)


def alternatives(first: Sequence[ast.stmt], second: Sequence[ast.stmt]) -> bool:
    """Return whether two blocks import the same name."""
    return not _imported(first).isdisjoint(_imported(second))


def _imported(block: Sequence[ast.stmt]) -> set[str]:
    return {
        alias.asname or alias.name
        for statement in block
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
