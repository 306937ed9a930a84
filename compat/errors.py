"""Every error a user can meet, each with the exit code of the command that ends on it.

A message is one line: what is wrong, where, and what to do about it.
"""

from typing import ClassVar

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
    """A cell did not end within the time that it was given."""


class PreparationError(CompatError):
    """The environment of a pair cannot be made: the installer failed, or its Python does not start."""
