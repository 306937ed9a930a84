"""Tell by its name what a file other than Python is, and by its bytes whether it is worth reading."""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Literal

Kind = Literal["shell", "dockerfile", "yaml", "markdown", "make", "env"]

HIDDEN = frozenset({".github", ".gitlab", ".circleci", ".buildkite", ".devcontainer", ".azure-pipelines"})
"""Hidden folders with configuration for CI, which are read, too."""
LARGEST = 1_000_000
"""Size in bytes of the largest file that is read: people write no larger scripts."""
_SUFFIXES: dict[str, Kind] = {
    "sh": "shell",
    "bash": "shell",
    "zsh": "shell",
    "slurm": "shell",
    "sbatch": "shell",
    "yaml": "yaml",
    "yml": "yaml",
    "md": "markdown",
    "mdx": "markdown",
    "markdown": "markdown",
    "mk": "make",
    "env": "env",
    "dockerfile": "dockerfile",
}
_STEMS: dict[str, Kind] = {
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
    "makefile": "make",
    "gnumakefile": "make",
    "": "env",
}
"""The part before the first dot, in lower case; `.env.example` has none."""
_PACKAGES = (b"vllm", b"sglang")
_PREFIXES = (b"VLLM_", b"SGLANG_", b"SGL_")
_PROGRAM = re.compile(
    rb"\b(?:vllm|sglang)\b[\"',\s]+(?:serve|bench|run-batch|generate)\b|-m[\"',\s]+(?:vllm|sglang)\."
)


def kind_of(path: str) -> Kind | None:
    """Return the kind of a file that is not Python, or None if it is not read."""
    name = path.rpartition("/")[2].lower()
    stem, dot, rest = name.partition(".")
    if stem in _STEMS and (stem or rest.split(".")[0] == "env"):
        return _STEMS[stem]
    return _SUFFIXES.get(name.rpartition(".")[2]) if dot else None


def worth_reading(data: bytes) -> bool:
    """Return whether a file other than Python is text that names a package or one of its variables."""
    return len(data) <= LARGEST and any(each in data for each in _PACKAGES + _PREFIXES) and b"\0" not in data


def python_worth_reading(data: bytes) -> bool:
    """Return whether a Python file names a variable of a package, or calls one of its programs."""
    if any(each in data for each in _PREFIXES):
        return True
    return any(each in data for each in _PACKAGES) and _PROGRAM.search(data) is not None


def texts_worth_reading(paths: Iterable[str], read: Callable[[str], bytes]) -> list[str]:
    """Return the files among some other than Python that name a package; those that cannot be read do not.

    Args:
        paths: the files.
        read: reads a file.
    """
    found = []
    for path in paths:
        with suppress(OSError):
            if worth_reading(read(path)):
                found.append(path)
    return found
