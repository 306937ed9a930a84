"""Rules for guarded imports that failed silently and left a stub, an unbound name or a wrong message."""

import re
from collections.abc import Iterator

from compat.explain.context import RuleContext, importer_of, in_installed_package
from compat.explain.log.import_messages import UNDEFINED, FailedImport, identifiers, wanted
from compat.explain.log.model import ExceptionInfo, TracebackFrame
from compat.explain.lookup.missing_symbol import locate
from compat.explain.rules.missing_packages import not_installed, speaks_of_requirements, vllm_for
from compat.index.records import Branch
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.guards import ALWAYS, All, AnyOf, Condition, Flag, Guard, Imports, Not, describe, evaluate
from compat.model.releases import SGLANG, VLLM
from compat.model.symbols import location, split_location
from compat.resolve.canonical import nearness

_STUB = re.compile(
    r"typing\.Any|\bAny cannot be instantiated|Type Any cannot|Cannot subclass .{0,40}Any"
    r"|\b(Dummy\w{0,60})\b"
    r"|'?NoneType'? object (?:is not (?:callable|subscriptable|iterable)|has no attribute)"
    r"|'_SpecialForm' object|'_AnyMeta'|Placeholder\w*"
)
_ADVICE = re.compile(
    r"(?i)\b(vllm|sglang|sgl[-_]kernel)\b.{0,60}(?:not (?:installed|available|found)|install)"
    r"|install .{0,40}\b(vllm|sglang|sgl[-_]kernel)\b|requires? .{0,30}\b(vllm|sgl[-_]kernel)\b"
)
SHORTEST = 6
"""Least length of a name that is distinct from an ordinary word."""
_FRAMES = 4
"""Innermost frames whose source lines are searched for the name of a stub."""


