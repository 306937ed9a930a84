"""Rules for problems outside the packages: shadowing files, circular imports, machines without a GPU."""

import re

from compat.explain.context import RuleContext
from compat.explain.log.import_messages import FailedImport, wanted
from compat.explain.log.model import ExceptionInfo
from compat.explain.lookup.module_paths import below_site, distribution_of, is_standard, top_of
from compat.explain.lookup.requirement_violations import demands, requirement_named, violated
from compat.explain.rules.native.undefined_symbols import TORCH_COMPANIONS, mismatch
from compat.model.diagnosis import Diagnosis, Fix, FixKind
from compat.model.releases import SGLANG, VLLM

_RENAME = re.compile(r"consider renaming '([^']{1,500})'")
_KEY = re.compile(r"'(\w{1,80})'")
_CIRCULAR = re.compile(r"partially initialized module|most likely due to a circular import")
_LIBRARY = re.compile(r"/lib(?:64)?/python3\.\d+/")
_NO_GPU = re.compile(
    r"Failed to infer device type|No CUDA GPUs are available|not compiled with CUDA enabled"
    r"|Found no NVIDIA driver|no CUDA-capable device is detected|No accelerator .{0,60} is available"
    r"|0 active drivers|libcuda\.so cannot found|Device string must not be empty"
    r"|Could not run '\w{1,60}::\w{1,60}' with arguments from the 'CPU' backend"
    r"|NVML Shared Library Not Found"
    r"|No supported (?:device|accelerator|platform)|CUDA is not available|cuda.{0,20} is not available"
    r"|No platform detected|No GPU (?:is )?(?:found|available|detected)|requires? (?:a )?(?:CUDA|NVIDIA) GPU"
    r"|[Cc]annot find (?:any )?(?:NVIDIA )?GPU"
)


