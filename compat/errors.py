"""Every error a user can meet, each with the exit code of the command that ends on it.

A message is one line: what is wrong, where, and what to do about it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # a command that goes wrong early needs neither
    from typing import ClassVar

    from compat.model.diagnosis import Diagnosis

CLEAN = 0
FINDINGS = 1
USAGE = 2
NOTHING_SELECTED = 3
ENVIRONMENT = 4
INTERRUPTED = 130

EXIT_CODES = (
    "exit codes: 0 clean, 1 findings, 2 usage or configuration, 3 nothing selected, "
    "4 network, disk or environment, 130 interrupted"
)


class CompatError(Exception):
    """The base of all errors of this project; `exit_code` is what a command returns for it."""

    exit_code: ClassVar[int] = ENVIRONMENT


class UsageError(CompatError):
    """What the user asked for cannot be understood: an unknown version, a misspelt key, a missing file."""

    exit_code = USAGE


class NothingSelectedError(CompatError):
    """The request is well formed and matches nothing."""

    exit_code = NOTHING_SELECTED


class NetworkError(CompatError):
    """The package index did not answer, or not with what was asked for."""


class DiskError(CompatError):
    """The disk is full, read-only or otherwise refuses."""


class IntegrityError(CompatError):
    """Bytes differ from the digest that was promised for them."""


class MissingToolError(CompatError):
    """A program or optional library that this command needs is not installed."""


class OutOfTimeError(CompatError):
    """A cell, or the installation of a bundle, did not end within the time that it was given."""


class PreparationError(CompatError):
    """The environment of a pair cannot be made: the installer failed, or its Python does not start."""


class SymbolUnavailable(CompatError, ImportError):  # noqa: N818 -- users read it as a sentence
    """`load` has no real object to give, or `require` lacks a release. An ImportError, too.

    Args:
        message: one line.
        diagnosis: the cause with its evidence, and what to do.
    """

    exit_code = FINDINGS

    def __init__(self, message: str, diagnosis: Diagnosis) -> None:
        super().__init__(message)
        self.diagnosis = diagnosis

    def __reduce__(self) -> tuple[type[SymbolUnavailable], tuple[str, Diagnosis]]:
        """Let it travel between processes with its diagnosis."""
        return type(self), (str(self), self.diagnosis)


class SchemeUnavailable(CompatError):  # noqa: N818 -- users read it as a sentence
    """A quantization scheme that the installed release or this machine cannot run.

    Args:
        message: one line.
        diagnosis: the cause, and as evidence what the release itself says and where it says it.
    """

    exit_code = FINDINGS

    def __init__(self, message: str, diagnosis: Diagnosis) -> None:
        super().__init__(message)
        self.diagnosis = diagnosis

    def __reduce__(self) -> tuple[type[SchemeUnavailable], tuple[str, Diagnosis]]:
        """Let it travel between processes with its diagnosis."""
        return type(self), (str(self), self.diagnosis)


class CheckpointError(CompatError):
    """A checkpoint that cannot be loaded as it is: every fault of it that was found, and where.

    Args:
        message: one line.
        faults: one line each.
    """

    exit_code = FINDINGS

    def __init__(self, message: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults

    def __reduce__(self) -> tuple[type[CheckpointError], tuple[str, tuple[str, ...]]]:
        """Let it travel between processes with its faults."""
        return type(self), (str(self), self.faults)
