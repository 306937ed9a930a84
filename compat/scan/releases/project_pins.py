"""Read from a project's files which releases of the packages it requires; `setup.py` is never executed."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from compat.scan.releases.dockerfile_pins import image_pins
from compat.scan.releases.poetry_specifiers import poetry_specifiers
from compat.scan.sources.discovery import read

_PACKAGES = ("vllm", "sglang")
_OF_UV = ("constraint", "override", "dev")
_LONG = ('"""', "'''")
"""The start of a multi-line string, in which a line with `#` is not a comment."""
_FILES = ("pyproject.toml", "setup.cfg", "setup.py")
_LISTS = ("requirements", "constraints")
"""How the names of files begin that list requirements."""
_REQUIREMENT = re.compile(
    r"(?<![\w./-])(vllm|sglang) ?(?:\[[\w,. -]*\])? ?\(?((?:(?:[<>=!~]=?|===) ?[\w.*+!]+ ?,? ?)+)",
    re.IGNORECASE,
)
"""For text with single spaces, as are the patterns below: long runs of spaces would take quadratic time."""
_WHEEL = re.compile(
    r"(?<![\w.-])(vllm|sglang) ?(?:\[[\w,]*\])? ?@ ?\S{0,500}?/(?:vllm|sglang)-(\d[\w.]*)[-+]"
)
"""A requirement that is the URL of a wheel."""
_GIT = re.compile(r"git\+\S{0,500}/(vllm|sglang)(?:\.git)?/?@v?(\d+\.\d[\w.]*)(?![\w.+-])")
"""A requirement that is a tag of the package's own repository."""
_INCLUDE = re.compile(r"^[ \t]*(?:-r|--requirement|-c|--constraint)[ =]?[ \t]{0,9}([^\s#]+)", re.MULTILINE)
_MOST_FILES = 50
_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")
_LOCKED = re.compile(r"^name = \"(vllm|sglang)\"\r?\nversion = \"(\d[\w.]*)", re.MULTILINE)
_CONDA = re.compile(
    r"^[ \t]*-[ \t]{1,9}[\"']?(vllm|sglang) ?=(\d[\w.]*)(?:=[\w.*]+)?[\"']?[ \t]*$", re.MULTILINE
)
"""A dependency of conda, whose `=` means that release, or any with these first parts."""
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


def pinned_specifiers(root: str, refused: list[str] | None = None) -> dict[str, dict[str, str]]:
    """Return, per package, the specifiers in a project's files, each with the name of its file.

    Args:
        root: the folder of the project.
        refused: receives a line for each file that cannot be read.
    """
    found: dict[str, dict[str, str]] = {}
    waiting = list(_files(root))
    known = set(waiting)
    for name in waiting:  # it grows by the files that others include
        try:
            text = read(f"{root}/{name}").decode("utf-8", "replace")
            strings = list(_strings(name, text)) if _named(text) else []
            for other in _included(name, text) if _lists_requirements(name) else ():
                if other not in known and len(known) < _MOST_FILES:
                    known.add(other)
                    waiting.append(other)
        except OSError as error:
            reason = error.strerror or str(error)
        except RecursionError:
            reason = "nested too deeply to be read"
        else:
            for package, specifier in (each for string in strings for each in requirements_in(string)):
                if any(operator in specifier for operator in (">", "<", "==", "~")):
                    found.setdefault(package, {}).setdefault(specifier, name)
            continue
        if refused is not None:
            refused.append(f"{name}: {reason}")
    return found


def locked_versions(root: str) -> dict[str, dict[str, str]]:
    """Return the versions in the lock files of a project, in the form of `pinned_specifiers`."""
    found: dict[str, dict[str, str]] = {}
    for name in (name for name in _LOCKS if os.path.exists(f"{root}/{name}")):  # noqa: PTH110
        try:
            text = read(f"{root}/{name}").decode("utf-8", "replace")
        except OSError:
            continue  # larger than any file that is read
        for match in _LOCKED.finditer(text):
            found.setdefault(match[1], {}).setdefault(f"=={match[2]}", name)
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


def _files(root: str) -> Iterator[str]:
    """Yield the files of a project that may pin releases, relative to its folder."""
    listed = _listed(root)
    yield from (name for name in _FILES if name in listed)
    yield from (name for name in listed if name.startswith(_LISTS) and _lists_requirements(name))
    yield from filter(_is_conda, listed)
    yield from filter(_builds_image, listed)
    for folder, wanted in (("requirements", _lists_requirements), ("docker", _builds_image)):
        if folder in listed:
            yield from (f"{folder}/{name}" for name in filter(wanted, _listed(f"{root}/{folder}")))


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return []


def _included(name: str, text: str) -> Iterator[str]:
    """Yield the files inside the project that a list of requirements includes, relative to it."""
    folder = os.path.dirname(name)  # noqa: PTH120
    for match in _INCLUDE.finditer(text):
        other = os.path.normpath(os.path.join(folder, match[1])).replace(os.sep, "/")  # noqa: PTH118
        if not other.startswith("../") and not os.path.isabs(other) and _lists_requirements(other):  # noqa: PTH117
            yield other


def _is_conda(name: str) -> bool:
    """Return whether a file describes an environment of conda, under one of its usual names."""
    return name.endswith((".yml", ".yaml")) and name.startswith(("environment", "conda"))


def _lists_requirements(name: str) -> bool:
    return name.endswith((".txt", ".in"))


def _builds_image(name: str) -> bool:
    """Return whether a file is a Dockerfile, under one of its usual names."""
    plain = name.lower().rpartition("/")[2]
    return plain.split(".")[0] in ("dockerfile", "containerfile") or plain.endswith(".dockerfile")


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
        except (SyntaxError, ValueError):
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 300:
                yield node.value
    elif name == "pyproject.toml":
        yield from _toml(text)
    elif _builds_image(name):
        yield from image_pins(text)
    elif _is_conda(name):
        for match in _CONDA.finditer(text):
            exact = match[2].count(".") > 1
            yield f"{match[1]}=={match[2]}{'' if exact else '.*'}"
        yield from (line.partition("#")[0] for line in text.splitlines())
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
        *(_table(document, "tool", "uv").get(f"{kind}-dependencies", []) for kind in _OF_UV),
        _table(document, "tool", "pdm").get("dev-dependencies", {}),
    ]
    for table in tables:
        yield from _leaves(table)
    tool = document.get("tool", {})
    poetry = _table(tool, "poetry")
    groups = [_table(group, "dependencies") for group in _table(poetry, "group").values()]
    wanted_by_poetry = [
        (name, wanted)
        for table in (_table(poetry, "dependencies"), _table(poetry, "dev-dependencies"), *groups)
        for name, wanted in table.items()
    ]
    for name, wanted in wanted_by_poetry:
        for each in wanted if isinstance(wanted, list) else [wanted]:
            version = each.get("version") if isinstance(each, dict) else each
            if name in _PACKAGES and isinstance(version, str):
                yield from (f"{name}{specifier}" for specifier in poetry_specifiers(version))
    for name, source in (*wanted_by_poetry, *_table(tool, "uv", "sources").items()):
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


def requirements_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield the package and the specifier of each requirement of the packages in a text."""
    text = " ".join(text.split())
    for match in _REQUIREMENT.finditer(text.partition(";")[0]):
        yield match[1].lower(), re.sub(r"\s|\+[\w.]+", "", match[2]).rstrip(",")
    for pattern in (_WHEEL, _GIT):
        for match in pattern.finditer(text):
            yield match[1], f"=={match[2]}"
