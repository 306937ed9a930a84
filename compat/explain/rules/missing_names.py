"""Names and modules of the indexed packages that moved, were renamed, removed, or are not there yet."""

from packaging.version import Version

from compat.explain.context import RuleContext, foreign
from compat.explain.log.import_messages import FailedImport, imported, wanted
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.missing_symbol import locate
from compat.index.query.single_release import companions
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import IMPORT_NAMES, KERNELS, SGLANG
from compat.resolve.suggestions import hint


def missing_in_kernels(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """A name that the installed kernels lack, and those that the sglang release requires have."""
    asked = wanted(exception)
    at = context.release_index(SGLANG)
    if asked is None or at is None or asked.module.partition(".")[0] != IMPORT_NAMES[KERNELS[0]]:
        return None
    if asked.absent == IMPORT_NAMES[KERNELS[0]]:
        return None  # there are none at all
    for kernel, place in companions(context.index, SGLANG, at).items():
        version, known = context.index.versions(kernel)[place], context.known(kernel)
        same = known is not None and Version(known.version) == Version(version)
        if same or not all(
            context.history.flags(kernel, asked.module, name)[place] for name in asked.names or ("",)
        ):
            continue
        sglang = context.index.versions(SGLANG)[at]
        there = f"{known.version} is there: {known.source}" if known else "what is there is another"
        return Diagnosis(
            cause="requirement_violated",
            package=kernel,
            version=known.version if known else None,
            module=asked.module,
            symbol=asked.names[0] if asked.names else None,
            evidence=(exception.line, f"sglang {sglang} requires {kernel}=={version}, which has it; {there}"),
            fix=Fix(
                kind="install",
                text=f"Install what sglang {sglang} requires: {kernel}=={version}.",
                command=f'pip install "{kernel}=={version}"',
            ),
        )
    return None


def missing_name(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """A name or module that Python did not find, and that the release does not have."""
    asked = wanted(exception)
    if asked is None or asked.partial or (asked.absent and "." not in asked.absent):
        return None
    return _located(asked, exception, context, f"{exception.line}")


def unloaded(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """A submodule that the release has, taken as an attribute of its package before anything imported it.

    No cause of the closed set fits, so it is told as `unknown`, with what is known and what to write.
    """
    asked = wanted(exception)
    if asked is None or not asked.attribute or asked.partial:
        return None
    package, inner = context.owner(asked.module), f"{asked.module}.{asked.names[0]}"
    if package is None or context.index.number("modules", inner) is None:
        return None
    at = context.likely.get(package, context.newest(package))
    if context.history.resolver(package, at).answer(inner, "").status != "submodule":
        return None
    version = context.index.versions(package)[at]
    return Diagnosis(
        cause="unknown",
        package=package,
        version=version if package in context.release_indexes else None,
        module=inner,
        evidence=(exception.line, f"{inner} is a module of {package} {version}: nothing had imported it"),
        fix=Fix(
            kind="edit",
            text="Import the module itself: a package does not load its modules by being imported.",
            statement=f"import {inner}",
        ),
    )


def misspelt(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """A name that no release has, and that is written nearly like one that some have.

    No cause of the closed set fits, and there is no such location: it is told as `unknown`, with what may
    have been meant.
    """
    asked = wanted(exception)
    package = context.owner(asked.module) if asked else None
    if asked is None or package is None or not asked.names or asked.partial:
        return None
    name = asked.names[0]
    meant = hint(name)
    if not meant:
        return None
    return Diagnosis(
        cause="unknown",
        evidence=(exception.line, f"no release has the name {name}; {meant}"),
        fix=Fix(kind="edit", text=f"See how the name is written: {meant}."),
    )


def broken_off(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """A traceback without its end: the import at which it stops, when the release cannot serve it.

    It may as well have gone on from there, so this is asked when nothing else tells what is wrong.
    """
    if exception.kind or exception.message or not exception.frames:
        return None
    asked = imported(exception.frames[-1].source)
    if asked is None:
        return None
    said = f"the traceback breaks off at `{exception.frames[-1].source}`"
    return _located(asked, exception, context, said, certain=False)


def _located(
    asked: FailedImport, exception: ExceptionInfo, context: RuleContext, said: str, *, certain: bool = True
) -> Diagnosis | None:
    package = context.owner(asked.module)
    if package is None:
        return None
    frame = exception.frames[-1] if exception.frames else None
    evidence = (said, *((f"asked for in {frame.path}:{frame.line}",) if frame and foreign(frame) else ()))
    within = asked.module if certain and not asked.absent else ""
    for wanted_name in asked.names or ("",):
        module, name = asked.module, wanted_name
        inner = f"{module}.{name}"
        if asked.attribute and context.index.number("modules", inner) is not None:
            module, name = inner, ""  # a submodule: gone, or nobody has imported it yet
        found = locate(
            context,
            package,
            module,
            name,
            evidence=evidence,
            foreign=foreign(frame),
            within=within,
            certain=certain,
        )
        if found is not None:
            return found
    return None
