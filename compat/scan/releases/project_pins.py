"""Read from a project's files which releases of the packages it requires; `setup.py` is never executed."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from compat.scan.sources.discovery import read

_PACKAGES = ("vllm", "sglang")
_LONG = ('"""', "'''")
"""The start of a multi-line string, in which a line with `#` is not a comment."""
_FILES = ("pyproject.toml", "setup.cfg", "setup.py")
_REQUIREMENT = re.compile(
    r"(?<![\w./-])(vllm|sglang)\s*(?:\[[\w,.\s-]*\])?\s*\(?((?:(?:[<>=!~]=?|===)\s*[\w.*+!]+\s*,?\s*)+)",
    re.IGNORECASE,
)
_WHEEL = re.compile(r"(?<![\w.-])(vllm|sglang)\s*(?:\[[\w,]*\])?\s*@\s*\S*?/(?:vllm|sglang)-(\d[\w.]*)[-+]")
"""A requirement that is the URL of a wheel."""
_GIT = re.compile(r"git\+\S*/(vllm|sglang)(?:\.git)?/?@v?(\d+\.\d[\w.]*)(?![\w.+-])")
"""A requirement that is a tag of the package's own repository."""
_TAG = re.compile(r"v?(\d+\.\d[\w.]*)")


def project_root(path: str) -> str | None:
    """Return the folder of the project that contains a path, or None if there is no project file."""
    folder = os.path.abspath(path)  # noqa: PTH100 -- pathlib costs more than all of this
    if os.path.isfile(folder):  # noqa: PTH113
        folder = os.path.dirname(folder)  # noqa: PTH120
    while True:
        if any(os.path.exists(f"{folder}/{name}") for name in (*_FILES, ".git")):  # noqa: PTH110
            return folder
        parent = os.path.dirname(folder)  # noqa: PTH120
        if parent == folder:
            return None
        folder = parent


def pinned_specifiers(root: str) -> dict[str, dict[str, str]]:
    """Return, per package, the specifiers in a project's files, each with the name of its file."""
    found: dict[str, dict[str, str]] = {}
    for name, text in _texts(root):
        for package, specifier in _requirements(text):
            if any(operator in specifier for operator in (">", "<", "==", "~")):
                found.setdefault(package, {}).setdefault(specifier, name)
    return found


def nested_pins(root: str, paths: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the same for the projects inside a project that contain some of its files."""
    found: dict[str, dict[str, str]] = {}
    folders = {os.path.abspath(os.path.dirname(path)) for path in paths}  # noqa: PTH100, PTH120
    for folder in sorted({inner for each in folders if (inner := _innermost(each, root))}):
        for package, specifiers in pinned_specifiers(folder).items():
            for specifier, name in specifiers.items():
                found.setdefault(package, {}).setdefault(specifier, f"{os.path.relpath(folder, root)}/{name}")
    return found


def _innermost(folder: str, root: str) -> str | None:
    """Return the innermost folder, from a folder up to the root, that has a project file."""
    while folder.startswith(f"{root}{os.sep}"):
        if any(os.path.exists(f"{folder}/{name}") for name in _FILES):  # noqa: PTH110
            return folder
        folder = os.path.dirname(folder)  # noqa: PTH120
    return None


def _texts(root: str) -> Iterator[tuple[str, str]]:
    try:
        listed = sorted(os.listdir(root))  # noqa: PTH208
    except OSError:
        return
    named = [name for name in listed if name.startswith("requirements") and name.endswith((".txt", ".in"))]
    for name in (*_FILES, *named):
        if name not in listed:
            continue
        try:
            text = read(f"{root}/{name}").decode("utf-8", "replace")
        except OSError:
            continue
        if not _named(text):
            continue
        yield from ((name, each) for each in _strings(name, text))
    if "requirements" in listed and os.path.isdir(f"{root}/requirements"):  # noqa: PTH112
        for name in sorted(os.listdir(f"{root}/requirements")):  # noqa: PTH208
            if name.endswith((".txt", ".in")):
                try:
                    text = read(f"{root}/requirements/{name}").decode("utf-8", "replace")
                except OSError:
                    continue
                yield from ((f"requirements/{name}", each) for each in _strings(name, text))


def _named(text: str) -> bool:
    """Return whether a file contains a package's name outside comments; others need not be parsed."""
    if not any(package in text for package in _PACKAGES):
        return False
    if any(quotes in text for quotes in _LONG):
        return True
    return any(
        package in line
        for line in text.splitlines()
        if not line.lstrip().startswith("#")
        for package in _PACKAGES
    )


def _strings(name: str, text: str) -> Iterator[str]:
    """Yield the strings of a file that may be requirements."""
    if name == "setup.py":
        import ast

        from compat.scan.sources.parse import tree_of

        try:
            tree = tree_of(text.encode())
        except (SyntaxError, ValueError, RecursionError):
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 300:
                yield node.value
    elif name == "pyproject.toml":
        yield from _toml(text)
    else:
        yield from (line.partition("#")[0] for line in text.splitlines())


def _toml(text: str) -> Iterator[str]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    project = document.get("project", {})
    tables = [
        project.get("dependencies", []) if isinstance(project, dict) else [],
        project.get("optional-dependencies", {}) if isinstance(project, dict) else {},
        document.get("dependency-groups", {}),
    ]
    for table in tables:
        yield from _leaves(table)
    tool = document.get("tool", {})
    wanted_by_poetry = _table(tool, "poetry", "dependencies")
    for name, wanted in wanted_by_poetry.items():
        version = wanted.get("version") if isinstance(wanted, dict) else wanted
        if name in _PACKAGES and isinstance(version, str):
            yield f"{name}{version if version[:1] in '<>=!~' else f'=={version}'}"
    for name, source in (*wanted_by_poetry.items(), *_table(tool, "uv", "sources").items()):
        for each in source if isinstance(source, list) else [source]:
            tag = (each.get("tag") or each.get("rev")) if isinstance(each, dict) and "git" in each else None
            found = _TAG.fullmatch(tag) if isinstance(tag, str) else None
            if name in _PACKAGES and found:
                yield f"{name}=={found[1]}"


def _table(value: Any, *keys: str) -> dict[str, Any]:
    """Return a nested table, or an empty one if it does not exist or is not a table."""
    for key in keys:
        value = value.get(key, {}) if isinstance(value, dict) else {}
    return value if isinstance(value, dict) else {}


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)


def _requirements(text: str) -> Iterator[tuple[str, str]]:
    for match in _REQUIREMENT.finditer(text.partition(";")[0]):
        yield match[1].lower(), re.sub(r"\s|\+[\w.]+", "", match[2]).rstrip(",")
    for pattern in (_WHEEL, _GIT):
        for match in pattern.finditer(text):
            yield match[1], f"=={match[2]}"
