"""What the index keeps of one module: rows of plain text, compared and stored as such."""

from typing import NamedTuple

from compat.symbols import Kind, Status


class Row(NamedTuple):
    """One branch of a name."""

    status: Status
    kind: Kind | None
    target: str | None
    guard: str | None
    """The guard as JSON; None when the branch always runs."""
    truth: str | None
    """The condition that the value stands for, as JSON."""
    signature: str | None


Names = dict[str, tuple[Row, ...]]
"""Name to its branches in source order; the empty name holds imports that bind nothing that lasts."""
