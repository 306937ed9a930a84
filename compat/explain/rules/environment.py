"""What lies around the packages: files that shadow them, circular imports, machines without a GPU."""

import re

from compat.explain.context import Case
from compat.explain.log.import_messages import Wanted, wanted
from compat.explain.log.model import Raised
from compat.explain.lookup.module_paths import below_site, distribution_of, is_standard, top_of
from compat.explain.lookup.violated_requirements import demands, requirement_named, violated
from compat.model.diagnosis import Diagnosis, Fix
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


def shadowed(raised: Raised, case: Case) -> Diagnosis | None:
    """A file or folder of the user that Python finds before the installed package of the same name."""
    asked = wanted(raised)
    renaming = _RENAME.search(raised.text)
    if renaming:
        top = renaming[1].rpartition("/")[2].removesuffix(".py")
        return _shadow(top, renaming[1], raised, asked)
    if asked is None:
        return None
    top = asked.module.partition(".")[0]
    own = _own_file(top, asked, raised)
    if own and _expected(top, raised, case):
        known = asked.path.endswith("__init__.py") and _really_lacks(asked, case)
        return None if known else _shadow(top, own, raised, asked)
    if asked.not_package == top and not is_standard(top):
        return _shadow(top, f"a file {top}.py", raised, asked)
    if "unknown location" in asked.path and "." not in asked.module and not _really_lacks(asked, case):
        return _shadow(top, f"a folder {top} without __init__.py", raised, asked)
    return _lacking_what_it_has(top, asked, raised, case)


def _lacking_what_it_has(top: str, asked: Wanted, raised: Raised, case: Case) -> Diagnosis | None:
    """A package that lacks what the installed one must have: what was imported is another."""
    if asked.attribute and asked.module == top and top in case.index.owners and not asked.path:
        package = case.owner(top) or top
        status = _answer(asked, case, package)
        if status not in ("missing", "submodule"):
            return _shadow(top, f"a file {top}.py or a folder {top}", raised, asked)
    if asked.attribute and asked.module == top and _as_installed(top, raised, case):
        return _shadow(top, f"a file {top}.py or a folder {top}", raised, asked)
    frame = raised.frames[-1] if raised.frames else None
    if "." in asked.absent and frame and top_of(frame.path) != top and _has_module(asked.absent, case):
        return _shadow(top, f"a folder {top} that is not the installed one", raised, asked)
    if not asked.attribute and asked.module == top and _as_released(asked, case):
        return _shadow(top, f"a file {top}.py or a folder {top}", raised, asked)
    return None


def _as_released(asked: Wanted, case: Case) -> bool:
    """Return whether every release has what a package, said to be imported from nowhere in it, lacks."""
    package = case.owner(asked.module)
    if package not in (SGLANG, VLLM) or asked.path or not asked.names or case.inside:
        return False
    return all(case.history.flags(package, asked.module, asked.names[0]))


def _expected(top: str, raised: Raised, case: Case) -> bool:
    """Return whether a name is that of something to be installed, and not just the user's own."""
    installed_asks = bool(raised.frames) and below_site(raised.frames[-1].path) is not None
    if top in case.index.owners or is_standard(top) or installed_asks:
        return True
    distribution = requirement_named(case, top, distribution_of(top))
    return case.known(distribution) is not None or any(True for _ in demands(case, distribution))


def _has_module(module: str, case: Case) -> bool:
    """Return whether the known release has a module written in Python, so that it must be there to import."""
    package = case.owner(module)
    at = case.position(package) if package else None
    if package is None or at is None:
        return False
    row = case.index.module(module, package, at)
    return row is not None and row.form in ("module", "package")


def _as_installed(top: str, raised: Raised, case: Case) -> bool:
    """Return whether the installed module must have what installed code asks of it, as an attribute."""
    path = raised.frames[-1].path if raised.frames else ""
    if is_standard(top):
        return bool(_LIBRARY.search(path)) and below_site(path) is None
    if top in case.index.owners or below_site(path) is None:
        return False
    distribution = requirement_named(case, top, distribution_of(top))
    required = any(True for _ in demands(case, distribution))
    return required and case.known(distribution) is not None and violated(case, distribution) is None


