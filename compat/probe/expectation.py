"""Expectations: the answers of the index about modules and names, which are compared with the run time."""

from dataclasses import dataclass

from compat.model.symbols import Kind, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class NameExpectation:
    """The answer of the index about one name of a module."""

    name: str
    status: Status
    kind: Kind
    """`value` is any object that is not a class, function or module, or one of unknown kind."""
    origin: str | None = None
    """The definition of a re-exported object: `module:name`, or `module` for a module; otherwise None."""
    guarded: bool = False
    """Whether the answer depends on a guard that was evaluated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleExpectation:
    """The answer of the index about one module."""

    module: str
    exists: bool
    names: tuple[NameExpectation, ...] = ()
    open: bool = False
    """Whether the module binds names that a static reading cannot list; these are not disagreements."""
    problem: str | None = None
    """The reason why the import must fail in this environment; None if it should succeed."""

    @property
    def must_fail(self) -> bool:
        """Whether the index expects that importing the module fails."""
        return not self.exists or self.problem is not None
