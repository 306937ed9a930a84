"""Rules for names and modules of the indexed packages that a release has moved, renamed, removed or lacks."""

from collections.abc import Iterator

from packaging.version import Version

from compat.explain.context import RuleContext, importer_of, in_installed_package
from compat.explain.log.import_messages import CANNOT_IMPORT, UNDEFINED, FailedImport, imported, wanted
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.missing_symbol import locate
from compat.index.query.single_release import companions
from compat.model.diagnosis import Diagnosis, Fix
from compat.model.releases import IMPORT_NAMES, KERNELS, SGLANG
from compat.model.symbols import location
from compat.resolve.suggestions import hint

MOST_SHOWN = 3
"""Most modules of a package that are shown for such a name."""
MOST_HOMES = 40
"""Most modules in which a name is looked up whose module the text does not name."""
SHORTEST = 8
"""Least length of a name that says by itself which package it is of."""


def missing_in_kernels(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a name that the installed kernels lack, and the kernels that sglang requires have."""
    asked = wanted(exception)
    at = context.release_index(SGLANG)
    if asked is None or at is None or asked.module.partition(".")[0] != IMPORT_NAMES[KERNELS[0]]:
        return None
    if asked.absent == IMPORT_NAMES[KERNELS[0]]:
        return None  # no kernels are installed at all
    for kernel, place in companions(context.index, SGLANG, at).items():
        version, known = context.index.versions(kernel)[place], context.known(kernel)
        same = known is not None and Version(known.version) == Version(version)
        if same or not all(
            context.history.flags(kernel, asked.module, name)[place] for name in asked.names or ("",)
        ):
            continue
        sglang = context.index.versions(SGLANG)[at]
        there = f"{kernel} is {known.version}: {known.source}" if known else "another version is installed"
        return Diagnosis(
            cause="requirement_violated",
            package=kernel,
            version=known.version if known else None,
            module=asked.module,
            symbol=asked.names[0] if asked.names else None,
            evidence=(exception.line, f"sglang {sglang} requires {kernel}=={version}, which has it; {there}"),
            fix=Fix(
                kind="install",
                text=f"Install {kernel}=={version}, which sglang {sglang} requires.",
                command=f'pip install "{kernel}=={version}"',
            ),
        )
    return None


def missing_name(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a name or module that the release lacks."""
    asked = wanted(exception)
    if asked is None or asked.partial or (asked.absent and "." not in asked.absent):
        return None
    return _located(asked, exception, context, f"{exception.line}")


def unimported_submodule(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose access to a submodule as an attribute of its package before anything imported the submodule.

    No cause of the closed set fits, so the cause is `unknown`; the fix is the import to add.
    """
    asked = wanted(exception)
    if asked is None or not asked.attribute or asked.partial:
        return None
    package, inner = context.owner(asked.module), f"{asked.module}.{asked.names[0]}"
    if package is None or context.index.number("modules", inner) is None:
        return None
    at = context.likely_releases.get(package, context.newest_release(package))
    if context.history.resolver(package, at).answer(inner, "").status != "submodule":
        return None
    version = context.index.versions(package)[at]
    return Diagnosis(
        cause="unknown",
        package=package,
        version=version if package in context.release_indexes else None,
        module=inner,
        evidence=(
            exception.line,
            f"{inner} is a module of {package} {version} that nothing has imported yet",
        ),
        fix=Fix(
            kind="edit",
            text="Import the module itself: importing a package does not import its modules.",
            statement=f"import {inner}",
        ),
    )


def misspelt(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a name that no release has, by names that are spelt almost like it, if there are any.

    No cause of the closed set fits, so the cause is `unknown`.
    """
    asked = wanted(exception)
    package = context.owner(asked.module) if asked else None
    if asked is None or package is None or not asked.names or asked.partial:
        return None
    name = asked.names[0]
    meant = hint(name)
    if not meant and context.index.binds_ever(name, package):
        return None
    if not meant:
        first, *_, last = context.index.versions(package)
        return Diagnosis(
            cause="unknown",
            evidence=(exception.line, f"no release of {package} from {first} to {last} has the name {name}"),
            fix=Fix(
                kind="none",
                text=f"What imports {name} is for a fork or an unreleased version of {package}: find out "
                "which, and install that, or leave it out.",
            ),
        )
    return Diagnosis(
        cause="unknown",
        evidence=(exception.line, f"no release has the name {name}; {meant}"),
        fix=Fix(kind="edit", text=f"Check the spelling of the name: {meant}."),
    )


def never_lacking(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Tell that a name is in every release that has its module, so that no release alone fails so.

    The cause is `unknown`: the files are of several releases, or of none.
    """
    asked = wanted(exception)
    package = context.owner(asked.module) if asked else None
    if asked is None or package is None or not asked.names or asked.partial or asked.attribute:
        return None
    place = location(asked.module, asked.names[0])
    there = context.history.flags(package, asked.module, asked.names[0])
    if not any(there) or there != context.history.flags(package, asked.module, ""):
        return None
    releases = context.history.releases(package, asked.module, asked.names[0])
    return Diagnosis(
        cause="unknown",
        package=package,
        module=asked.module,
        symbol=asked.names[0],
        evidence=(exception.line, f"{place} exists in {package} {releases}, as does {asked.module}"),
        fix=Fix(
            kind="none",
            text=f"Every release of {package} that has the module has the name in it: the files are of two "
            "releases, of a fork, or the module was still being imported. The full traceback tells which.",
        ),
    )


def unplaced_name(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Tell which releases have a name whose message names neither its module nor the one that uses it.

    The cause is `unknown`: the text does not tell of which module it was imported, or which one uses it.
    """
    found = CANNOT_IMPORT.search(exception.message) or UNDEFINED.search(exception.message)
    if not found or wanted(exception) is not None or exception.frames:
        return None
    name, lines = found[1], list[str]()
    for package in context.index.packages if len(name) >= SHORTEST else ():
        lines += _homes(context, package, name, exception.text)
    if not lines:
        return None
    return Diagnosis(
        cause="unknown",
        symbol=name,
        evidence=(exception.line, *lines),
        fix=Fix(
            kind="none",
            text="The text does not tell of which module it was imported, or which one uses it; the evidence "
            "lists the releases that have one of this name.",
        ),
    )


def _homes(context: RuleContext, package: str, name: str, text: str) -> Iterator[str]:
    """Yield the modules of a package that have a name of its own, with their releases, as lines.

    Those that define it come before those that import it, those whose file the text names before others. Each
    has it in releases that none of those before has.
    """
    modules = sorted(context.index.first_bound(name, package).items(), key=lambda each: len(each[0]))
    own = [each for each in modules[:MOST_HOMES] if _binds_own(context, package, each[0], name, each[1])]
    defining = [each for each in own if _defines(context, package, each[0], name, each[1])]
    covered = [False] * len(context.index.versions(package))
    named = {module for module, _ in own if f"{module.rpartition('.')[2]}.py" in text}
    lines = 0
    for module, _ in sorted(defining or own, key=lambda each: each[0] not in named):
        flags = context.history.flags(package, module, name)
        new = any(there and not before for there, before in zip(flags, covered, strict=True))
        if new and lines < MOST_SHOWN:
            releases = context.history.releases(package, module, name)
            yield f"{location(module, name)} exists in {package} {releases}"
            covered = [there or before for there, before in zip(flags, covered, strict=True)]
            lines += 1


def _defines(context: RuleContext, package: str, module: str, name: str, at: int) -> bool:
    """Return whether a module defines a name in a release, rather than import it."""
    return any(each.status == "defined" for each in context.index.branches(module, name, package, at))


def _binds_own(context: RuleContext, package: str, module: str, name: str, at: int) -> bool:
    """Return whether a module binds a name to an object of its own package."""
    branches = context.index.branches(module, name, package, at)
    tops = {(each.target or module).partition(":")[0].partition(".")[0] for each in branches}
    return any(package in context.index.owners.get(top, ()) for top in tops)


def truncated_traceback(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a truncated traceback by the import at which it ends, if the release lacks its target.

    The full traceback may have continued beyond that import, so this rule is among the last.
    """
    if exception.kind or exception.message or not exception.frames:
        return None
    asked = imported(exception.frames[-1].source)
    if asked is None:
        return None
    first_line = f"the traceback is truncated after `{exception.frames[-1].source}`"
    return _located(asked, exception, context, first_line, certain=False)


def _located(
    asked: FailedImport,
    exception: ExceptionInfo,
    context: RuleContext,
    first_line: str,
    *,
    certain: bool = True,
) -> Diagnosis | None:
    package = context.owner(asked.module)
    if package is None:
        return None
    frame = exception.frames[-1] if exception.frames else None
    evidence = (
        first_line,
        *((f"imported in {frame.path}:{frame.line}",) if frame and in_installed_package(frame) else ()),
    )
    within = asked.module if certain and not asked.absent else ""
    for wanted_name in asked.names or ("",):
        module, name = asked.module, wanted_name
        inner = f"{module}.{name}"
        if asked.attribute and context.index.number("modules", inner) is not None:
            module, name = inner, ""  # a submodule: the release lacks it, or nothing has imported it yet
        found = locate(
            context,
            package,
            module,
            name,
            evidence=evidence,
            importer=importer_of(context, frame, package),
            within=within,
            certain=certain,
        )
        if found is not None:
            return found
    if asked.names and asked.absent:  # no release has the name: the module may tell more
        return locate(
            context,
            package,
            asked.module,
            "",
            evidence=(*evidence, f"no indexed release of {package} has {', '.join(asked.names)} there"),
            importer=importer_of(context, frame, package),
            certain=certain,
        )
    return None