def _own_file(top: str, asked: Wanted, raised: Raised) -> str | None:
    """Return the user's file that Python took for a package, if one shows."""
    names = (f"/{top}.py", f"/{top}/__init__.py")
    if asked.path and asked.path.endswith(names) and not _installed(asked.path):
        return asked.path
    if asked.path or not (asked.partial or asked.attribute or asked.not_package == top):
        return None
    paths = (frame.path.replace("\\", "/") for frame in raised.frames)
    return next((path for path in paths if f"/{path}".endswith(f"/{top}.py") and not _installed(path)), None)


def _installed(path: str) -> bool:
    return below_site(path) is not None or bool(_LIBRARY.search(path))


def _really_lacks(asked: Wanted, case: Case) -> bool:
    """Return whether the release, as far as known, lacks what was asked for: then nothing need shadow it."""
    package = case.owner(asked.module)
    return package is not None and _answer(asked, case, package) == "missing"


def _answer(asked: Wanted, case: Case, package: str) -> str:
    at = case.position(package)
    resolver = case.history.resolver(package, case.newest(package) if at is None else at)
    return resolver.answer(asked.module, asked.names[0] if asked.names else "").status


def _shadow(top: str, what: str, raised: Raised, asked: Wanted | None) -> Diagnosis:
    name = asked.names[0] if asked and asked.names and asked.module == top else None
    return Diagnosis(
        cause="shadowed_module",
        package=None if is_standard(top) else distribution_of(top),
        module=top,
        symbol=name,
        evidence=(raised.line, f"{what} is imported in place of the installed {top}"),
        fix=Fix(
            kind="environment",
            text=f"Rename or move {what} (and its __pycache__), or start Python in another folder.",
        ),
    )


def left_behind(raised: Raised, case: Case) -> Diagnosis | None:
    """A package whose import failed earlier in the process: Python misses it below what that left behind.

    No cause of the closed set fits: the cause is whatever ended the first import.
    """
    found = _KEY.fullmatch(raised.message) if raised.kind == "KeyError" else None
    inside = bool(raised.frames) and raised.frames[-1].function == "_get_parent_path"
    if found is None or found[1] not in case.index.owners or not inside:
        return None
    package = case.owner(found[1])
    known = case.known(package) if package else None
    return Diagnosis(
        cause="unknown",
        package=package,
        version=known.version if known else None,
        module=found[1],
        evidence=(
            raised.line,
            f"an earlier import of {found[1]} has failed in this process, maybe unseen in a try",
        ),
        fix=Fix(
            kind="none",
            text=f"Explain what ended the first import: `import {found[1]}` in a new process shows it.",
            command=f"python -c 'import {found[1]}'",
        ),
    )


def circular(raised: Raised, case: Case) -> Diagnosis | None:
    """A module that is asked for a name while it is still being imported."""
    if not _CIRCULAR.search(raised.text):
        return None
    asked = wanted(raised)
    module = asked.module if asked else None
    package = case.owner(module) if module else None
    chain = [found for frame in raised.frames if (found := case.module(frame))]
    lines = [raised.line]
    if chain:
        lines.append(f"the circle: {' -> '.join(dict.fromkeys(chain))}")
    statement = None
    text = "Move one of the imports of the circle into the function that needs it."
    if package and chain and module:
        parent = next((m for m in chain if not module.startswith(f"{m}.") and m != module), None)
        if parent:
            statement = f"import {parent}"
            text = f"Import {parent} first: the circle closes only when {module} comes first."
    known = case.known(package) if package else None
    return Diagnosis(
        cause="circular_import",
        package=package,
        version=known.version if known else None,
        module=module,
        symbol=asked.names[0] if asked and asked.names else None,
        evidence=tuple(lines),
        fix=Fix(kind="edit", text=text, statement=statement),
    )


def no_gpu(raised: Raised, case: Case) -> Diagnosis | None:
    """A machine without a usable GPU, or a torch that is built without CUDA."""
    found = _NO_GPU.search(raised.text)
    if not found:
        return None
    modules = [module for frame in raised.frames if (module := case.module(frame))]
    package = case.owner(modules[-1]) if modules else None
    known = case.known(package) if package else None
    if "not compiled" in found[0]:
        text = "This torch is built without CUDA: install the CUDA build of the torch that the release pins."
    else:
        text = "Run it where `nvidia-smi` shows a GPU; a container needs it passed in."
    return Diagnosis(
        cause="no_gpu",
        package=package,
        version=known.version if known else None,
        module=modules[-1] if modules else None,
        evidence=(raised.line, f"“{found[0]}” is what is said where no GPU is found"),
        fix=Fix(kind="environment", text=text),
    )
