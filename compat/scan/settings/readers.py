"""Read what a script or configuration file of any kind says about settings."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from compat.model.package_names import SGLANG, VLLM
from compat.scan.settings.dockerfile import dockerfile_commands
from compat.scan.settings.kinds import Kind
from compat.scan.settings.markdown import blocks
from compat.scan.settings.model import Command, VariableUse
from compat.scan.settings.shell import commands
from compat.scan.settings.variables import variables_set
from compat.scan.settings.yaml_file import yaml_commands


class Contents(NamedTuple):
    """What reads, at most once, the command lines and the variables of a file or of one block of Markdown."""

    commands: Callable[[], list[Command]]
    variables: Callable[[], list[VariableUse]]
    python: tuple[int, int] | None = None
    """For a block of Python, where it begins and ends; it is read by itself."""


def contents(kind: Kind, text: str) -> Iterator[Contents]:
    """Yield what a file says, in one record, or in one for each block of a Markdown file."""
    if kind != "markdown":
        yield _part(kind, text, 0, len(text))
        return
    for block in blocks(text):
        if block.kind is None:
            yield Contents(list, list, (block.start, block.end))
        else:
            yield _part(block.kind, text, block.start, block.end)


def _part(kind: Kind, text: str, start: int, end: int) -> Contents:
    return Contents(
        cache(lambda: _commands(kind, text, start, end)), cache(lambda: list(variables_set(text, start, end)))
    )


def _commands(kind: Kind, text: str, start: int, end: int) -> list[Command]:
    """Return the command lines of a part of a text that may give a program of the packages an option."""
    if text.find("--", start, end) < 0 or all(text.find(each, start, end) < 0 for each in (VLLM, SGLANG)):
        return []  # most parts: reading them would take most of the time
    if kind == "dockerfile":
        return list(dockerfile_commands(text, start, end))
    if kind == "yaml":
        return list(yaml_commands(text, start, end))
    return [] if kind == "env" else commands(text, start, end)
