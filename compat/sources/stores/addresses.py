"""What a user writes where a release is taken: a folder, `git+file:PATH@REF`, a wheel or `env:PATH`."""

from __future__ import annotations

from compat._util.named_tuple import NamedTuple

GIT = "git+file:"
ENVIRONMENT = "env:"
FORMS = "a folder (./vllm), git+file:PATH@REF, a wheel file or env:PATH"


class Address(NamedTuple):
    """Where a source is."""

    form: str
    """`folder`, `git`, `wheel` or `environment`."""
    path: str
    ref: str = ""
    """A commit, a tag, a branch, or a range `A..B` of commits; only for `git`."""


def is_source(text: str) -> bool:
    """Return whether a text names a source rather than releases: no version has a slash in it."""
    text = text.strip()
    return (
        text.startswith((GIT, ENVIRONMENT))
        or text.endswith(".whl")
        or "/" in text
        or text in (".", "..", "~")
    )


def parse_address(text: str) -> Address:
    """Return what a text that names a source stands for."""
    text = text.strip()
    if text.startswith(GIT):
        path, mark, ref = text.removeprefix(GIT).rpartition("@")
        return Address("git", path, ref) if mark else Address("git", ref, "HEAD")
    if text.startswith(ENVIRONMENT):
        return Address("environment", text.removeprefix(ENVIRONMENT))
    return Address("wheel" if text.endswith(".whl") else "folder", text)
