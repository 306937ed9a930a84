"""Compiled modules that are not there, or did not load: source trees, and builds for other platforms."""

import re
from dataclasses import replace

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import wanted
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.module_paths import below_site
from compat.explain.rules.native_code import mismatch, why_not_loaded
from compat.model.diagnosis import Diagnosis, Fix

_OPS = re.compile(
    r"_OpNamespace' '(\w+)' object has no attribute '(\w+)'"
    r"|torch\.ops(?:\.|' object has no attribute '| has no attribute '?)(\w+)"
    r"(?:'? has no attribute '?|\.)?(\w+)?"
    r"|operator (\w+)::(\w+) does not exist"
)
_MADE = re.compile(r"_\w*C|common_ops|_version")
"""What is made when a package is built, by the last part of its name."""
_EXTENSION_OF: dict[str, str] = {
    "_C": "vllm",
    "_moe_C": "vllm",
    "_C_cache_ops": "vllm",
    "sgl_kernel": "sgl-kernel",
}


def unbuilt(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """A compiled module that Python does not find where the release has it.

    No name can have moved there: the package that was imported is another than the release's, or it holds
    the extension and could not load it, which another line tells.
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
    compiled = context.compiled(module, package, at)
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
                f"{module} is compiled, and the installed {package} is built without it",
            ),
            fix=Fix(
                kind="install",
                text=f"Install a build of {package} for this platform; this one has no compiled code for it.",
            ),
        )
    what = trees[-1] if trees else f"a source tree of {package}"
    lines = [exception.line]
    if compiled:
        lines.append(f"{module} is compiled, and is not there before {package} is built")
    return Diagnosis(
        cause="shadowed_module",
        package=package,
        module=top,
        evidence=(*lines, f"{what} is imported in place of the installed {top}"),
        fix=Fix(
            kind="environment",
            text="Start Python outside the source tree, or build it. If it is the installed package that "
            f"lacks {module}, install a wheel for this platform.",
        ),
    )


def missing_operator(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """An operator that torch does not know: the extension that registers it has not been loaded."""
    found = _OPS.search(exception.text)
    if not found:
        return None
    groups = [group for group in found.groups() if group]
    if not groups:
        return None
    space, operator = groups[0], groups[1] if len(groups) > 1 else ""
    name = f"torch.ops.{space}.{operator}".rstrip(".")
    told = f"{name} is registered by an extension that did not load"
    top = None if space in _EXTENSION_OF or found[5] else context.top_with_extension(space)
    owner = context.owner(top) if top else _EXTENSION_OF.get(space)
    why = why_not_loaded(context) or _unbuilt_too(context)
    if why is not None:
        return replace(
            why,
            package=why.package or owner,
            evidence=(exception.line, told, *why.evidence),
        )
    package = space if found[5] else owner
    return mismatch(exception, context, None, (exception.line, told), torch=True, package=package)


def _unbuilt_too(context: RuleContext) -> Diagnosis | None:
    """Return that the extension is not there at all, where a line tells so."""
    mentions = (exception for failure in context.contents.mentions for exception in failure.chain)
    return next((found for exception in mentions if (found := unbuilt(exception, context)) is not None), None)
