"""The rows that the index stores: branches of names, modules and successors."""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple
from compat.model.safety import safety_of
from compat.model.signatures import accepts_same_calls, changes
from compat.model.symbols import import_statement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from compat.model.guards import Guard
    from compat.model.safety import Safety
    from compat.model.signatures import CallChange
    from compat.model.symbols import Kind, Status

    Change = Literal["move", "rename"]
    """A move keeps the name and changes the module; a rename changes the name, and maybe the module too."""


BASE_CLASS, CALLED = "its base class", "it only called it"
"""The evidence that a deprecated definition only handed its uses on, to what was there beside it."""


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
    certain: bool = True
    """Whether it is the same object: followed from release to release, or with an equal signature."""
    old_kind: Kind | None = None
    """The kind of the old object: `class` if it was one in any release; None if not known."""
    kind: Kind | None = None
    old_signature: str | None = None
    """The signature of the old object in the nearest release that has it; None if not known."""
    signature: str | None = None

    @property
    def statement(self) -> str:
        """The import statement for the successor."""
        return import_statement(self.module, self.name)

    @property
    def same_call(self) -> bool:
        """Whether every call of the old object is one of the new object, as far as signatures are known."""
        old, new = self.old_signature, self.signature
        return old is None or new is None or accepts_same_calls(old, new)

    @property
    def call_changes(self) -> tuple[CallChange, ...]:
        """The parameters before and after, for a function or per method, where they differ."""
        old, new = self.old_signature, self.signature
        return () if old is None or new is None else changes(old, new)

    @property
    def same_kind(self) -> bool:
        """Whether both are classes, or both functions, and so on, as far as the kinds are known."""
        return None in (self.old_kind, self.kind) or self.old_kind == self.kind

    @property
    def became_function(self) -> bool:
        """Whether a class became a function, which is no base class and has no attributes."""
        return (self.old_kind, self.kind) == ("class", "function")

    @property
    def safety(self) -> Safety:
        """Whether the successor can be written, or returned, without review."""
        return safety_of(self.confidence, exact=self.certain and self.same_kind and self.same_call)

    @property
    def doubt(self) -> str:
        """The caveat to append to a message about the successor; empty if it is safe."""
        if self.safety == "safe":
            return ""
        if not self.same_kind:
            return f"; a {self.old_kind} became a {self.kind}"
        if not self.same_call:
            return "; its signature differs"
        return "; a guess" if self.certain else "; it may be a different object"

    @property
    def change(self) -> Change:
        """Whether the definition was moved or renamed."""
        return "move" if self.name == self.old_name else "rename"
