"""Parse messages of import errors and import statements: which module and names they are about."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from compat.explain.log.model import ExceptionInfo, TracebackFrame

CANNOT_IMPORT = re.compile(
    r"cannot import name '?([\w.]+)'?"
    r"(?: from (partially initialized module )?(?:'([\w.]+)'|((?:vllm|sglang)\.[\w.]+\w)))?"
    r"(?: \(most likely due to a circular import\))?(?: \((/?[^()]{1,1000})\))?"
)
_OPEN_PATH = re.compile(r" \((/[^()\s]{1,500})$")
"""Matches the path of a message whose end is cut off."""
NO_MODULE = re.compile(r"No module named ['\"]?([\w.\-]+)['\"]?(; '([\w.]+)' is not a package)?")
NO_ATTRIBUTE = re.compile(
    r"(partially initialized )?module '?([\w.]+)'? (?:from '([^']{1,1000})' )?"
    r"(?:\([^()]{0,80}\) )?has no attribute '?(\w+)"
)
UNDEFINED = re.compile(r"\bname '(\w{1,200})' is not defined")
_FROM = re.compile(r"(?:from\s+([\w.]+)\s+import\s+(\S.*))$")
_IMPORT = re.compile(r"import\s+([\w.]+)(?:\s+as\s+\w+)?\s*(?:,|$|#|;)")
_DYNAMIC = re.compile(r"""import_module\(\s*['"]([\w.]+)['"]""")
_NAME = re.compile(r"[A-Za-z_]\w*")
MOST = 20
"""Most names of one statement that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedImport:
    """A module and names that an import or an attribute access did not find."""

    module: str
    names: tuple[str, ...] = ()
    """The requested names of the module; empty for the module itself."""
    path: str = ""
    """The file of the module, if the message names it."""
    partial: bool = False
    """Whether the message says that the module is partially initialized."""
    not_package: str = ""
    """The module that the message says is not a package."""
    absent: str = ""
    """The module that was not found: `module` or a parent of it; empty if only a name was not found."""
    attribute: bool = False
    """Whether an attribute access failed rather than an import."""


def wanted(exception: ExceptionInfo) -> FailedImport | None:
    """Return the import that an exception reports as failed, completed from the source line; None if none."""
    frame = next((frame for frame in reversed(exception.frames) if imported(frame.source)), None)
    written = imported(frame.source) if frame is not None and frame is exception.frames[-1] else None
    found = CANNOT_IMPORT.search(exception.text)
    if found:
        module = found[3] or found[4] or (written.module if written else "")
        if not module:
            return None
        cut = _OPEN_PATH.search(exception.message) if not found[5] else None
        path = found[5] or (cut[1] if cut else "")
        return FailedImport(module=module, names=(found[1],), path=path, partial=bool(found[2]))
    found = NO_MODULE.search(exception.text)
    if found:
        absent = found[1].strip(".")
        asked = imported(frame.source) if frame is not None else None
        if asked and _within(asked.module, absent):
            return FailedImport(
                module=asked.module, names=asked.names, absent=absent, not_package=found[3] or ""
            )
        if asked and asked.names and _within(f"{asked.module}.{asked.names[0]}", absent):
            return FailedImport(module=absent, absent=absent, not_package=found[3] or "")
        return FailedImport(module=absent, absent=absent, not_package=found[3] or "")
    found = NO_ATTRIBUTE.search(exception.text)
    if found:
        return FailedImport(
            module=found[2], names=(found[4],), path=found[3] or "", partial=bool(found[1]), attribute=True
        )
    return None


def imported(source: str) -> FailedImport | None:
    """Return the module and names of an import statement's first line, or None for other code."""
    text = source.strip().removeprefix(">>> ")
    found = _FROM.search(text)
    if found and not found[1].startswith("."):
        rest = found[2].partition("#")[0].strip(" ()\\")
        names = [part.split()[0] for part in rest.split(",") if part.split()]
        return FailedImport(
            module=found[1], names=tuple(name for name in names if _NAME.fullmatch(name))[:MOST]
        )
    found = _IMPORT.match(text) or _DYNAMIC.search(text)
    return FailedImport(module=found[1]) if found else None


def identifiers(frames: Iterable[TracebackFrame]) -> tuple[str, ...]:
    """Return the identifiers in the source lines of frames, without duplicates."""
    return tuple(dict.fromkeys(name for frame in frames for name in _NAME.findall(frame.source)))[:MOST]


def _within(module: str, parent: str) -> bool:
    return module == parent or module.startswith(f"{parent}.")
