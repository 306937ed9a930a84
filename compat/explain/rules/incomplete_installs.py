"""Rules for files that a distribution has and Python does not find: incomplete builds, other copies."""

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import FailedImport, wanted
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.module_paths import (
    below_site,
    distribution_of,
    is_standard,
    shipped_companions,
    top_of,
)
from compat.explain.lookup.requirement_violations import demands, of_release, requirement_named, violated
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import SGLANG, VLLM
from compat.model.symbols import location


def missing_file(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a module or name of sglang or vllm that its release has, and that the installation lacks.

    No cause of the closed set fits, so the cause is `unknown`; the fix is to install or build it again.
    """
    asked = wanted(exception)
    if asked is None or asked.not_package or asked.attribute or asked.partial:
        return None
    if "." not in asked.absent and (asked.absent or not _is_own(asked)):
        return None
    module, name = (asked.absent, "") if asked.absent else (asked.module, asked.names[0])
    package = context.owner(module)
    if package not in (SGLANG, VLLM) or not exception.frames:
        return None
    at = context.release_index(package)
    possible = [at] if at is not None else context.fitting_releases.get(package) or []
    flags = context.history.flags(package, module, name)
    if name and (context.is_only_claimed(package) or context.is_extension(f"{module}.{name}", package, None)):
        return None
    if not possible or not all(flags[each] for each in possible):
        return None
    what = location(module, name) if name else f"the module {module}"
    known = context.known(package)
    version = context.index.versions(package)[at] if at is not None else None
    which = f"{package} {version}" if version else f"every {package} that the log fits"
    return Diagnosis(
        cause="unknown",
        package=package,
        version=version,
        module=module,
        symbol=name or None,
        evidence=(
            exception.line,
            f"{package} {version}: {known.source}" if known else "",
            f"{which} has {what}, and this installation does not",
        ),
        fix=Fix(
            kind="environment",
            text=f"The installation of {package} is incomplete, or of several releases: uninstall "
            "it, delete what is left of its folder, and install or build it again.",
        ),
    )


def _is_own(asked: FailedImport) -> bool:
    """Return whether a message says that an installed file of the module itself lacks a name."""
    below = below_site(asked.path)
    return bool(asked.names) and below is not None and below.startswith(asked.module.replace(".", "/"))


def other_copy(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a submodule of a third package that is not found although the package itself is.

    If the listed version satisfies the release's requirement, Python imports another copy; if no release
    requires the package, what is installed under its name is incomplete or another project.
    """
    asked = wanted(exception)
    if asked is None or "." not in asked.absent or asked.not_package:
        return None
    top = asked.absent.partition(".")[0]
    if top in context.index.owners or is_standard(top):
        return None
    distribution = requirement_named(context, top, distribution_of(top))
    if not _is_asked_for(context, top, distribution):
        return None
    known = context.known(distribution)
    required = any(True for _ in demands(context, distribution))
    if known is not None and violated(context, distribution) is None and known.source.startswith("the log"):
        return _copy(top, f"{distribution} {known.version}: {known.source}", distribution, exception, asked)
    own = bool(exception.frames) and top_of(exception.frames[-1].path) == top
    if own or (not required and _only_optional(distribution, context)):
        return _leftover(top, distribution, exception, asked, own=own)
    return None


def _is_asked_for(context: RuleContext, top: str, distribution: str) -> bool:
    """Return whether any release of sglang or vllm imports a package, or requires its distribution."""
    found = shipped_companions()
    if found is not None and found.takes_from(top):
        return True
    return any(
        True
        for package in (SGLANG, VLLM)
        for at in range(0, len(context.index.versions(package)), 8)
        for _ in of_release(context, package, at, distribution)
    )


def _only_optional(distribution: str, context: RuleContext) -> bool:
    """Return whether no indexed release requires a distribution without an extra."""
    return not any(
        not edge.extra
        for package in (SGLANG, VLLM)
        for at in range(0, len(context.index.versions(package)), 8)
        for edge in of_release(context, package, at, distribution)
    )


def _copy(top: str, line: str, distribution: str, exception: ExceptionInfo, asked: FailedImport) -> Diagnosis:
    return Diagnosis(
        cause="shadowed_module",
        package=distribution,
        module=asked.absent,
        evidence=(exception.line, line),
        fix=Fix(
            kind="environment",
            text=f"Python imports another {top} than that one, or an incomplete one: the command prints "
            f"which. Rename a folder or file {top} that hides it, or reinstall {distribution}.",
            command=f'python -c "import {top}; print({top}.__file__, {top}.__path__)"',
        ),
    )


def _leftover(
    top: str, distribution: str, exception: ExceptionInfo, asked: FailedImport, *, own: bool
) -> Diagnosis:
    where = "its own files ask for it" if own else "no release of sglang or vllm requires it"
    return Diagnosis(
        cause="unknown" if own else "requirement_violated",
        package=distribution,
        module=asked.absent,
        evidence=(exception.line, f"{top} is there, but not {asked.absent}; {where}"),
        fix=Fix(
            kind="environment",
            text=f"The {top} that Python finds is incomplete, or another project of that name: uninstall "
            f"{distribution}, which is optional, or reinstall a version of it that has {asked.absent}.",
        ),
    )
