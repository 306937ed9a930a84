"""What reading the index gives: the branches of a name, and the modules of a release."""

from typing import NamedTuple

from compat.guards import Guard
from compat.symbols import Kind, Status


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
