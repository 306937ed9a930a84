"""Progress observers: library code reports its progress, the command decides whether to show it."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from compat._cli import console
from compat._cli.printable import printable
from compat._cli.text import duration, size

LINE_EVERY = 15.0
"""Seconds between two lines about a task in a log."""


class Progress(Protocol):
    """An observer of one task's progress."""

    def advance(self, amount: int = 1) -> None:
        """Report that `amount` more units (files, bytes, modules) are done."""

    def note(self, message: str) -> None:
        """Report something that the user should know, such as a fallback."""


class Silent:
    """An observer that ignores everything; the default of library functions."""

    def advance(self, amount: int = 1) -> None:
        """Ignore the progress."""

    def note(self, message: str) -> None:
        """Ignore the note."""


class NoteLines:
    """An observer that prints notes to stderr and draws no bar."""

    def advance(self, amount: int = 1) -> None:
        """Ignore the progress."""

    def note(self, message: str) -> None:
        """Write the note to stderr."""
        console.say(message)


class LogLines(NoteLines):
    """An observer for pipes, files and CI logs: it prints notes, and how far a long task is now and then.

    Args:
        title: the label of the task.
        total: the number of its units; None if there is nothing to count up to.
        unit_bytes: whether the units are bytes, shown as kB or MB.
    """

    def __init__(self, title: str, total: int | None, *, unit_bytes: bool = False) -> None:
        self._title, self._total, self._done = title, total, 0
        self._shown = size if unit_bytes else str
        self._begun = self._last = time.monotonic()

    def advance(self, amount: int = 1) -> None:
        """Count the progress, and print a line if none was printed for some time."""
        self._done += amount
        now = time.monotonic()
        if now - self._last >= LINE_EVERY:
            self._last = now
            shown = self._shown
            count = "" if self._total is None else f" {shown(self._done)} of {shown(self._total)},"
            console.say(f"{self._title}:{count} {duration(now - self._begun)} so far")


@contextmanager
def on_terminal(title: str, total: int | None, *, unit_bytes: bool = False) -> Iterator[Progress]:
    """Yield an observer that draws a progress bar on stderr, or prints lines if that is no terminal.

    Args:
        title: the label of the bar, two or three words.
        total: the number of units, or None if unknown.
        unit_bytes: whether the units are bytes, shown as kB or MB.
    """
    if console.quiet():
        yield NoteLines()
        return
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield LogLines(title, total, unit_bytes=unit_bytes)
        return
    try:
        from rich import progress as bars
        from rich.console import Console
    except ImportError:
        yield NoteLines()
        return
    counts = bars.DownloadColumn() if unit_bytes else bars.MofNCompleteColumn()
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), counts, bars.TimeElapsedColumn())
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(title, total=total)

        class Bar:
            def advance(self, amount: int = 1) -> None:
                drawn.advance(task, amount)

            def note(self, message: str) -> None:
                drawn.console.print(f"compat: {printable(message)}", highlight=False, markup=False)

        yield Bar()
