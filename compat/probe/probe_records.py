"""What the probe saw, as values: the right side of every comparison."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFact:
    """What one name of an imported module really is."""

    bound: bool
    error: str = ""
    """Why the look-up failed, when it did."""
    kind: str = ""
    """`class`, `function`, `module` or `value`."""
    type: str = ""
    """The type of the object, such as `triton.runtime.jit.JITFunction`."""
    module: str = ""
    """What the object calls its module; often its type's for a value."""
    qualname: str = ""
    callable: bool = False
    stub: str = ""
    """`none`, `any`, `hollow class` or `hollow function` when the object is recognised as a stub."""
    wraps: str = ""
    """`module:qualname` of the function or class that a decorator has put this object around."""
    same: bool | None = None
    """Whether it is the very object that its expected origin names; None when no origin was asked for."""
    origin_error: str = ""

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "NameFact":
        """Return the fact that a record of the probe holds."""
        content = {key: value for key, value in record.items() if value is not None}
        if isinstance(content.get("error"), Mapping):
            content["error"] = content["error"]["text"]
        return cls(**content)

    @property
    def home(self) -> str:
        """Where the object says it was defined: `module:qualname`."""
        return f"{self.module}:{self.qualname}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleFact:
    """What importing one module gave."""

    module: str
    error: str = ""
    """How the import ended, when not well: an exception's last line, `crashed: signal 11`, `hung …`."""
    where: str = ""
    """The file and line that raised."""
    traceback: str = ""
    """All that Python tells of the exception, when there was one."""
    names: Mapping[str, NameFact] | None = None
    """What the names are; known of a module with an error, too, when it imports after others."""
    unlisted: Mapping[str, str] = field(default_factory=dict)
    """Bound names that the index does not list, each with what it is."""
    seconds: float = 0.0
    confirmed: bool = True
    """Whether a failure is the module's own, and not what an earlier one in the same process left behind."""

    @property
    def imported(self) -> bool:
        """Whether the module can be imported by itself."""
        return not self.error

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "ModuleFact":
        """Return the fact that a `module` record of the probe holds."""
        if not record["imported"]:
            error = record["error"]
            return cls(
                module=record["module"],
                error=error["text"],
                where=error["where"],
                traceback=error.get("traceback", ""),
            )
        return cls(
            module=record["module"],
            names={name: NameFact.read(entry) for name, entry in record["names"].items()},
            unlisted=record["unlisted"],
            seconds=record["seconds"],
        )
