"""The modules of the scanned tree: what they are called, and where a name of theirs is."""

import ast
import os


def absolute(statement: ast.ImportFrom, module: str) -> str:
    """Return the module that a `from` import names, in full; empty when that cannot be told.

    Args:
        statement: the import.
        module: the module that it stands in; for the file of a package it ends with `.__init__`.
    """
    if not statement.level:
        return statement.module or ""
    parts = module.split(".")
    if not module or statement.level > len(parts):
        return ""
    base = parts[: len(parts) - statement.level]
    return ".".join([*base, *([statement.module] if statement.module else [])])


def module_name(path: str) -> str:
    """Return the dotted name of a file by the packages it lies in; `.__init__` is kept."""
    folder, name = os.path.split(path)
    parts = [name.partition(".")[0]]
    while folder and os.path.exists(f"{folder}/__init__.py"):  # noqa: PTH110 -- called for many files
        folder, last = os.path.split(folder)
        parts.append(last)
    return ".".join(reversed(parts))
