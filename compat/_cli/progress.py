"""Progress observers: library code reports its progress, the command decides whether to show it."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from compat._cli.console import say
from compat._cli.printable import printable
from compat._cli.text import size


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


EVERY = 30.0
"""Seconds between two lines about the progress of long work."""


class NoteLines:
    """An observer for pipes, files and CI logs: it prints notes, and now and then a line about progress."""

    def __init__(self, title: str = "", total: int | None = None, *, unit_bytes: bool = False) -> None:
        """Print notes, and lines that begin with `title` unless it is empty; see `on_terminal`."""
        self._title, self._total, self._unit_bytes = title, total, unit_bytes
        self._done = 0
        self._said = time.monotonic()

    def advance(self, amount: int = 1) -> None:
        """Count the progress; write a line to stderr if the last one was written some time ago."""
        self._done += amount
        if self._title and time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            shown = size if self._unit_bytes else str
            total = f" of {shown(self._total)}" if self._total else ""
            self.note(f"{self._title}: {shown(self._done)}{total}")

    def note(self, message: str) -> None:
        """Write the note to stderr."""
        say(message)


@contextmanager
def on_terminal(title: str, total: int | None, *, unit_bytes: bool = False) -> Iterator[Progress]:
    """Yield an observer that draws a progress bar on stderr, or prints lines if that is no terminal.

    Args:
        title: the label of the bar, two or three words.
        total: the number of units, or None if unknown.
        unit_bytes: whether the units are bytes, shown as kB or MB.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield NoteLines(title, total, unit_bytes=unit_bytes)
        return
    try:
        from rich import progress as bars
        from rich.console import Console
    except ImportError:
        yield NoteLines(title, total, unit_bytes=unit_bytes)
        return
    counts = bars.DownloadColumn() if unit_bytes else bars.MofNCompleteColumn()
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), counts, bars.TimeRemainingColumn())
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(title, total=total)

        class Bar:
            def advance(self, amount: int = 1) -> None:
                drawn.advance(task, amount)

            def note(self, message: str) -> None:
                drawn.console.print(f"compat: {printable(message)}", highlight=False, markup=False)

        yield Bar()
