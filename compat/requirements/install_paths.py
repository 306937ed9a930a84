"""Where an installer puts the files of a wheel, and which modules they provide."""

import ast
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

_DATA = re.compile(r"[^/]+\.data/(?:purelib|platlib)/")
_OTHER_DATA = re.compile(r"[^/]+\.(?:data|dist-info)/")
_EXTENSION = re.compile(r"(?P<name>[^/.]+)(?:\.cpython-[^/.]+|\.abi3)?\.so")
_LIBRARY = re.compile(r"\.so(?:\.[\d.]+)?$")
_ADDING = {"sys.path.append", "sys.path.insert", "site.addsitedir"}
_PACKAGE_FOLDER = re.compile(
    r"(?P<path>[\w.]+)\.__path__\[0\]|os\.path\.dirname\((?P<file>[\w.]+)\.__file__\)"
)

NOT_PACKAGES = frozenset({"__pycache__", "bin", "doc", "docs", "etc", "include", "lib", "lib64", "share"})
"""Folders beside the packages of a wheel that are no packages, unless they hold an `__init__.py`."""


def installed_path(path: str) -> str | None:
    """Return the path below site-packages at which `path` of a wheel is installed.

    The result is None for a file that is installed elsewhere, and for one in `*.dist-info`, which no program
    imports.
    """
    inside = _DATA.sub("", path, count=1) if _DATA.match(path) else path
    return None if _OTHER_DATA.match(inside) else inside


def extension_module(path: str) -> str | None:
    """Return the module name of an extension module, without its package, or None for any other file."""
    found = _EXTENSION.fullmatch(path.rpartition("/")[2])
    return found["name"] if found and found["name"].isidentifier() else None


def added_roots(pth: str) -> tuple[str, ...]:
    """Return the folders below site-packages that a `.pth` file of this text adds to the import path.

    A line is a folder, or Python code if it begins with `import`: of code, calls such as
    `sys.path.insert(0, os.path.join(package.__path__[0], "folder"))` are read.
    """
    found: list[str] = []
    for line in filter(None, map(str.strip, pth.splitlines())):
        if line.startswith(("import ", "import\t")):
            found += _roots_of_code(line)
        elif not line.startswith(("#", "/")):
            found.append(line.rstrip("/"))
    return tuple(found)


def _roots_of_code(line: str) -> list[str]:
    """Return the folders that statements join to the path of a package and add to `sys.path`."""
    try:
        tree = ast.parse(line)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    added = (
        argument
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func) in _ADDING
        for argument in call.args[-1:]
    )
    return [folder for each in added if (folder := _joined(each)) is not None]


def _joined(node: ast.expr) -> str | None:
    """Return the folder that `os.path.join(package.__path__[0], "a", …)` means, below site-packages."""
    match node:
        case ast.Call(func=function, args=[first, *rest]) if ast.unparse(function) == "os.path.join":
            parts = [each.value for each in rest if isinstance(each, ast.Constant)]
            package = _PACKAGE_FOLDER.fullmatch(ast.unparse(first))
            if package and len(parts) == len(rest) and all(isinstance(each, str) for each in parts):
                folders = (package["path"] or package["file"]).replace(".", "/")
                return "/".join([folders, *map(str, parts)])
    return None


def importable(paths: Iterable[str], roots: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the top-level modules and packages that a wheel with these `paths` provides, sorted.

    A namespace package such as `nvidia`, which many wheels share, is listed by its top-level name alone.

    Args:
        paths: the paths inside the wheel.
        roots: folders below site-packages that the wheel adds to the import path.
    """
    names = set()
    packages = set()
    placed = list(filter(None, map(installed_path, paths)))
    below = [path[len(root) + 1 :] for root in roots for path in placed if path.startswith(f"{root}/")]
    for path in (*placed, *below):
        parts = PurePosixPath(path).parts
        top = parts[0]
        if len(parts) == 1:
            module = top.removesuffix(".py") if top.endswith(".py") else extension_module(top)
            names.add(module or "")
        elif path.endswith(".py") or _LIBRARY.search(path):
            names.add(top)
            if parts[1:] == ("__init__.py",):
                packages.add(top)
    return tuple(
        sorted(name for name in names if name.isidentifier() and name not in NOT_PACKAGES - packages)
    )
