"""Write distributions into a folder as an installer does, and run child processes that import them."""

import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]


def distribution(
    site: Path,
    name: str,
    version: str,
    files: Mapping[str, str] | None = None,
    *,
    requires: Sequence[str] = (),
    listed: bool = True,
) -> None:
    """Write an installed distribution; with `listed=False`, as an editable one."""
    files = files or {}
    for path, source in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(dedent(source))
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {line}" for line in requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    rows = "".join(f"{path},{_digest(site / path)},\n" for path in files) if listed else "x.pth,,\n"
    (info / "RECORD").write_text(rows)


def _digest(path: Path) -> str:
    content = hashlib.sha256(path.read_bytes()).digest()
    return f"sha256={base64.urlsafe_b64encode(content).rstrip(b'=').decode()}"


def run(folder: Path, *arguments: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
    """Run this Python in a child process with this project and `folder`/site on its import path."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(ROOT)]),
        "COMPAT_CACHE_DIR": str(folder / "cache"),
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
