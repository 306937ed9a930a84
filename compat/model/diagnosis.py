"""Diagnoses: one cause, its evidence, one fix. The nouns that `explain`, `doctor` and `load` share."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

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
"""Why an import failed; a closed set, the contract's."""

FixKind = Literal["edit", "install", "environment", "none"]
"""Change the code, install something, change the machine's set-up, or nothing is known to help."""

CAUSES: tuple[Cause, ...] = get_args(Cause)
FIX_KINDS: tuple[FixKind, ...] = get_args(FixKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What to do about a cause."""

    kind: FixKind
    text: str
    """One sentence for a person."""
    statement: str | None = None
    """The import to write now."""
    command: str | None = None
    """The command to run, without any address of a package index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One cause of a failure, with what shows it and what to do."""

    cause: Cause
    fix: Fix
    evidence: tuple[str, ...] = ()
    """One line each: what was read, and what the index or the environment says of it."""
    package: str | None = None
    """The distribution that the cause lies in, or None when none is known."""
    version: str | None = None
    """Its release, where known."""
    module: str | None = None
    symbol: str | None = None

    def as_document(self) -> dict[str, Any]:
        """Return the diagnosis as the contract's JSON object."""
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
            },
        }
