"""Facts: what the probe has observed about modules and names, read from its records."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFact:
    """The observed facts about one name of an imported module."""

    bound: bool
    error: str = ""
    """Why the lookup failed; empty if it did not."""
    kind: str = ""
    """`class`, `function`, `module` or `value`."""
    type: str = ""
    """The type of the object, such as `triton.runtime.jit.JITFunction`."""
    module: str = ""
    """The `__module__` of the object; for a value, often that of its type."""
    qualname: str = ""
    callable: bool = False
    stub: str = ""
    """`none`, `any`, `object`, `hollow class` or `hollow function` if the object is recognized as a stub."""
    wraps: str = ""
    """`module:qualname` of the function or class that the object wraps, if a decorator created it."""
    same: bool | None = None
    """Whether it is identical to the object at its expected origin; None if there is no origin to compare."""
    origin_error: str = ""

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "NameFact":
        """Return the fact in a record of the probe."""
        content = {key: value for key, value in record.items() if value is not None}
        if isinstance(content.get("error"), Mapping):
            content["error"] = content["error"]["text"]
        return cls(**content)

    @property
    def home(self) -> str:
        """The definition of the object, according to its attributes: `module:qualname`."""
        return f"{self.module}:{self.qualname}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleFact:
    """The observed facts about the import of one module."""

    module: str
    error: str = ""
    """How the import failed: the last line of the exception, `crashed: signal 11`, `hung …`; or empty."""
    where: str = ""
    """The file and line that raised the exception."""
    traceback: str = ""
    """The traceback of the exception; empty if there was none."""
    names: Mapping[str, NameFact] | None = None
    """The facts about names; also for a module with an error that can be imported after others."""
    unlisted: Mapping[str, str] = field(default_factory=dict)
    """Bound names that the index does not list, each with its kind and module."""
    seconds: float = 0.0
    confirmed: bool = True
    """Whether a failure is due to the module itself and not to an earlier import in the same process."""

    @property
    def imported(self) -> bool:
        """Whether the module can be imported on its own."""
        return not self.error

    def check_types(self) -> None:
        """Check the values, since a module under test can write records as well.

        Raises:
            TypeError: a value has another type than the probe writes.
        """
        texts: list[object] = [self.module, self.error, self.where, self.traceback, *self.unlisted.values()]
        flags: list[object] = []
        for name in (self.names or {}).values():
            values = asdict(name)
            flags += [values.pop(key) for key in ("bound", "callable")]
            flags += [same] if (same := values.pop("same")) is not None else []
            texts += values.values()
        if not all(isinstance(text, str) for text in texts) or not all(
            isinstance(flag, bool) for flag in flags
        ):
            raise TypeError("a value has another type than the probe writes")

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "ModuleFact":
        """Return the fact in a `module` record of the probe."""
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