def unbound_name(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a name that cannot be imported because a guarded import in its module failed."""
    asked = wanted(exception)
    if asked is None or asked.partial or context.owner(asked.module) is None:
        return None
    found = (_behind(context, asked.module, name, exception) for name in asked.names)
    return next((each for each in found if each is not None), None)


def name_error(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a NameError for a name that a failed guarded import did not bind."""
    found = UNDEFINED.search(exception.message)
    module = _module(exception, context)
    if not found:
        return None
    if module is None:
        return _public_name(context, found[1], exception)
    name = found[1]
    return (
        _behind(context, module, name, exception)
        or _not_bound(context, module, name, exception)
        or _bound_elsewhere(context, module, name, exception)
    )


def _bound_elsewhere(
    context: RuleContext, module: str, name: str, exception: ExceptionInfo
) -> Diagnosis | None:
    """Return the diagnosis of a name that a module of the release uses and binds in other releases only.

    The cause is `unknown`: it is a defect of the release.
    """
    package = context.owner(module)
    flags = context.history.flags(package, module, name) if package else ()
    known = context.known(package) if package else None
    at = context.release_index(package) if package else None
    possible = [at] if at is not None else context.fitting_releases.get(package or "") or []
    if not package or not any(flags) or (possible and all(flags[each] for each in possible)):
        return None
    releases = context.history.releases(package, module, name)
    return Diagnosis(
        cause="unknown",
        package=package,
        version=known.version if known else None,
        module=module,
        symbol=name,
        evidence=(exception.line, f"{location(module, name)} exists in {package} {releases}"),
        fix=Fix(
            kind="none",
            text=f"A defect of the release: {module} uses {name} and does not bind it. {package} {releases} "
            "does, or take a release that no longer uses it.",
        ),
    )


def _not_bound(context: RuleContext, module: str, name: str, exception: ExceptionInfo) -> Diagnosis | None:
    """Return the diagnosis of a name that its module binds under a condition only, which was not true."""
    package = context.owner(module)
    for place in reversed(context.candidate_releases(package)) if package else ():
        branches = context.index.branches(module, name, package or "", place)
        conditions = [each for each in branches if each.guard != ALWAYS]
        if not conditions or len(conditions) != len(branches):
            continue
        guard = describe(conditions[0].guard)
        targets = list(_targets(conditions[0].guard))
        known = context.known(package) if package else None
        fix = Fix(
            kind="environment",
            text=f"Make the condition true (“{guard}”), for example by the environment variable behind "
            f"it, or turn off what uses {name}.",
        )
        if targets:
            asked = split_location(targets[0])[0]
            fix = Fix(
                kind="environment",
                text="Find out why that import fails, which the guard hides: the command repeats it. "
                f"{asked} may be missing, or not load beside what is installed.",
                command=f"python -c 'import {asked}'",
            )
        return Diagnosis(
            cause="placeholder",
            package=package,
            version=known.version if known else None,
            module=module,
            symbol=name,
            evidence=(
                exception.line,
                f"{location(module, name)} is bound only under “{guard}”",
                *([f"the guarded import is of {', '.join(targets[:3])}"] if targets else ()),
            ),
            fix=fix,
        )
    return None


def _public_name(context: RuleContext, name: str, exception: ExceptionInfo) -> Diagnosis | None:
    """Return the diagnosis of another project that uses a name of vllm or sglang after its import failed."""
    frame = exception.frames[-1] if exception.frames else None
    if frame is None or context.module(frame) is not None:
        return None
    importer = importer_of(context, frame, "") or frame.path.rpartition("/")[2]
    for package in (VLLM, SGLANG):
        releases = context.candidate_releases(package)
        if context.index.number("modules", f"{package}.{name}") is not None:
            continue  # a subpackage of that name, such as `worker`, which nobody imports so
        if not any(context.history.flags(package, package, name)[at] for at in releases):
            continue
        if package not in frame.path.lower() and package not in exception.text.lower():
            continue
        return Diagnosis(
            cause="unknown",
            package=package,
            module=package,
            symbol=name,
            evidence=(
                exception.line,
                f"{name} is a name of {package}; {importer} uses it after its own import of {package} failed",
            ),
            fix=Fix(
                kind="none",
                text=f"Find out why the import failed, which {importer} hides: {package} is "
                f"not installed, or lacks a name that {importer} imports with it. The command repeats it.",
                command=f"python -c 'from {package} import {name}'",
            ),
        )
    return None


def removed_name(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a name in the user's code that a guarded import did not bind: the release removed it."""
    frame = exception.frames[-1] if exception.frames else None
    if frame is None or in_installed_package(frame):
        return None
    found = UNDEFINED.search(exception.message)
    if found:
        names: tuple[str, ...] = (found[1],)
    elif _STUB.search(exception.text) or _ADVICE.search(exception.text):
        names = (*identifiers([frame]), *identifiers([TracebackFrame(path="", source=exception.message)]))
    else:
        return None
    for name in names:
        for package, at in context.likely_releases.items():
            module = _last_home(context, package, name, at)
            if module:
                evidence = (
                    exception.line,
                    f"{package} {context.index.versions(package)[at]} has no name {name}",
                )
                return locate(context, package, module, name, evidence=evidence)
    return None


def _last_home(context: RuleContext, package: str, name: str, at: int) -> str | None:
    """Return the last module that had a name, if no module of the release has it any more."""
    index = context.index
    if len(name) < SHORTEST or index.binders(name, package, at) or not index.binds_ever(name, package):
        return None
    for place in range(at - 1, -1, -1):
        homes = index.binders(name, package, place)
        if homes:
            return min(homes, key=nearness)
    return None


def wrong_advice(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a wrong “vllm is not installed”: vllm is installed and lacks a name that the guard imports."""
    found = _ADVICE.search(exception.text)
    if not found or speaks_of_requirements(exception):
        return None
    top = next(group for group in found.groups() if group).lower().replace("-", "_")
    package = context.owner(top)
    if package is None:
        return None
    for frame in reversed(exception.frames):
        module = context.module(frame)
        if module is None:
            continue
        names = [name for name in identifiers([frame]) if _branches(context, module, name)]
        for name in names or _guarded_names(context, module, top):
            cause = _behind(context, module, name, exception)
            if cause is not None and (cause.package == package or cause.cause != "package_missing"):
                return cause
        if context.known(package) is None:
            break
    if context.known(package) is not None and not context.is_absent(package):
        return None
    return not_installed(top, FailedImport(module=top, absent=top), exception, context)


def placeholder(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose the use of a stub that is bound instead of the real object."""
    found = _STUB.search(exception.text)
    if not found:
        return None
    for frame in list(reversed(exception.frames))[:_FRAMES]:
        module = context.module(frame)
        for name in identifiers([frame]):
            for home in [module] if module else _homes_of_stub(context, name):
                if any(branch.status == "placeholder" for branch in _branches(context, home, name)):
                    return _stub(context, home, name, exception, frame)
    dummy = found[1]
    if dummy:
        for package in context.release_indexes or context.index.packages:
            at = context.release_indexes.get(package, context.newest_release(package))
            homes = context.index.binders(dummy, package, at)
            if homes:
                return _stub(context, homes[0], dummy, exception, None)
    return None


def _stub(
    context: RuleContext, module: str, name: str, exception: ExceptionInfo, frame: TracebackFrame | None
) -> Diagnosis:
    """Return why a name is a stub: the target of its guarded import is missing, or is not installed."""
    cause = _behind(context, module, name, exception)
    package = context.owner(module) or module.partition(".")[0]
    where = location(module, name)
    guard = next((b.guard for b in _branches(context, module, name) if b.status == "placeholder"), None)
    lines = [exception.line, f"{where} is a stub"]
    if guard is not None:
        lines[-1] += f", bound in the branch “{describe(guard)}”"
    if frame is not None and frame.source:
        lines.append(f"the stub is used in `{frame.source}`")
    if cause is not None and cause.cause not in ("package_missing", "no_gpu"):
        return cause
    known = context.known(package)
    fix = cause.fix if cause is not None else None
    if fix is None:
        needed = sorted({split_location(t)[0].partition(".")[0] for t in _targets(guard)}) if guard else []
        text = (
            f"Install {', '.join(needed)}: the stub stands in for an object from there."
            if needed
            else "Import the real object instead of the stub."
        )
        command = f"pip install {' '.join(needed)}" if needed else None
        target = next((t for t in _targets(guard) if t.endswith(f":{name}")), "") if guard else ""
        asked, real = split_location(target)
        wheel = (
            vllm_for(context, FailedImport(module=asked, names=(real,)))
            if asked.startswith("vllm.")
            else None
        )
        if wheel:
            text = f"Install vllm {wheel}, the newest release that has it and is not newer than this release."
            command = f'pip install "vllm=={wheel}"'
        fix = Fix(kind="install", text=text, command=command)
    return Diagnosis(
        cause="placeholder",
        package=package,
        version=known.version if known else None,
        module=module,
        symbol=name,
        evidence=(*lines, *(cause.evidence[1:] if cause is not None else ())),
        fix=fix,
    )


def _behind(context: RuleContext, module: str, name: str, exception: ExceptionInfo) -> Diagnosis | None:
    """Return why a guarded name is not bound: the first import of its guard that fails, or a missing GPU."""
    resolver = context.resolver
    for branch in _branches(context, module, name):
        for target in _targets(branch.guard):
            if resolver.present(target) is not False:
                continue
            module_asked, name_asked = split_location(target)
            top = module_asked.partition(".")[0]
            evidence = (exception.line, f"{location(module, name)} depends on a guarded import of {target}")
            package = context.owner(module_asked)
            if package is not None and package in context.release_indexes:
                frame = exception.frames[-1] if exception.frames else None
                found = locate(
                    context,
                    package,
                    module_asked,
                    name_asked,
                    evidence=evidence,
                    importer=importer_of(context, frame, package),
                )
                if found is not None:
                    return found
            if top in resolver.environment.absent:
                names = (name_asked,) if name_asked else ()
                return not_installed(
                    top, FailedImport(module=module_asked, names=names, absent=top), exception, context
                )
        if _needs_cuda(context, branch):
            return _without_gpu(context, module, name, branch, exception)
    return None


def _needs_cuda(context: RuleContext, branch: Branch) -> bool:
    """Return whether a branch runs only on a machine with a CUDA device."""
    without, with_ = context.resolvers_by_cuda[False], context.resolvers_by_cuda[True]
    return (
        evaluate(branch.guard, without._leaf) is False  # noqa: SLF001 -- the one evaluator of guards
        and evaluate(branch.guard, with_._leaf) is not False  # noqa: SLF001
    )


def _without_gpu(
    context: RuleContext, module: str, name: str, branch: Branch, exception: ExceptionInfo
) -> Diagnosis:
    package = context.owner(module)
    known = context.known(package) if package else None
    return Diagnosis(
        cause="no_gpu",
        package=package,
        version=known.version if known else None,
        module=module,
        symbol=name,
        evidence=(
            exception.line,
            f"{location(module, name)} needs a CUDA device: {describe(branch.guard)}",
        ),
        fix=Fix(
            kind="environment", text="Run it on a machine with a GPU: the name is not bound without one."
        ),
    )


def _branches(context: RuleContext, module: str, name: str) -> tuple[Branch, ...]:
    """Return the branches that bind a name in the known release, else in the newest with several branches."""
    package = context.owner(module)
    if package is None:
        return ()
    at = context.release_indexes.get(package)
    if at is not None:
        return context.index.branches(module, name, package, at)
    for place in reversed(context.candidate_releases(package)):
        found = context.index.branches(module, name, package, place)
        if len(found) > 1:
            return found
    return ()


def _guarded_names(context: RuleContext, module: str, top: str) -> list[str]:
    """Return the names of a module whose guards import from a package."""
    package = context.owner(module)
    at = context.release_indexes.get(package) if package else None
    if package is None or at is None:
        return []
    found = []
    for name, branches in context.index.names(module, package, at).items():
        tops = {split_location(target)[0].partition(".")[0] for b in branches for target in _targets(b.guard)}
        if top in tops:
            found.append(name)
    return found


def _homes_of_stub(context: RuleContext, name: str) -> list[str]:
    """Return the modules that bind a name to a stub in some branch, those nearest to the root first."""
    found: list[str] = []
    for package in context.release_indexes or context.index.packages:
        known = context.release_indexes.get(package)
        places = range(context.newest_release(package), -1, -1) if known is None else (known,)
        for at in places:
            homes = [
                module
                for module in context.index.binders(name, package, at)
                if any(b.status == "placeholder" for b in context.index.branches(module, name, package, at))
            ]
            if homes:
                found += homes
                break
    return sorted(found, key=lambda module: (module.count("."), module))


def _targets(guard: Guard) -> Iterator[str]:
    """Yield the locations that the `try` statements of a guard import, in order."""
    match guard:
        case Imports(targets):
            yield from targets
        case Not(inner):
            yield from _targets(inner)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from _targets(part)
        case Flag() | Condition():
            pass


def _module(exception: ExceptionInfo, context: RuleContext) -> str | None:
    return context.module(exception.frames[-1]) if exception.frames else None
