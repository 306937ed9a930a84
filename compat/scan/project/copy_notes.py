"""Tell which copies of the packages a scanned tree ships, and the release that each is nearest to."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import crc32

from compat._cli.text import counted, listed
from compat.errors import IntegrityError
from compat.index.extract.module_visitor import parsed
from compat.model.package_names import SGLANG, VLLM
from compat.source_outlines.extract import read_outline
from compat.source_outlines.reader import SourceOutlines
from compat.sources.nearest import nearest_in_sample

PACKAGES = (VLLM, SGLANG)
FEWEST = 20
"""The least number of files of a copy: projects have folders of their own that are called like a package."""
SAMPLE = 60
"""The number of its files that are compared: enough to tell one release from the next, in a second."""


def copy_notes(files: Sequence[str]) -> Iterator[str]:
    """Yield one line about each copy of sglang or vllm among the files of a scan."""
    for package in PACKAGES:
        for folder, below in sorted(_copies(files, package).items()):
            if len(below) < FEWEST:
                continue
            try:
                note = _note(folder, below, package)
            except IntegrityError:
                return  # there are no outlines to compare with
            if note is not None:
                yield note


def _copies(files: Sequence[str], package: str) -> dict[str, list[str]]:
    """Return the outermost folders that are called like a package and are one, with the files below each."""
    roots = [path.removesuffix("/__init__.py") for path in files if path.endswith(f"/{package}/__init__.py")]
    roots = [root for root in roots if not any(root.startswith(f"{other}/") for other in roots)]
    python = [path for path in files if path.endswith(".py")]
    return {root: [path for path in python if path.startswith(f"{root}/")] for root in roots}


def _note(folder: str, below: Sequence[str], package: str) -> str | None:
    outlines = SourceOutlines()
    paths = {f"{package}{path.removeprefix(folder)}": path for path in below}
    known = set(outlines.below(package, ""))
    shared = sorted(paths.keys() & known, key=lambda path: crc32(path.encode()))
    if 2 * len(shared) < len(paths):
        return None  # another project: most of its files are in no release
    sample = {}
    for path in shared[:SAMPLE]:
        source = Path(paths[path]).read_bytes()
        sample[path] = read_outline(parsed(source), source)
    version, same = nearest_in_sample(outlines, package, sample)
    new = sorted(path.removesuffix(".py").replace("/", ".") for path in paths.keys() - known)
    adds = f"; {counted(len(new), 'file')} that no release has: {listed(new)}" if new else ""
    parent = os.path.dirname(folder) or "."  # noqa: PTH120 -- as paths are written in scans
    alike = f"{same} of {len(sample)} compared files are the same"
    return (
        f"{folder} is a copy of {package}, nearest to {version} ({alike}){adds}; "
        f"--{package} {parent}/ judges the code against it"
    )
