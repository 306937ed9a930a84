"""What the index keeps of one module: rows of plain text, compared and stored as such."""

from typing import Literal, NamedTuple

from compat.model.guards import Guard
from compat.model.symbols import Kind, Status


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


class Branch(NamedTuple):
    """One branch of a binding; the last whose guard holds wins."""

    status: Status
    kind: Kind | None
    target: str | None
    guard: Guard
    truth: Guard | None
    signature: str | None


class ModuleRow(NamedTuple):
    """A module in one release."""

    form: str
    open: bool


Change = Literal["move", "rename"]
"""A move keeps the name and changes the module; a rename changes the name, and maybe the module too."""


class Succession(NamedTuple):
    """A definition that vanished with a release, and what most likely took its place in the next one."""

    module: str
    name: str
    last: int
    """Position of the last release that had it; the successor is in the one after."""
    to_module: str
    to_name: str
    confidence: float
    """From 0 to 1, in hundredths."""
    evidence: str
    """What speaks for it, in a few words."""

    @property
    def change(self) -> Change:
        """Whether it moved or was renamed."""
        return "move" if self.name == self.to_name else "rename"
