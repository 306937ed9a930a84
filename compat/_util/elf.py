"""Reading shared libraries: what they need, leave undefined and define. Nothing is loaded."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compat.errors import IntegrityError


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The dynamic section of a shared library."""

    path: Path
    needed: tuple[str, ...]
    """The libraries that it is linked against, by soname."""
    search: tuple[Path, ...]
    """Where it looks for them first."""
    undefined: tuple[str, ...]
    """Mangled symbols that others must define; weak ones are left out."""


def linked_against(path: Path) -> tuple[str, ...]:
    """Return the libraries that a shared library is linked against, by soname; its symbols are not read.

    Raises:
        IntegrityError: it is none, or damaged.
    """
    with _opened(path) as file:
        return _needed(_tags(file))


def read(path: Path) -> Library:
    """Return what a shared library needs.

    Raises:
        IntegrityError: it is none, or damaged.
    """
    with _opened(path) as file:
        symbols = file.get_section_by_name(".dynsym")
        tags = _tags(file)
        return Library(
            path=path,
            needed=_needed(tags),
            search=tuple(_search(tags, path.parent)),
            undefined=tuple(_undefined(symbols)),
        )


def places(path: Path, names: Sequence[str]) -> list[tuple[int, int]]:
    """Return where those of the named sections begin that a shared library has, and how many bytes they take.

    Raises:
        IntegrityError: it is none, or damaged.
    """
    with _opened(path) as file:
        found = [file.get_section_by_name(name) for name in names]
        return [(each["sh_offset"], each["sh_size"]) for each in found if each is not None]


def _damage() -> tuple[type[Exception], ...]:
    """Return what pyelftools raises when bytes are not what they should be: its own errors, and Python's."""
    from elftools.common.exceptions import ELFError
    from elftools.construct import ConstructError

    plain = (OSError, ValueError, AttributeError, AssertionError, ArithmeticError, LookupError, struct.error)
    return (ELFError, ConstructError, *plain)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield a shared library as pyelftools has it.

    Raises:
        IntegrityError: it is none, or the block has met damage.
    """
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as stream:
            yield ELFFile(stream)
    except _damage() as error:
        raise IntegrityError(f"{path}: no shared library that can be read ({error})") from None


def _tags(file: Any) -> list[Any]:
    dynamic = file.get_section_by_name(".dynamic")
    return [] if dynamic is None else list(dynamic.iter_tags())


def _needed(tags: Sequence[Any]) -> tuple[str, ...]:
    return tuple(tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED")


def _search(tags: Sequence[Any], origin: Path) -> Iterator[Path]:
    for tag in tags:
        for name in ("runpath", "rpath"):
            if tag.entry.d_tag == f"DT_{name.upper()}":
                for entry in getattr(tag, name).split(":"):
                    yield Path(entry.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", str(origin)))


def _undefined(symbols: Any) -> Iterator[str]:
    for symbol in symbols.iter_symbols() if symbols is not None else ():
        if symbol.entry.st_shndx == "SHN_UNDEF" and symbol.entry.st_info.bind == "STB_GLOBAL" and symbol.name:
            yield symbol.name


class Exports:
    """What some libraries define, asked symbol by symbol through their hash tables.

    Args:
        paths: the libraries; what cannot be read of them defines nothing.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._stack = ExitStack()
        self._tables: list[Any] = []

    def __enter__(self) -> "Exports":  # noqa: PYI034 -- typing.Self is newer than Python 3.10
        from elftools.elf.elffile import ELFFile
        from elftools.elf.hash import ELFHashSection, GNUHashSection

        for path in self._paths:
            try:
                sections = list(ELFFile(self._stack.enter_context(path.open("rb"))).iter_sections())
            except _damage():
                continue
            tables = [each for each in sections if isinstance(each, GNUHashSection | ELFHashSection)]
            self._tables += tables[:1]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def define(self, symbol: str) -> bool:
        """Return whether one of them defines a symbol."""
        for table in self._tables:
            try:
                found = table.get_symbol(symbol)
            except _damage():
                continue
            if found is not None and found.entry.st_shndx != "SHN_UNDEF":
                return True
        return False
