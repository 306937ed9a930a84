"""What decides an answer of the name resolver, and what it answers."""

from __future__ import annotations

from types import MappingProxyType

from compat._util.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from compat.model.symbols import Kind, Status


class Facts(NamedTuple):
    """The facts of an environment, which decide guards; facts that are not stated are unknown."""

    release_indexes: Mapping[str, int] = MappingProxyType({})
    """Maps each installed indexed package to the index of its release."""
    absent: frozenset[str] = frozenset()
    """Top-level import names that are not installed."""
    provided: Container[str] | None = None
    """All installed top-level import names without the standard library; None if not known."""
    cuda: bool | None = None
    """Whether the machine has a CUDA device; None if not known."""
    broken: Mapping[str, str] = MappingProxyType({})
    """Existing modules that fail to import, with the reason, for example a missing driver."""
    alone: str | None = None
    """The package, if nothing else is stated: its problems are then looked up in the index."""
    foreign: Callable[[str], bool | None] | None = None
    """Returns whether a location outside of the index exists; None if that is not known."""

    def at(self, release_indexes: Mapping[str, int]) -> Facts:
        """Return a copy of the facts with other releases."""
        return Facts(release_indexes, *self[1:])


class Answer(NamedTuple):
    """The result for a location in an environment: its status, kind and origin."""

    status: Status
    kind: Kind | None = None
    origin: str | None = None
    """The location of the definition, if it is elsewhere."""
    guard: str | None = None
    """The condition of a `conditional` answer, or the guard of the branch that applies."""
    reason: str | None = None
    """Why the object is missing although its module binds the name or is missing; how a stub refuses use."""
    always_bound: bool = True
    """Whether every branch binds the name."""
    signature: int | None = None
    """The number of the signature: see `Index.signature`."""


REFUSES = "it only raises"
"""How the reason of a stub begins that refuses every use; its error follows."""
MISSING = Answer(status="missing", always_bound=False)
