"""What the index keeps of one module: rows of plain text, compared and stored as such."""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple
from compat.model.symbols import import_statement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from compat.model.guards import Guard
    from compat.model.symbols import Kind, Status

    Change = Literal["move", "rename"]
    """A move keeps the name and changes the module; a rename changes the name, and maybe the module too."""


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
    """How it is called: see `compat.index.extract.signatures`."""


Names = dict[str, tuple[Row, ...]]
"""Name to its branches in source order; the empty name holds imports that bind nothing that lasts."""


class Branch(NamedTuple):
    """One branch of a binding; the last whose guard holds wins."""

    status: Status
    kind: Kind | None
    target: str | None
    guard: Guard
    truth: Guard | None
    signature: int | None
    """The number of how it is called: see `Index.signature`."""


class ModuleRow(NamedTuple):
    """A module in one release."""

    form: str
    open: bool


class Successor(NamedTuple):
    """What most likely took the place of a definition, or is what was asked for under another name."""

    module: str
    name: str
    """Empty when it is a module."""
    confidence: float
    """From 0 to 1."""
    evidence: str
    """What speaks for it, in a few words."""
    old_module: str = ""
    """Whose place it took, where that is known."""
    old_name: str = ""
    last: int = -1
    """Index of the last release that had the old one; the successor is in the one after."""
    same_call: bool = True
    """Whether it is called as the old one was, as far as that was compared."""
    certain: bool = True
    """Whether it is the same thing: followed from release to release, or with the very same signature."""

    @property
    def statement(self) -> str:
        """The import."""
        return import_statement(self.module, self.name)

    @property
    def doubt(self) -> str:
        """What is to be said with it."""
        if not self.same_call:
            return "; it is called differently"
        return "" if self.certain else "; it may be another thing"

    @property
    def change(self) -> Change:
        """Whether it moved or was renamed."""
        return "move" if self.name == self.old_name else "rename"
