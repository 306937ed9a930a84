"""`Diagnosis`, the result that `explain`, `doctor` and `load` share: one cause, its evidence and one fix."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from compat.model.safety import Safety

Cause = Literal[
    "symbol_moved",
    "symbol_renamed",
    "symbol_removed",
    "not_yet_added",
    "module_moved",
    "module_removed",
    "placeholder",
    "package_missing",
    "requirement_violated",
    "abi_mismatch",
    "missing_native_library",
    "shadowed_module",
    "circular_import",
    "no_gpu",
    "unknown",
]
"""Why an import failed; a closed set that programs may rely on."""

FixKind = Literal["edit", "install", "environment", "none"]
"""What a fix changes: the user's code, the installed packages, the machine or its set-up, or nothing."""

CAUSES: tuple[Cause, ...] = get_args(Cause)
FIX_KINDS: tuple[FixKind, ...] = get_args(FixKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What the user can do about a cause."""

    kind: FixKind
    text: str
    """One or two plain sentences for people."""
    statement: str | None = None
    """The import statement to write instead."""
    command: str | None = None
    """The command to run, without the address of a package index."""
    safety: Safety = "unsafe"
    """Whether the statement can be written without review; see `compat.model.safety`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One cause of a failure, with its evidence and the fix."""

    cause: Cause
    fix: Fix
    evidence: tuple[str, ...] = ()
    """One line each: an excerpt of the log, or a fact from the index or the environment."""
    package: str | None = None
    """The distribution that is at fault, or None if unknown."""
    version: str | None = None
    """The installed version of the distribution, if known."""
    module: str | None = None
    symbol: str | None = None

    def as_document(self) -> dict[str, Any]:
        """Return the diagnosis as the JSON object that `explain` and `doctor` write."""
        return {
            "cause": self.cause,
            "package": self.package,
            "version": self.version,
            "module": self.module,
            "symbol": self.symbol,
            "evidence": list(self.evidence),
            "fix": {
                "kind": self.fix.kind,
                "text": self.fix.text,
                "import": self.fix.statement,
                "command": self.fix.command,
                "safety": self.fix.safety,
            },
        }
