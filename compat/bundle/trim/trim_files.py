"""Which installed files a bundle leaves out, and why.

A file goes for one of these reasons only: a variant of it for the asked Python or GPU architecture is there
instead, or a list or option of the user names it. No file is changed to make it smaller: cubins inside a
shared object stay, for `nvprune` takes relocatable files only.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from compat.errors import UsageError

_PYTHON = re.compile(r"(?<=\.cpython-)(\d+t?)(?=-[^/]*\.so$)")
"""`312` in `_C.cpython-312-x86_64-linux-gnu.so`."""
_SHARED = re.compile(r"\.so(\.\d+)*$")
_ARCH = re.compile(r"(?<![A-Za-z0-9])sm_?(\d{2,3})[af]?(?![A-Za-z0-9])")
"""`sm90` in `sgl_kernel/sm90/common_ops.abi3.so`, `sm_100a` in `kernel_sm_100a_x86_64.so`; not `sm9000`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Files that are left out for one reason."""

    patterns: tuple[str, ...]
    """Globs over paths below the site; `*` crosses folders, and a folder's glob covers what is in it."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What was left out for one reason."""

    reason: str
    files: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trim:
    """The choices of one bundle."""

    python: str
    """`X.Y`."""
    arch: int | None = None
    """90 for sm_90; None keeps every architecture."""
    drops: tuple[Drop, ...] = ()
    """From a list: a pattern may match nothing, since lists cover many releases."""
    asked: tuple[str, ...] = ()
    """Patterns of `--drop`: each must match."""

    def apply(self, sizes: Mapping[str, int]) -> tuple[Dropped, ...]:
        """Return what goes; a file that two reasons fit goes for the first.

        Args:
            sizes: path to bytes.

        Raises:
            UsageError: a pattern of `--drop` matches no file.
        """
        for pattern in self.asked:
            if not any(_matches(path, pattern) for path in sizes):
                raise UsageError(
                    f"--drop {pattern!r} matches no file of the bundle; check it, or leave it out"
                )
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
        return [*rules, *((f"--drop {pattern}", _matching((pattern,))) for pattern in self.asked)]


def alternatives(paths: Iterable[str], token: re.Pattern[str], wanted: str) -> list[str]:
    """Return the shared objects whose path differs from that of the wanted one in the token only.

    Where there is none with the wanted token, all stay: some packages load what they find by a glob, and
    which of several architectures serves another one, only the package knows.

    Args:
        paths: all files.
        token: what tells the alternatives apart; its group is the value.
        wanted: the value of the one that stays.
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
    """Return 90 for `sm_90`, `sm90`, `sm_90a` or `9.0`.

    Raises:
        ValueError: it is none of these.
    """
    found = re.fullmatch(r"sm_?(\d{2,3})[af]?|(\d{1,2})\.(\d)", text)
    if found is None:
        raise ValueError(f"{text!r} is no GPU architecture (write one such as sm_90)")
    return int(found[1] or found[2] + found[3])


def _matching(patterns: Sequence[str]) -> Callable[[Iterable[str]], list[str]]:
    return lambda paths: [path for path in paths if any(_matches(path, pattern) for pattern in patterns)]


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(path, pattern.rstrip("/") + "/*")
