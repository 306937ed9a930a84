"""What `explain` says of an exception at hand, and of a package that is not there."""

import traceback

from compat.diagnoses import Diagnosis
from compat.explain.api import explain
from compat.installed import Environment


def of_error(error: BaseException, environment: Environment) -> Diagnosis | None:
    """Return the root cause of an exception, or None when nothing is known of it."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    found = explain("".join(lines), environment=environment)
    return next((each for each in found if each.cause != "unknown"), None)


def of_absence(top: str, environment: Environment) -> Diagnosis:
    """Return what is to be said when a top-level name cannot be imported, and above all what to install."""
    (found, *_) = explain(f"ModuleNotFoundError: No module named {top!r}", environment=environment)
    return found
