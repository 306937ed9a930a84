"""Commands that may be offered: of names in the metadata of a release, on platforms that have wheels."""

import re
from dataclasses import replace

from packaging.utils import canonicalize_name

from compat.explain.context import RuleContext
from compat.model.diagnosis import Diagnosis
from compat.requirements.named_distributions import is_named

_INSTALLS = re.compile(r"\binstall\b(?: -\S{1,40}| \d{4}-\d\d-\d\d)* [\"']?([A-Za-z][\w.-]{0,80})")
_OF_LINUX = ("vllm", "sgl-kernel", "sglang-kernel", "flashinfer-python", "triton")
"""Distributions whose wheels on the package index are for CUDA on Linux only, as are NVIDIA's own."""


def vetted(diagnosis: Diagnosis, context: RuleContext) -> Diagnosis:
    """Return a diagnosis without an install command that no metadata supports, or that cannot work there."""
    command = diagnosis.fix.command
    found = _INSTALLS.search(command) if command else None
    if found is None:
        return diagnosis
    name = canonicalize_name(found[1])
    platform = context.contents.facts.platform
    if platform and (name in _OF_LINUX or name.startswith("nvidia-")):
        text = (
            f"{diagnosis.fix.text} The package index has no {name} for {platform}: take it from where the "
            "installed build is from."
        )
    elif not _is_named(name, context):
        text = f"{diagnosis.fix.text} No release names {name}: check what the package index has."
    else:
        return diagnosis
    return replace(diagnosis, fix=replace(diagnosis.fix, text=text, command=None))


def _is_named(name: str, context: RuleContext) -> bool:
    """Return whether metadata of a release names a distribution, or the log or the environment has it."""
    installed = context.environment is not None and name in context.environment.versions
    return installed or context.known(name) is not None or is_named(name, context.index)
