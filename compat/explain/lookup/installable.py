"""Offer for installation only names that something vouches for, and only where they have wheels."""

import shlex
from collections.abc import Iterator
from dataclasses import replace

from packaging.utils import NormalizedName

from compat.explain.context import RuleContext
from compat.explain.lookup.module_paths import carriers
from compat.explain.lookup.requirement_violations import demands
from compat.model.diagnosis import Diagnosis, Fix
from compat.requirements.graph import required_name
from compat.requirements.named_distributions import is_named

_WITH_VALUE = ("--exclude-newer", "--index-url", "--extra-index-url", "--find-links")
"""Options of the commands that `explain` gives whose value is the next word."""
_OF_LINUX = ("vllm", "sgl-kernel", "sglang-kernel", "flashinfer-python", "triton")
"""Distributions whose wheels on the package index are for CUDA on Linux only, as are NVIDIA's own."""


def installable(found: Diagnosis, context: RuleContext) -> Diagnosis:
    """Return a diagnosis without an install command that nothing vouches for, or that cannot work there.

    A name that only looks like the name of the missing module may be another project, so each name of a
    command must be one that the metadata of an indexed release names, that has files of the missing module
    by the records of its wheels, or that an installed distribution in the tracebacks requires. What is
    installed already is only changed in its version.
    """
    names = list(_names(found.fix.command or ""))
    platform = context.contents.facts.platform
    unvouched = next((name for name in names if not _vouched(name, found, context)), None)
    elsewhere = next((name for name in names if name in _OF_LINUX or name.startswith("nvidia-")), None)
    if unvouched is not None and found.cause in ("package_missing", "placeholder"):
        text = (
            f"No metadata names the distribution that provides {found.module or found.package}: find out "
            "which one it is before you install it. One of the same name may be another project."
        )
        return replace(found, fix=Fix(kind="none", text=text))
    if unvouched is not None:
        text = f"{found.fix.text} No release names {unvouched}: check what the package index has."
    elif platform and elsewhere is not None:
        text = (
            f"{found.fix.text} The package index has no {elsewhere} for {platform}: take it from where the "
            "installed build is from."
        )
    else:
        return found
    return replace(found, fix=replace(found.fix, text=text, command=None))


def _vouched(name: NormalizedName, found: Diagnosis, context: RuleContext) -> bool:
    return (
        is_named(name, context.index)
        or name in carriers(found.module or "")
        or any(True for _ in demands(context, name))
        or context.known(name) is not None
    )


def _names(command: str) -> Iterator[NormalizedName]:
    """Yield the names of all distributions that a command of pip or uv installs."""
    words = iter(shlex.split(command.partition("pip install ")[2]))
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            yield required_name(word)
