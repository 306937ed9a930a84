"""Withhold the names of distributions that only look like the name of a missing module."""

import shlex
from dataclasses import replace

from compat.explain.context import RuleContext
from compat.explain.lookup.requirement_violations import demands
from compat.model.diagnosis import Diagnosis, Fix
from compat.requirements.graph import required_name
from compat.requirements.named_distributions import is_named

_GUESSED = ("package_missing", "placeholder")
"""Causes whose fix installs what provides a module."""


def only_named(found: Diagnosis, context: RuleContext) -> Diagnosis:
    """Return a diagnosis that names a distribution for installation only if metadata names it.

    The metadata is that of all indexed releases, and of the installed distributions in the tracebacks.
    """
    command = shlex.split(found.fix.command or "") if found.cause in _GUESSED else []
    if command[:2] != ["pip", "install"]:
        return found
    wanted = [required_name(word) for word in command[2:] if not word.startswith("-")]
    if all(is_named(name, context.index) or any(demands(context, name)) for name in wanted):
        return found
    text = (
        f"No metadata names the distribution that provides {found.module or found.package}: find out which "
        "one it is before you install it. One of the same name may be another project."
    )
    return replace(found, fix=Fix(kind="none", text=text))
