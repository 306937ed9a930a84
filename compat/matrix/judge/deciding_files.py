"""Find the files that decide the verdict of a cell, by following imports from its entry points.

Only files of this project are followed. Imports inside functions count, and so do strings that name a module
of the package or a Python file beside the module, as code uses them to start other processes.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

_NAME = re.compile(r"compat(\.\w+)+|\w+\.py", flags=re.ASCII)


def deciding_files(code: Path, tests: Path | None) -> list[Path]:
    """Return the files that decide the verdict of a cell.

    Args:
        code: the folder of the package `compat`.
        tests: the folder of the GPU tests; None for the level `import`.
    """
    # A cell starts the rehearsal by its name, in a process of the environment.
    entries = [code / "matrix" / "cell.py", code / "quant" / "backends" / "rehearsal.py"]
    roots: list[Path] = []
    others: list[Path] = []
    if tests is not None:
        root = tests.parent.parent
        roots = [tests, tests.parent / "unit", root / "tools", root]
        entries += [*tests.rglob("*.py"), *(folder / "conftest.py" for folder in (tests.parent, root))]
        entries += (code / "quant").rglob("*.py")
        others = [root / "pyproject.toml"]
    found = _reachable([path for path in entries if path.is_file()], code, roots)
    return sorted({*found, *(path for path in others if path.is_file())})


def files_digest(files: Iterable[Path], roots: Iterable[Path]) -> str:
    """Return the digest of the paths and contents of some files.

    Args:
        files: the files.
        roots: folders that the paths are relative to; the first one that contains a file counts.
    """
    digest = hashlib.sha256()
    roots = tuple(roots)
    named = [
        (next((path.relative_to(root) for root in roots if path.is_relative_to(root)), path), path)
        for path in files
    ]
    for name, path in sorted(named):  # by relative path, so that all machines agree
        content = path.read_bytes()
        digest.update(f"{name.as_posix()} {len(content)}\n".encode(errors="surrogateescape") + content)
    return digest.hexdigest()


def _reachable(entries: Iterable[Path], code: Path, roots: Sequence[Path]) -> set[Path]:
    found: set[Path] = set()
    waiting = list(entries)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _named(path, code, roots)
    return found


def _named(path: Path, code: Path, roots: Sequence[Path]) -> Iterator[Path]:
    """Yield the files of this project that a module imports or names, and the packages that contain it."""
    for folder in path.parents:
        if not (folder / "__init__.py").is_file():
            break
        yield folder / "__init__.py"
    for level, name in _names(path.read_bytes()):
        if name.endswith(".py"):
            yield from _existing(path.with_name(name))
        elif level:
            yield from _module(path.parents[level - 1], name)
        else:
            # What is installed beside the package, in site-packages, is not of this project.
            for root in [code.parent] if name.partition(".")[0] == code.name else roots:
                yield from _module(root, name)


def _module(root: Path, name: str) -> Iterator[Path]:
    """Yield the files of a module below a folder, with the packages that contain it."""
    folder = root
    for part in filter(None, name.split(".")):
        yield from _existing(folder / f"{part}.py")
        folder /= part
        yield from _existing(folder / "__init__.py")


def _existing(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path


@lru_cache(maxsize=2048)
def _names(source: bytes) -> tuple[tuple[int, str], ...]:
    """Return what a module imports or names, each with the level of a relative import."""
    found: set[tuple[int, str]] = set()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # it decides the verdict all the same, and imports nothing
        return ()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(0, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {(node.level, f"{module}.{alias.name}") for alias in node.names}
            found.add((node.level, module))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAME.fullmatch(node.value):
            found.add((0, node.value))
    return tuple(sorted(found))
