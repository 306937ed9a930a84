"""The rows that the index stores: branches of names, modules and successors."""

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
    """One branch of a name, with its guard, target and signature as text."""

    status: Status
    kind: Kind | None
    target: str | None
    guard: str | None
    """The guard as JSON; None when the branch always runs."""
    truth: str | None
    """The condition that is the value of the name, as JSON."""
    signature: str | None
    """The parameters, as `compat.index.extract.signatures` writes them."""
    refusal: str | None = None
    """The error with which a stub refuses every use."""


Names = dict[str, tuple[Row, ...]]
"""Maps each name to its branches in source order; the empty name has the imports that bind no name."""


class Branch(NamedTuple):
    """One branch of a binding, decoded; of several branches the last whose guard is true applies."""

    status: Status
    kind: Kind | None
    target: str | None
    guard: Guard
    truth: Guard | None
    signature: int | None
    """The number of the signature in the index: see `Index.signature`."""
    refusal: str | None = None
    """The error with which a stub refuses every use."""


class ModuleRow(NamedTuple):
    """A module in one release: its form, and whether its list of names is incomplete."""

    form: str
    open: bool


class Successor(NamedTuple):
    """The most likely successor of a definition, or the searched object under another name."""

    module: str
    name: str
    """Empty for a module."""
    confidence: float
    """From 0 to 1."""
    evidence: str
    """The reasons, as text."""
    old_module: str = ""
    """The module of the old definition; empty if it is not known."""
    old_name: str = ""
    last: int = -1
    """Index of the last release with the old definition; the next release has the successor."""
    same_call: bool = True
    """Whether both have the same signature, as far as signatures were compared."""
    certain: bool = True
    """Whether it is the same object: followed from release to release, or with an equal signature."""

    @property
    def statement(self) -> str:
        """The import statement for the successor."""
        return import_statement(self.module, self.name)

    @property
    def doubt(self) -> str:
        """The caveat to append to a message about the successor; empty if there is no doubt."""
        if not self.same_call:
            return "; its signature differs"
        return "" if self.certain else "; it may be a different object"

    @property
    def change(self) -> Change:
        """Whether the definition was moved or renamed."""
        return "move" if self.name == self.old_name else "rename"
