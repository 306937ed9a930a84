"""What the index says of a module before anything is imported: the left side of every comparison."""

from dataclasses import dataclass

from compat.model.symbols import Kind, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class NameExpectation:
    """What the index says of one name of a module."""

    name: str
    status: Status
    kind: Kind
    """`value` stands for all that is no class, function or module, and for what the index cannot know."""
    origin: str | None = None
    """Where the object really comes from: `module:name`, or `module` for a module; None for its own."""
    guarded: bool = False
    """Whether a guard had to be decided to say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleExpectation:
    """What the index says of one module."""

    module: str
    exists: bool
    names: tuple[NameExpectation, ...] = ()
    open: bool = False
    """Whether the module binds names that nobody can list without running it; these are no disagreement."""
    problem: str | None = None
    """Why the import of the module must fail in this environment, when the index says so."""

    @property
    def must_fail(self) -> bool:
        """Whether the index says that importing the module raises."""
        return not self.exists or self.problem is not None
