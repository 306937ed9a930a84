"""Collect what a source tree uses of a package: each dotted path with the lines that use it."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from compat.errors import NothingSelectedError
from compat.index.reader import Index
from compat.model.package_names import IMPORT_NAMES
from compat.scan.prefilter.mentions import mentions_package
from compat.scan.project.module_names import module_name
from compat.scan.sources.discovery import Files, Unreadable, Walk, require_paths
from compat.scan.sources.source_file import parse
from compat.scan.syntax.references import references


class Use(NamedTuple):
    """A line that uses a name."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def used_names(paths: Iterable[str], package: str) -> dict[str, list[Use]]:
    """Return the dotted paths of a package that the files below some paths use, each with its uses.

    Raises:
        UsageError: a path does not exist.
        NothingSelectedError: no file below them uses the package.
    """
    require_paths(paths, "--used-by: ")
    store, found = Files(), dict[str, list[Use]]()
    for path in Walk().files(tuple(paths)):
        try:
            if not store.names_package(path) or not mentions_package(path, store.read(path)):
                continue
            source = parse(path, store.read(path))
        except (OSError, Unreadable):
            continue  # `compat scan` reports it
        for reference in references(source, module_name(path)):
            if reference.top == IMPORT_NAMES[package]:
                line = getattr(reference.node, "lineno", 1)
                found.setdefault(reference.path, []).append(Use(path, line))
    if not found:
        raise NothingSelectedError(f"--used-by: nothing below {', '.join(paths)} uses {package}")
    return {path: sorted(set(uses)) for path, uses in sorted(found.items())}


def located(
    used: Mapping[str, list[Use]], index: Index, package: str, old: int
) -> dict[tuple[str, str], list[Use]]:
    """Return module and name of each used path in a release, with its uses; attributes of objects are cut."""
    modules = index.modules(package, old)
    found: dict[tuple[str, str], list[Use]] = {}
    for path, uses in used.items():
        parts = path.split(".")
        end = next((end for end in range(len(parts), 0, -1) if ".".join(parts[:end]) in modules), 0)
        if end:
            name = parts[end] if end < len(parts) else ""
            found.setdefault((".".join(parts[:end]), name), []).extend(uses)
    return found
