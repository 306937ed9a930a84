"""Read which libraries and symbols an ELF shared library needs and defines, without loading it."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compat.errors import IntegrityError


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The dependencies of a shared library, from its dynamic section and symbol table."""

    path: Path
    needed: tuple[str, ...]
    """The sonames of the libraries that it is linked against."""
    search: tuple[Path, ...]
    """The folders of its RUNPATH and RPATH."""
    undefined: tuple[str, ...]
    """The mangled symbols that other libraries must define, without weak ones."""


def linked_against(path: Path) -> tuple[str, ...]:
    """Return the libraries that a shared library is linked against, by soname; its symbols are not read.

    Raises:
        IntegrityError: the file is not an ELF file, or it is damaged.
    """
    with _opened(path) as file:
        return _needed(_tags(file))


def read(path: Path) -> Library:
    """Return the dependencies of a shared library.

    Raises:
        IntegrityError: the file is not a shared library, or is damaged.
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
    """Return the offset and the size of each named section that a shared library has, in bytes.

    Raises:
        IntegrityError: the file is not a shared library, or is damaged.
    """
    with _opened(path) as file:
        found = [file.get_section_by_name(name) for name in names]
        return [(each["sh_offset"], each["sh_size"]) for each in found if each is not None]


def _damage() -> tuple[type[Exception], ...]:
    """Return the exceptions that pyelftools raises for damaged files: its own and builtin ones."""
    from elftools.common.exceptions import ELFError
    from elftools.construct import ConstructError

    plain = (OSError, ValueError, AttributeError, AssertionError, ArithmeticError, LookupError, struct.error)
    return (ELFError, ConstructError, *plain)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield a shared library as an `ELFFile` of pyelftools.

    Raises:
        IntegrityError: the file is not a shared library, or reading it in the block failed.
    """
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as stream:
            yield ELFFile(stream)
    except _damage() as error:
        raise IntegrityError(f"{path}: cannot be read as a shared library ({error})") from None


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
    """The symbols that a set of libraries defines, looked up in their hash tables.

    Args:
        paths: the libraries; one that cannot be read counts as defining nothing.
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
        """Return whether any of the libraries defines a symbol."""
        for table in self._tables:
            try:
                found = table.get_symbol(symbol)
            except _damage():
                continue
            if found is not None and found.entry.st_shndx != "SHN_UNDEF":
                return True
        return False
