"""Rules for compiled modules that are missing or did not load: source trees, builds for other platforms."""

import re
from dataclasses import replace

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import wanted
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.module_paths import below_site
from compat.explain.rules.native.missing_libraries import missing_library, why_not_loaded
from compat.explain.rules.native.undefined_symbols import mismatch
from compat.model.diagnosis import Diagnosis, Fix

_OPS = re.compile(
    r"_OpNamespace' '(\w+)' object has no attribute '(\w+)'"
    r"|torch\.ops(?:\.|' object has no attribute '| has no attribute '?)(\w+)"
    r"(?:'? has no attribute '?|\.)?(\w+)?"
    r"|operator (\w+)::(\w+) does not exist"
)
_NOT_LOADED = re.compile(r"\[(sgl_kernel)\] CRITICAL: Could not load any common_ops library")
_MADE = re.compile(r"_\w*C|common_ops|_version")
"""Matches the last component of modules that exist only after a build."""
_EXTENSION_OF: dict[str, str] = {
    "_C": "vllm",
    "_moe_C": "vllm",
    "_C_cache_ops": "vllm",
    "sgl_kernel": "sgl-kernel",
}


def missing_extension(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a compiled module that Python does not find although the release has it.

    Either Python imported another copy of the package, such as a source tree, or the extension exists and
    did not load, for a reason that another line of the log states.
    """
    asked = wanted(exception)
    package = context.owner(asked.module) if asked is not None and not asked.attribute else None
    if asked is None or package is None:
        return None
    module = asked.absent or f"{asked.module}.{asked.names[0]}"
    trees = [f.path for f in exception.frames if context.module(f) and below_site(f.path) is None]
    if asked.path and below_site(asked.path) is None and "unknown location" not in asked.path:
        trees.append(asked.path)
    at = context.release_index(package)
    compiled = context.is_extension(module, package, at)
    if not compiled and not (trees and _MADE.fullmatch(module.rpartition(".")[2])):
        return None
    why = why_not_loaded(context)
    if why is not None:
        return why
    top = asked.module.partition(".")[0]
    known = context.known(package)
    if not trees and any(below_site(frame.path) for frame in exception.frames if context.module(frame)):
        return Diagnosis(
            cause="abi_mismatch",
            package=package,
            version=known.version if known else None,
            module=module,
            evidence=(
                exception.line,
                f"{module} is a compiled module, and the installed {package} does not contain it",
            ),
            fix=Fix(
                kind="install",
                text=f"Install a build of {package} for this platform: this one has no compiled code for it.",
            ),
        )
    what = trees[-1] if trees else f"a source tree of {package}, or a build of it for another platform,"
    lines = [exception.line]
    if compiled:
        lines.append(f"{module} is a compiled module, which does not exist before {package} is built")
    return Diagnosis(
        cause="shadowed_module",
        package=package,
        version=known.version if known else None,
        module=top,
        evidence=(*lines, f"Python imports {what} instead of the installed {top}"),
        fix=Fix(
            kind="environment",
            text="Start Python outside the source tree, or build it. If the installed package itself lacks "
            f"{module}, install a wheel for this platform.",
        ),
    )


def kernels_not_loaded(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose the message of sglang's kernels that no library of theirs could be loaded."""
    found = _NOT_LOADED.search(exception.text)
    if not found:
        return None
    detail = missing_library(exception, context) or (None if exception.frames else why_not_loaded(context))
    if detail is not None:
        return replace(detail, package=detail.package or context.owner(found[1]))
    package = context.owner(found[1])
    line = f"[{found[1]}] could not load its library"
    return mismatch(exception, context, None, (exception.line, line), torch=True, package=package)


def missing_operator(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose an unknown torch operator: the extension that registers it was not loaded."""
    found = _OPS.search(exception.text)
    if not found:
        return None
    groups = [group for group in found.groups() if group]
    if not groups:
        return None
    space, operator = groups[0], groups[1] if len(groups) > 1 else ""
    name = f"torch.ops.{space}.{operator}".rstrip(".")
    reason = f"{name} is registered by an extension that did not load"
    top = None if space in _EXTENSION_OF or found[5] else context.package_of_extension(space)
    owner = context.owner(top) if top else _EXTENSION_OF.get(space)
    why = why_not_loaded(context) or _mentioned_missing_extension(context)
    if why is not None:
        return replace(
            why,
            package=why.package or owner,
            evidence=(exception.line, reason, *why.evidence),
        )
    package = space if found[5] else owner
    return mismatch(exception, context, None, (exception.line, reason), torch=True, package=package)


def _mentioned_missing_extension(context: RuleContext) -> Diagnosis | None:
    """Return the diagnosis of a missing extension that another line of the log reports, or None."""
    mentions = (exception for failure in context.contents.mentions for exception in failure.chain)
    return next(
        (found for exception in mentions if (found := missing_extension(exception, context)) is not None),
        None,
    )
