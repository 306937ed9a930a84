"""Commands that may be offered: of names in the metadata of a release, on platforms that have wheels."""

import re
from dataclasses import replace

from packaging.utils import canonicalize_name

from compat.explain.context import RuleContext
from compat.model.diagnosis import Diagnosis
from compat.model.releases import SGLANG, VLLM
from compat.requirements.graph import required_name

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
    """Return whether a distribution is indexed, in the log, or required by any release."""
    if name in context.index.packages or context.known(name) is not None:
        return True
    if context.environment is not None and name in context.environment.versions:
        return True
    likely = [*context.release_indexes.items()]
    likely += [(package, at) for package in (SGLANG, VLLM) for at in _sampled(context, package)]
    return any(
        required_name(line) == name
        for package, at in likely
        for line in context.index.requires_dist(package, at)
    )


def _sampled(context: RuleContext, package: str) -> range:
    """Return every fourth release: a requirement lasts longer."""
    return range(len(context.index.versions(package)) - 1, -1, -4)
