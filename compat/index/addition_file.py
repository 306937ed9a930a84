"""Read an index file with builds and commits; its numbers of signatures differ from those of other files."""

from __future__ import annotations

from compat.errors import IntegrityError
from compat.index.additions import Addition, read_addition
from compat.index.reader import Index

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
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
        IntegrityError: the file does not exist, or is not an index of this version.
    """

    def __init__(self, path: str | os.PathLike[str], number: int) -> None:
        self._path = path
        self._start = number * SIGNATURES
        super().__init__(path)

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
