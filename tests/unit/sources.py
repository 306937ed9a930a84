"""Tiny packages for the index: their sources as text, read by the real visitor into a real index file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent

from compat.index.build.merge_releases import ReleaseSources, assemble
from compat.index.build.parse_pool import ModuleReader
from compat.index.history.release_diff import SuccessorFinder
from compat.index.query.answers import Facts
from compat.index.query.name_resolution import NameResolver
from compat.index.reader import Index
from compat.index.writer import PackageContent, write_index
from compat.model.releases import ReleaseMetadata

Files = Mapping[str, str]
"""Path below site-packages to source; a path that ends in `.so` is a compiled module."""


def release(version: str, files: Files, requires: Sequence[str] = ()) -> ReleaseSources:
    """Return one release with these files."""
    row = ReleaseMetadata(
        version=version,
        wheel=f"pkg-{version}-py3-none-any.whl",
        sha256="0" * 64,
        uploaded=None,
        requires_python=None,
        requires_dist=tuple(requires),
    )
    sources = {path: dedent(text).encode() for path, text in files.items() if path.endswith(".py")}
    return ReleaseSources(
        row=row, sources=sources, extensions=tuple(path for path in files if path.endswith(".so"))
    )


def content(
    package: str, import_name: str, *releases: ReleaseSources, finder: SuccessorFinder | None = None
) -> PackageContent:
    """Return the rows of a package with these releases."""
    return assemble(package, import_name, releases, ModuleReader(), finder)


def index(path: Path, *contents: PackageContent) -> Index:
    """Write an index file and open it."""
    write_index(path, contents)
    return Index(path)


def resolver(path: Path, sglang: Files, vllm: Files | None = None, **facts: object) -> NameResolver:
    """Return the world of one sglang release and, when given, one vllm release.

    Without vllm the package is known to be absent.
    """
    contents = [content("sglang", "sglang", release("1.0", sglang))]
    release_indexes = {"sglang": 0}
    contents.append(content("vllm", "vllm", release("1.0", vllm or {"vllm/__init__.py": ""})))
    absent = frozenset({"vllm"})
    if vllm is not None:
        release_indexes["vllm"], absent = 0, frozenset()
    environment = Facts(release_indexes=release_indexes, absent=absent, **facts)  # type: ignore[arg-type]
    return NameResolver(index(path, *contents), environment)
