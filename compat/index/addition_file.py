"""Read an index file with builds and commits; its numbers of signatures differ from those of other files."""

from __future__ import annotations

import os

from compat.errors import IntegrityError, UsageError
from compat.index.additions import Addition, read_addition
from compat.index.reader import Index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from compat.index.records import Branch

SIGNATURES = 10**9
"""More signatures than one index has: those of each file have numbers of their own."""


class AdditionFile(Index):
    """An index file with additions; its signatures have other numbers than those of other files.

    Args:
        path: the file.
        number: the number of the file, counted from 1.

    Raises:
        UsageError: the file does not exist.
        IntegrityError: it is not an index of this version.
    """

    def __init__(self, path: str | os.PathLike[str], number: int) -> None:
        self._path = path
        self._start = number * SIGNATURES
        if not os.path.isfile(path):  # noqa: PTH113 -- pathlib takes too long
            raise UsageError(f'{path}: no such file; write one with "compat index add"')
        try:
            super().__init__(path)
        except IntegrityError:
            raise IntegrityError(
                f'{path}: damaged, or not of this version of "compat index add"; delete it and run that again'
            ) from None

    def additions(self) -> list[tuple[str, int, Addition]]:
        """Return the additions with their package and their release index in this file.

        Raises:
            IntegrityError: what the file tells about them is not what this version writes.
        """
        if not self.rows("SELECT 1 FROM sqlite_master WHERE name = 'additions'"):
            return []
        rows = self.rows(
            "SELECT package, release_index, facts FROM additions ORDER BY package, release_index"
        )
        try:
            return [(package, at, read_addition(facts)) for package, at, facts in rows]
        except (ValueError, TypeError, RecursionError):
            raise IntegrityError(f"{self._path}: its builds cannot be read; write it again") from None

    def signature(self, number: int | None) -> str | None:
        return super().signature(None if number is None else number - self._start)

    def _branch(self, *columns: Any) -> Branch:
        branch = super()._branch(*columns)
        if branch.signature is None:
            return branch
        return branch._replace(signature=branch.signature + self._start)
