"""Evaluate `compat scan --fix`: fix real files for an installed pair and execute their imports there.

    python bench/scan_fix.py --env PYTHON --sample 20 --seed 1 FOLDER…

The script draws (seeded) files with a fixable finding for the releases of that environment and fixes them in
copies of their trees. It counts the changed files, the new imports, and the imports outside any guard, before
and after.
"""

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scan_truth import VERSIONS, of_the_packages, ran

from compat.scan.check.file_checker import AXES
from compat.scan.sources.source_file import parse
from compat.scan.syntax.positions import TryNode
from compat.scan.syntax.references import Reference, references

Target = tuple[str, str, tuple[str, ...]]


def main() -> int:
    """Draw, fix, execute, count."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", nargs="+", help="source trees")
    parser.add_argument("--env", required=True, help="Python of an installed pair")
    parser.add_argument("--sample", type=int, default=20, help="files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    versions = json.loads(subprocess.check_output([arguments.env, "-c", VERSIONS], text=True))
    options = [part for package, version in versions.items() for part in (f"--{package}", version)]
    pool = sorted((folder, path) for folder in arguments.folder for path in _fixable(folder, options))
    draw = random.Random(arguments.seed)  # noqa: S311 -- a draw that can be repeated
    drawn = draw.sample(pool, min(arguments.sample, len(pool)))
    with tempfile.TemporaryDirectory(dir=Path(arguments.folder[0]).parent) as copies:
        pairs = [(path, _fixed(copies, folder, path, options)) for folder, path in drawn]
        _count(arguments.env, versions, pairs, len(pool))
    return 0


def _scan(*arguments: str) -> str:
    command = [sys.executable, "-m", "compat.scan", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _fixable(folder: str, options: Sequence[str]) -> set[str]:
    """Return the files of a tree with a fixable finding."""
    found = json.loads(_scan(folder, *options, "--format", "json"))["findings"]
    return {each["path"] for each in found if each["fixable"]}


def _fixed(copies: str, folder: str, path: str, options: Sequence[str]) -> str:
    """Return the fixed copy of a file, in a copy of its tree."""
    copy = Path(copies) / Path(folder).name
    if not copy.exists():
        shutil.copytree(folder, copy, copy_function=os.link, symlinks=True)  # a fix replaces whole files
    fixed = str(copy / Path(path).relative_to(folder))
    _scan(fixed, *options, "--fix")
    return fixed


def _imports(path: str) -> tuple[set[Target], set[Target]]:
    """Return the imports of the packages in a file: those outside any guard, and all."""
    found = [each for each in references(parse(path, Path(path).read_bytes())) if each.top in AXES]
    imports = [each for each in found if each.form in ("import", "from", "star")]
    return {_target(each) for each in imports if not _guarded(each)}, {_target(each) for each in imports}


def _target(reference: Reference) -> Target:
    return reference.module, reference.parts[-1] if reference.form == "from" else "", ()


def _guarded(reference: Reference) -> bool:
    return any(isinstance(each.owner, (ast.If, *TryNode)) for each in reference.position.outwards())


def _count(python: str, versions: dict[str, str], pairs: Sequence[tuple[str, str]], count: int) -> None:
    before = [_imports(path) for path, _ in pairs]
    after = [_imports(path) for _, path in pairs]
    targets = sorted({target for plain, every in (*before, *after) for target in (*plain, *every)})
    works = dict(zip(targets, ran("scan_truth_runner.py", python, targets), strict=True))
    failing = {target for target in targets if not works[target].startswith("ok")}
    lacking = {target for target in failing if not of_the_packages(works[target])}
    changed = sum(Path(path).read_bytes() != Path(fixed).read_bytes() for path, fixed in pairs)
    written = [(old, new) for (_, old), (_, new) in zip(before, after, strict=True)]
    new = [target for old, now in written for target in now - old]
    print(f"\n{versions}: {changed} of {len(pairs)} files changed (of {count} in which something can be)")
    print(f"imports written: {_working(new, works, lacking)}")
    for what, found in (("before", before), ("after", after)):
        plain = [target for each, _ in found for target in each]
        whole = sum(not each & failing - lacking for each, _ in found)
        print(f"{what}: outside of guards {_working(plain, works, lacking)}; files with all of them: {whole}")
    for path, fixed in pairs:
        if Path(path).read_bytes() == Path(fixed).read_bytes():
            print(f"  unchanged: {path}")
    for target in new:
        if target in failing:
            print(f"  written and fails: {target}: {works[target]}")


def _working(targets: Sequence[Target], works: dict[Target, str], lacking: set[Target]) -> str:
    judged = [target for target in targets if target not in lacking]
    fine = sum(works[target].startswith("ok") for target in judged)
    return f"{fine} of {len(judged)} work, {len(targets) - len(judged)} need what this machine lacks"


if __name__ == "__main__":
    sys.exit(main())
