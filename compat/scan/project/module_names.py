"""Compute the dotted names of modules of the scanned tree."""

import ast
import os


def absolute(statement: ast.ImportFrom, module: str) -> str:
    """Return the absolute name of the module in a `from` import; empty if it cannot be determined.

    Args:
        statement: the import.
        module: the module that contains it; for the file of a package it ends with `.__init__`.
    """
    if not statement.level:
        return statement.module or ""
    parts = module.split(".")
    if not module or statement.level > len(parts):
        return ""
    base = parts[: len(parts) - statement.level]
    return ".".join([*base, *([statement.module] if statement.module else [])])


def module_name(path: str) -> str:
    """Return the dotted module name of a file, from the packages around it; `.__init__` is kept."""
    folder, name = os.path.split(path)
    parts = [name.partition(".")[0]]
    while folder and os.path.exists(f"{folder}/__init__.py"):  # noqa: PTH110 -- called for many files
        folder, last = os.path.split(folder)
        parts.append(last)
    return ".".join(reversed(parts))
