"""Tell which modules a build would add to a source, by what the source says about its build."""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from compat.index.records import ModuleRow
from compat.sources.stores.file_stores import FileStore
from compat.sources.stores.package_roots import PackageRoot

_WRITTEN = re.compile(r"^\s*(?:version_file|write_to|version-file)\s*=\s*['\"]([^'\"]+)['\"]", re.MULTILINE)


def generated_modules(
    store: FileStore, root: PackageRoot, modules: Mapping[str, ModuleRow], held: Iterable[str]
) -> list[str]:
    """Return the modules of a release that a source lacks because only a build makes them.

    These are compiled modules, files that git ignores in the source, the file of the version, and what is
    made from a `.proto`.

    Args:
        store: the files of the source.
        root: the place of the package in it.
        modules: the modules of the nearest release.
        held: the modules of the source.
    """
    there = set(held)
    if store.built:
        return []
    ignored = _Ignored(store, root)
    protos = {path.removesuffix(".proto") for path in store.files(root.folder) if path.endswith(".proto")}
    found: set[str] = set()
    for module, row in sorted(modules.items()):
        if module in there:
            continue
        below = module.partition(".")[2].replace(".", "/")
        path = f"{below}/__init__.py" if row.form == "package" else f"{below}.py"
        if (
            row.form == "extension"
            or below == "_version"
            or module.rpartition(".")[0] in found
            or re.sub(r"_pb2(?:_grpc)?$", "", below) in protos
            or ignored(path)
        ):
            found.add(module)
    return sorted(found)


class _Ignored:
    """The patterns of `.gitignore`, and the files into which a build writes the version."""

    def __init__(self, store: FileStore, root: PackageRoot) -> None:
        self._folder = root.folder
        texts = {place: store.text(f"{place}.gitignore") for place in dict.fromkeys(("", root.project))}
        self._patterns = [
            (place, line.strip())
            for place, text in texts.items()
            for line in (text or "").splitlines()
            if line.strip() and line[0] not in "#!"
        ]
        project = store.text(f"{root.project}pyproject.toml") or ""
        self._written = {f"{root.project}{path}" for path in _WRITTEN.findall(project)}

    def __call__(self, path: str) -> bool:
        """Return whether a file of the package is ignored or written by the build."""
        whole = f"{self._folder}/{path}"
        if whole in self._written:
            return True
        return any(_matches(pattern, whole.removeprefix(place)) for place, pattern in self._patterns)


def _matches(pattern: str, path: str) -> bool:
    """Return whether a pattern of `.gitignore` matches a file or a folder that contains it."""
    anchored = "/" in pattern.rstrip("/")
    folder = pattern.endswith("/")
    pattern = pattern.strip("/").replace("**/", "*/") if anchored else pattern.rstrip("/")
    parts = path.split("/")
    if not anchored:
        return any(fnmatchcase(part, pattern) for part in (parts[:-1] if folder else parts))
    ends = range(1, len(parts) + (0 if folder else 1))
    return any(fnmatchcase("/".join(parts[:end]), pattern) for end in ends)
