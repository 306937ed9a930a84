"""Which extension failed, of which distribution, and the diagnosis that tells it."""

import re

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import imported
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.module_paths import ALIASES, below_site, distribution_of, top_of
from compat.explain.rules.native.torch_pins import torch_lines, torch_pin
from compat.model.diagnosis import Cause, Diagnosis, Fix

_LOADING = re.compile(r"Could not load this library: (\S{1,400}\.so[\w.]{0,20})")
_EXTENSION = re.compile(
    r"(?i)(?:\b(?:import|importing|from|load|loading) [`'\"]?|-packages/)"
    r"((?:vllm|sglang|sgl_kernel|flash_attn|flashinfer)(?:\.\w+){0,4})\b"
)
"""Matches the module that a message names as being imported, or one of its files."""


def with_library(
    cause: Cause,
    library: str | None,
    fix: Fix,
    exception: ExceptionInfo,
    context: RuleContext,
    *,
    path: str | None = None,
) -> Diagnosis:
    """Return the diagnosis of an extension that fails for a library, or for the machine if that is None."""
    package = package_of(exception, context, path)
    known = context.known(package) if package else None
    pin = torch_pin(context, package)
    lines = [exception.line]
    needed = next((line for line in exception.more.splitlines() if library and library in line), None)
    lines += [needed.strip(" -*")] if needed else []  # sgl_kernel lists its errors with hyphens
    lines += torch_lines(context, pin)
    return Diagnosis(
        cause=cause,
        package=package,
        version=known.version if known else None,
        module=module_of(exception),
        symbol=library,
        evidence=tuple(lines),
        fix=fix,
    )


def package_of(exception: ExceptionInfo, context: RuleContext, path: str | None) -> str | None:
    """Return the distribution of the extension: by its path, by the import, or by the failing frame."""
    path = path or _loaded(exception, context)
    top = top_of(path or "")
    stem = (path or "").rpartition("/")[2].partition(".")[0]
    if stem in ALIASES:
        return distribution_of(stem)
    if top is not None and top not in ALIASES and "/" not in (below_site(path or "") or ""):
        return None  # an extension outside any package, whose distribution is unknown
    if top is None and path:
        parts = [part for part in path.split("/") if part in context.index.owners]
        top = parts[0] if parts else context.package_of_extension(path.partition(".")[0])
    if top is None and exception.frames:
        asked = imported(exception.frames[-1].source)
        top = asked.module.partition(".")[0] if asked else None
        if top is None or (top not in context.index.owners and top_of(exception.frames[-1].path)):
            top = top_of(exception.frames[-1].path) or top
    if top is None:
        found = _EXTENSION.search(exception.text)
        top = found[1].partition(".")[0] if found else None
    if top is None:
        return None
    return context.owner(top) or distribution_of(top)


def _loaded(exception: ExceptionInfo, context: RuleContext) -> str | None:
    """Return the file that torch was loading when an exception was raised, as the next exception tells."""
    chain = next((each.chain for each in context.contents.failures if exception in each.chain), ())
    found = next((match for each in chain if (match := _LOADING.search(each.text))), None)
    return found[1] if found else None


def module_of(exception: ExceptionInfo) -> str | None:
    """Return the module that was being imported; None if neither the last frame nor the message tells."""
    asked = imported(exception.frames[-1].source) if exception.frames else None
    if asked:
        return asked.module
    found = _EXTENSION.search(exception.more or exception.message)
    return found[1] if found else None
