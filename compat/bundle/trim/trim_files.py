"""Choose the installed files that a bundle leaves out, each with a reason.

A file is left out only if a variant of it for the requested Python version or GPU architecture remains, or if
a trim list or an option names it. No file is modified to make it smaller: cubins inside a shared object stay,
since `nvprune` accepts relocatable files only.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from compat.errors import UsageError

_PYTHON = re.compile(r"(?<=\.cpython-)(\d+t?)(?=-[^/]*\.so$)")
"""Matches `312` in `_C.cpython-312-x86_64-linux-gnu.so`."""
_SHARED = re.compile(r"\.so(\.\d+)*$")
_ARCH = re.compile(r"(?<![A-Za-z0-9])sm_?(\d{2,3})[af]?(?![A-Za-z0-9])")
"""Matches `sm90` in `sgl_kernel/sm90/common_ops.abi3.so`, and `sm_100a` in `kernel_sm_100a_x86_64.so`; does
not match `sm9000`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Patterns of files to leave out for one reason."""

    patterns: tuple[str, ...]
    """Globs over paths below site-packages; `*` matches `/` too, and a folder's glob matches its content."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """The files that were left out for one reason."""

    reason: str
    files: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trim:
    """The rules by which one bundle leaves out files."""

    python: str
    """`X.Y`."""
    arch: int | None = None
    """90 for sm_90; None keeps every architecture."""
    drops: tuple[Drop, ...] = ()
    """Entries of a trim list; a pattern may match no file, since lists cover many releases."""
    requested: tuple[str, ...] = ()
    """Patterns of `--drop`; each must match a file."""

    def apply(self, sizes: Mapping[str, int]) -> tuple[Dropped, ...]:
        """Return the files to leave out by reason; a file that two rules match is listed under the first.

        Args:
            sizes: path to bytes.

        Raises:
            UsageError: a pattern of `--drop` matches no file.
        """
        for pattern in self.requested:
            if not any(_matches(path, pattern) for path in sizes):
                raise UsageError(f"--drop {pattern!r}: matches no file of the bundle; correct or remove it")
        gone: set[str] = set()
        found = []
        for reason, choose in self._reasons():
            files = sorted(set(choose(sizes)) - gone)
            gone.update(files)
            if files:
                total = sum(sizes[path] for path in files)
                found.append(Dropped(reason=reason, files=tuple(files), bytes=total))
        return tuple(found)

    def _reasons(self) -> list[tuple[str, Callable[[Iterable[str]], Iterable[str]]]]:
        tag = self.python.replace(".", "")
        rules: list[tuple[str, Callable[[Iterable[str]], Iterable[str]]]] = [
            (
                f"extension modules for other Pythons, beside the one for {self.python}",
                lambda paths: alternatives(paths, _PYTHON, tag),
            )
        ]
        if self.arch is not None:
            arch = str(self.arch)
            reason = f"for other GPU architectures, beside the variant for sm_{arch}"
            rules.append((reason, lambda paths: alternatives(paths, _ARCH, arch)))
        rules += [(drop.reason, _matching(drop.patterns)) for drop in self.drops]
        return [*rules, *((f"--drop {pattern}", _matching((pattern,))) for pattern in self.requested)]


def alternatives(paths: Iterable[str], token: re.Pattern[str], wanted: str) -> list[str]:
    """Return the shared objects that are variants of a remaining one, with another value of `token`.

    Where no variant has the wanted value, all stay: some packages load whatever a glob finds, and only the
    package knows which architecture's file serves another architecture.

    Args:
        paths: all files.
        token: the part of the path in which variants differ; its group is the value.
        wanted: the value of the variant that stays.
    """
    variants: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for path in paths:
        found = token.search(path)
        if found and _SHARED.search(path):
            variants[token.sub("*", path)][path] = found[1]
    return [
        path
        for group in variants.values()
        if wanted in group.values()
        for path, value in group.items()
        if value != wanted
    ]


def parse_arch(text: str) -> int:
    """Return a GPU architecture as a number: 90 for `sm_90`, `sm90`, `sm_90a` or `9.0`.

    Raises:
        ValueError: the text has another form.
    """
    found = re.fullmatch(r"sm_?(\d{2,3})[af]?|(\d{1,2})\.(\d)", text)
    if found is None:
        raise ValueError(f"{text!r} is not a GPU architecture (example: sm_90)")
    return int(found[1] or found[2] + found[3])


def _matching(patterns: Sequence[str]) -> Callable[[Iterable[str]], list[str]]:
    return lambda paths: [path for path in paths if any(_matches(path, pattern) for pattern in patterns)]


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(path, pattern.rstrip("/") + "/*")