def shadowed(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a file or folder of the user that shadows an installed package."""
    asked = wanted(exception)
    renaming = _RENAME.search(exception.text)
    if renaming:
        top = renaming[1].rpartition("/")[2].removesuffix(".py")
        return _shadow(top, renaming[1], exception, asked)
    if asked is None:
        return None
    top = asked.module.partition(".")[0]
    own = _own_file(top, asked, exception)
    if own and _expected(top, exception, context):
        known = asked.path.endswith("__init__.py") and _really_lacks(asked, context)
        return None if known else _shadow(top, own, exception, asked)
    if asked.not_package == top and not is_standard(top):
        return _shadow(top, f"a file {top}.py", exception, asked)
    if "unknown location" in asked.path and "." not in asked.module:
        return _shadow(top, f"a folder {top} without __init__.py", exception, asked)
    return _lacking_what_it_has(top, asked, exception, context)


def _lacking_what_it_has(
    top: str, asked: FailedImport, exception: ExceptionInfo, context: RuleContext
) -> Diagnosis | None:
    """Diagnose a package that lacks a name which the installed package has: another one shadows it."""
    if asked.attribute and asked.module == top and top in context.index.owners and not asked.path:
        package = context.owner(top) or top
        status = _answer(asked, context, package)
        if status not in ("missing", "submodule"):
            return _shadow(top, f"a file {top}.py or a folder {top}", exception, asked)
    if asked.attribute and asked.module == top and _as_installed(top, exception, context):
        return _shadow(top, f"a file {top}.py or a folder {top}", exception, asked)
    frame = exception.frames[-1] if exception.frames else None
    if "." in asked.absent and frame and top_of(frame.path) != top and _has_module(asked.absent, context):
        return _shadow(top, f"a folder {top} that is not the installed one", exception, asked)
    if not asked.attribute and asked.module == top and _as_released(asked, context):
        return _shadow(top, f"a file {top}.py or a folder {top}", exception, asked)
    return None


def _as_released(asked: FailedImport, context: RuleContext) -> bool:
    """Return whether every release has the name, while the failing module is known only by its name."""
    package = context.owner(asked.module)
    if package not in (SGLANG, VLLM) or asked.path or not asked.names or context.in_indexed_package:
        return False
    return all(context.history.flags(package, asked.module, asked.names[0]))


def _expected(top: str, exception: ExceptionInfo, context: RuleContext) -> bool:
    """Return whether a top-level name belongs to an installable package rather than to the user's code."""
    installed_asks = bool(exception.frames) and below_site(exception.frames[-1].path) is not None
    if top in context.index.owners or is_standard(top) or installed_asks:
        return True
    distribution = requirement_named(context, top, distribution_of(top))
    return context.known(distribution) is not None or any(True for _ in demands(context, distribution))


def _has_module(module: str, context: RuleContext) -> bool:
    """Return whether the known release has a module that is written in Python."""
    package = context.owner(module)
    at = context.release_index(package) if package else None
    if package is None or at is None:
        return False
    row = context.index.module(module, package, at)
    return row is not None and row.form in ("module", "package")


def _as_installed(top: str, exception: ExceptionInfo, context: RuleContext) -> bool:
    """Return whether the installed module must have the attribute, because installed code accesses it."""
    path = exception.frames[-1].path if exception.frames else ""
    if is_standard(top):
        return bool(_LIBRARY.search(path)) and below_site(path) is None
    if top in context.index.owners or below_site(path) is None:
        return False
    distribution = requirement_named(context, top, distribution_of(top))
    required = any(True for _ in demands(context, distribution))
    return required and context.known(distribution) is not None and violated(context, distribution) is None


def _own_file(top: str, asked: FailedImport, exception: ExceptionInfo) -> str | None:
    """Return the user's file that Python imported as a package, if the log contains its path."""
    names = (f"/{top}.py", f"/{top}/__init__.py")
    if asked.path and asked.path.endswith(names) and not _installed(asked.path):
        return asked.path
    if asked.path or not (asked.partial or asked.attribute or asked.not_package == top):
        return None
    paths = (frame.path.replace("\\", "/") for frame in exception.frames)
    return next((path for path in paths if f"/{path}".endswith(f"/{top}.py") and not _installed(path)), None)


def _installed(path: str) -> bool:
    return below_site(path) is not None or bool(_LIBRARY.search(path))


def _really_lacks(asked: FailedImport, context: RuleContext) -> bool:
    """Return whether the known or newest release lacks the name, so that shadowing is no explanation."""
    package = context.owner(asked.module)
    return package is not None and _answer(asked, context, package) == "missing"


def _answer(asked: FailedImport, context: RuleContext, package: str) -> str:
    at = context.release_index(package)
    resolver = context.history.resolver(package, context.newest_release(package) if at is None else at)
    return resolver.answer(asked.module, asked.names[0] if asked.names else "").status


def _shadow(top: str, what: str, exception: ExceptionInfo, asked: FailedImport | None) -> Diagnosis:
    name = asked.names[0] if asked and asked.names and asked.module == top else None
    return Diagnosis(
        cause="shadowed_module",
        package=None if is_standard(top) else distribution_of(top),
        module=top,
        symbol=name,
        evidence=(exception.line, f"Python imports {what} instead of the installed {top}"),
        fix=Fix(
            kind="environment",
            text=f"Rename or move {what} and delete its __pycache__, or start Python in another folder.",
        ),
    )


def earlier_import_failed(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose an import that fails because an earlier import of the same package failed in this process.

    The cause is `unknown`: the log does not show why the first import failed.
    """
    found = _KEY.fullmatch(exception.message) if exception.kind == "KeyError" else None
    inside = bool(exception.frames) and exception.frames[-1].function == "_get_parent_path"
    if found is None or found[1] not in context.index.owners or not inside:
        return None
    package = context.owner(found[1])
    known = context.known(package) if package else None
    return Diagnosis(
        cause="unknown",
        package=package,
        version=known.version if known else None,
        module=found[1],
        evidence=(
            exception.line,
            f"an earlier import of {found[1]} failed in this process; a try statement may have hidden it",
        ),
        fix=Fix(
            kind="none",
            text="Find out why the first import failed: the command below repeats it in a new process.",
            command=f"python -c 'import {found[1]}'",
        ),
    )


def circular(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a circular import: a name is requested of a module that is still being imported."""
    if not _CIRCULAR.search(exception.text):
        return None
    asked = wanted(exception)
    module = asked.module if asked else None
    package = context.owner(module) if module else None
    if asked is not None and asked.attribute and package is None:
        other = _built_for_another(asked.module.partition(".")[0], exception, context)
        if other is not None:
            return other
    chain = [found for frame in exception.frames if (found := context.module(frame))]
    lines = [exception.line]
    if chain:
        lines.append(f"the import cycle: {' -> '.join(dict.fromkeys(chain))}")
    statement = None
    text = "Move one of the imports of the cycle into the function that needs it."
    if package and chain and module:
        parent = next((m for m in chain if not module.startswith(f"{m}.") and m != module), None)
        if parent:
            statement = f"import {parent}"
            text = f"Import {parent} first: the cycle fails only if {module} is imported first."
    known = context.known(package) if package else None
    inside = _package_of_circle(asked, exception) if asked else None
    kind: FixKind = "edit"
    if inside is not None and statement is None:
        kind, statement = "install", None
        text = (
            f"The circle is inside {inside}: install another release of it, the next one or the one before."
        )
    return Diagnosis(
        cause="circular_import",
        package=package,
        version=known.version if known else None,
        module=module,
        symbol=asked.names[0] if asked and asked.names else None,
        evidence=tuple(lines),
        fix=Fix(kind=kind, text=text, statement=statement),
    )


def _built_for_another(top: str, exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Return the diagnosis of a companion of torch that fails in its own files before it is imported whole.

    Its extension, which it loads first, did not load or register what its Python files ask for.
    """
    inside = bool(exception.frames) and top_of(exception.frames[-1].path) == top
    if not inside or top not in TORCH_COMPANIONS:
        return None
    line = f"{top} fails in its own files: its extension did not load, as one built for another torch does"
    return mismatch(exception, context, None, (exception.line, line), torch=True, package=top)


def _package_of_circle(asked: FailedImport, exception: ExceptionInfo) -> str | None:
    """Return the package that a circle of imports does not leave, or None if it leaves it."""
    top = asked.module.partition(".")[0]
    if not asked.path or f"/{top}/" not in asked.path or "." not in asked.module:
        return None
    frame = exception.frames[-1] if exception.frames else None
    own = frame is not None and f"/{top}/" not in frame.path
    return None if own else top


def no_gpu(exception: ExceptionInfo, context: RuleContext) -> Diagnosis | None:
    """Diagnose a machine without a usable GPU, or a torch that is built without CUDA."""
    found = _NO_GPU.search(exception.text)
    if not found:
        return None
    modules = [module for frame in exception.frames if (module := context.module(frame))]
    package = context.owner(modules[-1]) if modules else None
    known = context.known(package) if package else None
    if "not compiled" in found[0]:
        text = (
            "This torch is built without CUDA: install the CUDA build of the torch that the release requires."
        )
    else:
        text = 'Run it on a machine where "nvidia-smi" lists a GPU; a container needs access to that GPU.'
    return Diagnosis(
        cause="no_gpu",
        package=package,
        version=known.version if known else None,
        module=modules[-1] if modules else None,
        evidence=(exception.line, f"“{found[0]}” is the error on a machine where no GPU is found"),
        fix=Fix(kind="environment", text=text),
    )
