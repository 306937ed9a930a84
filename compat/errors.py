"""All errors that this project raises for users, each with the exit code that a command returns for it.

A message is one line: what is wrong, where, and what to do.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # for types alone: importing them would slow every command
    from typing import ClassVar

    from compat.model.diagnosis import Diagnosis

CLEAN = 0
FINDINGS = 1
USAGE = 2
NOTHING_SELECTED = 3
ENVIRONMENT = 4
INTERRUPTED = 130
READER_LEFT = 141

EXIT_CODES = (
    "exit codes: 0 clean, 1 findings, 2 usage or configuration, 3 nothing selected, "
    "4 network, disk or environment, 130 interrupted, 141 the reader of the output has exited"
)


class CompatError(Exception):
    """The base class of all errors of this project; a command that raises one returns its `exit_code`."""

    exit_code: ClassVar[int] = ENVIRONMENT


class UsageError(CompatError):
    """The command line or a configuration is not valid: an unknown version, a wrong key, a missing file."""

    exit_code = USAGE


class NothingSelectedError(CompatError):
    """The request is valid, but nothing matches it."""

    exit_code = NOTHING_SELECTED


class NetworkError(CompatError):
    """The package index did not answer, or its answer was not usable."""


class DiskError(CompatError):
    """A file cannot be written: the disk is full or read-only, or another disk error occurred."""


class IntegrityError(CompatError):
    """A file is damaged: it differs from its recorded digest, or cannot be parsed."""


class MissingToolError(CompatError):
    """A program or an optional library that the command needs is not installed."""


class OutOfTimeError(CompatError):
    """A matrix cell or the installation of a bundle exceeded its time limit."""


class PreparationError(CompatError):
    """An environment cannot be prepared or examined: the installer failed, or its Python does not start."""


class SymbolUnavailable(CompatError, ImportError):  # noqa: N818 -- users read it as a sentence
    """`load` cannot return the real object, or a requirement of `require` is not met; also an ImportError.

    Args:
        message: one line.
        diagnosis: the cause, its evidence and the fix.
    """

    exit_code = FINDINGS

    def __init__(self, message: str, diagnosis: Diagnosis) -> None:
        super().__init__(message)
        self.diagnosis = diagnosis

    def __reduce__(self) -> tuple[type[SymbolUnavailable], tuple[str, Diagnosis]]:
        """Support pickling, so that the diagnosis survives the way to another process."""
        return type(self), (str(self), self.diagnosis)


class SchemeUnavailable(CompatError):  # noqa: N818 -- users read it as a sentence
    """The installed release or this machine cannot run a quantization scheme.

    Args:
        message: one line.
        diagnosis: the cause, with the release's own message and its source line as evidence.
    """

    exit_code = FINDINGS

    def __init__(self, message: str, diagnosis: Diagnosis) -> None:
        super().__init__(message)
        self.diagnosis = diagnosis

    def __reduce__(self) -> tuple[type[SchemeUnavailable], tuple[str, Diagnosis]]:
        """Support pickling, so that the diagnosis survives the way to another process."""
        return type(self), (str(self), self.diagnosis)


class CheckpointError(CompatError):
    """A checkpoint cannot be loaded; `faults` lists every problem that was found, and where.

    Args:
        message: one line.
        faults: one line each.
    """

    exit_code = FINDINGS

    def __init__(self, message: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults

    def __reduce__(self) -> tuple[type[CheckpointError], tuple[str, tuple[str, ...]]]:
        """Support pickling, so that the faults survive the way to another process."""
        return type(self), (str(self), self.faults)
