"""A tiny index of vllm with outlines, and git repositories of what its releases were built from."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from compat.index.build.merge_releases import MergedRelease, merge, read_release
from compat.index.build.parse_pool import ModuleReader
from compat.index.build.precompute import conclude
from compat.index.history.release_diff import SuccessorFinder
from compat.index.writer import write_index
from compat.source_outlines.format import NAME
from compat.source_outlines.writer import PackageOutlines, write_outlines
from sources import Files, release

ENGINE = "def start(model, port=8000):\n    return model, port\n\n\ndef stop(now):\n    return now\n"
OLD: Files = {
    "vllm/__init__.py": "from vllm.engine import start\n",
    "vllm/engine.py": ENGINE,
    "vllm/_version.py": "__version__ = version = '1.0'\n",
    "vllm/_C.abi3.so": "",
}
NEW: Files = {
    **OLD,
    "vllm/engine.py": f"{ENGINE}\n\nclass Engine:\n    def run(self, prompt):\n        return prompt\n",
    "vllm/_version.py": "__version__ = version = '1.1'\n",
    "vllm/flash/interface.py": "def attention(q, k, v):\n    return q\n",
}
IGNORED = "/vllm/_version.py\n*.so\nvllm/flash/*\n"
"""What a build makes, as the repository says."""


def write_small_index(folder: Path, releases: Mapping[str, Files]) -> Path:
    """Write an index of some releases of vllm, with its outlines beside it, and return its path."""
    outlines = PackageOutlines("vllm")

    def read() -> Iterator[MergedRelease]:
        for version, files in releases.items():
            yield read_release(release(version, files, ["torch"]), "vllm", ModuleReader(), outlines.add)

    path = folder / "index.sqlite"
    write_index(path, [merge("vllm", "vllm", read(), SuccessorFinder())], conclude)
    write_outlines(folder / NAME, [outlines])
    return path


def git(folder: Path, *arguments: str) -> str:
    """Run git in a repository, without the configuration of the user."""
    names = ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL")
    variables = {"PATH": "/usr/bin:/bin:/usr/local/bin:/opt/homebrew/bin", "HOME": str(folder)}
    variables |= {f"GIT_{name}": "a@example.com" for name in names} | {"GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env=variables, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder: Path, files: Files, message: str = "change") -> str:
    """Make these files the whole of a repository, commit them, and return the commit."""
    if not (folder / ".git").exists():
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "-q")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and ".git" not in path.parts:
            path.unlink()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message, "--allow-empty")
    return git(folder, "rev-parse", "HEAD")


def source_of(files: Files, **more: str) -> dict[str, str]:
    """Return the files of a repository: those of a release without what a build makes."""
    made = ("_version.py", "_C.abi3.so", "flash/interface.py")
    kept = {path: text for path, text in files.items() if not path.endswith(made)}
    return {**kept, ".gitignore": IGNORED, **more}
