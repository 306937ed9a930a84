"""What the probe is asked about one module, and what it has seen."""

from dataclasses import dataclass, field
from typing import Any

from compat.probe.expectation import ModuleExpectation
from compat.probe.probe_records import ModuleFact


@dataclass(slots=True)
class Task:
    """One module to examine, and its names whose lookup has killed a process."""

    module: str
    names: list[dict[str, str | None]] = field(default_factory=list)
    skip: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, expected: ModuleExpectation) -> "Task":
        names = [{"name": name.name, "origin": name.origin} for name in expected.names]
        return cls(module=expected.module, names=names)

    def document(self) -> dict[str, Any]:
        return {"module": self.module, "names": self.names, "skip": self.skip}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    fact: ModuleFact
    task: Task
    alone: bool
    """Whether it was the first module in its process."""
