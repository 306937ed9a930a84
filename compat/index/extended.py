"""Read several index files as one: the shipped index, and files with builds and commits that are no releases.

Each of these is one more release at the end of its package's list. In the history of moves and renames it
stands after the release that it is nearest to.
"""

from __future__ import annotations

import sys
from functools import lru_cache

from compat._util.named_tuple import NamedTuple
from compat.errors import IntegrityError
from compat.index.addition_file import SIGNATURES, AdditionFile
from compat.index.format import SHIPPED
from compat.index.reader import Index

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from compat.index.additions import Addition
    from compat.index.records import Branch, ModuleRow, Row, Successor
    from compat.model.releases import ReleaseMetadata
    from compat.model.symbols import Kind


def open_index(files: Sequence[str], path: str | os.PathLike[str] = SHIPPED) -> Index:
    """Return the shipped index, with the additions in further files if there are any."""
    return ExtendedIndex(files, path) if files else Index(path)


class _Place(NamedTuple):
    """Where the rows of an addition are."""

    file: AdditionFile
    at: int
    """Its release index in that file."""
    facts: Addition


class ExtendedIndex(Index):
    """The shipped index with the additions of further files.

    Args:
        files: the further files, in the order in which their additions are listed.
        path: the index of the releases; by default the shipped one.

    Raises:
        UsageError: a file does not exist.
        IntegrityError: a file has no additions.
    """

    def __init__(self, files: Sequence[str], path: str | os.PathLike[str] = SHIPPED) -> None:
        self._places: dict[str, list[_Place]] = {}
        self._opened: list[AdditionFile] = []
        super().__init__(path)
        self._released = lru_cache(maxsize=None)(super()._read_versions)
        self.files = tuple(dict.fromkeys(files))
        for number, name in enumerate(self.files, start=1):
            file = AdditionFile(name, number)
            found = file.additions()
            if not found:
                raise IntegrityError(f'{name}: it has no builds; write such a file with "compat index add"')
            self._opened.append(file)
            for package, at, facts in found:
                self._places.setdefault(package, []).append(_Place(file, at, facts))

    def note(self, package: str, first: int, last: int) -> None:
        if last == sys.maxsize and package in self._places:
            last = self.published(package) - 1  # what no later release changes need not hold for an addition
        super().note(package, first, last)

    def published(self, package: str) -> int:
        return len(self._released(package))

    def addition(self, package: str, release_index: int) -> Addition | None:
        place = self._place(package, release_index)
        return None if place is None else place.facts

    def _place(self, package: str, release_index: int) -> _Place | None:
        """Return where an addition is; None for a release."""
        if package not in self._places:
            return None
        at = release_index - self.published(package)
        if at < 0:
            return None
        self.note(package, release_index, release_index)
        return self._places[package][at]

    def nearest(self, package: str, release_index: int) -> int:
        place = self._place(package, release_index)
        return release_index if place is None else self._nearest(package, place)

    def _nearest(self, package: str, place: _Place) -> int:
        """Return the index of the release that an addition is nearest to."""
        known = self._released(package)
        return known.index(place.facts.nearest) if place.facts.nearest in known else len(known) - 1

    def _files(self, package: str) -> list[AdditionFile]:
        """Return the files with additions of a package."""
        return list(dict.fromkeys(each.file for each in self._places.get(package, ())))

    def _numbered(self, package: str) -> Iterator[tuple[int, _Place]]:
        """Yield the release index of each addition of a package, and where it is."""
        yield from enumerate(self._places.get(package, ()), self.published(package))

    # Releases

    def _read_versions(self, package: str) -> tuple[str, ...]:
        own = (each.file.versions(package)[each.at] for each in self._places.get(package, ()))
        return (*self._released(package), *own)

    def requires_dist(self, package: str, release_index: int) -> tuple[str, ...]:
        place = self._place(package, release_index)
        if place is None:
            return super().requires_dist(package, release_index)
        return place.file.requires_dist(package, place.at)

    def releases(self, package: str) -> tuple[ReleaseMetadata, ...]:
        own = (each.file.releases(package)[each.at] for each in self._places.get(package, ()))
        return (*super().releases(package), *own)

    def companions(self, package: str, release_index: int) -> dict[str, int]:
        place = self._place(package, release_index)
        if place is None:
            return super().companions(package, release_index)
        pins = place.facts.kernels.items()
        return {kernel: self.release_index(kernel, version, kernel) for kernel, version in pins}

    # Rows of one release

    def binders(self, name: str, package: str, release_index: int) -> tuple[str, ...]:
        place = self._place(package, release_index)
        if place is None:
            return super().binders(name, package, release_index)
        return place.file.binders(name, package, place.at)

    def branches(self, module: str, name: str, package: str, release_index: int) -> tuple[Branch, ...]:
        place = self._place(package, release_index)
        if place is None:
            return super().branches(module, name, package, release_index)
        return place.file.branches(module, name, package, place.at)

    def module(self, module: str, package: str, release_index: int) -> ModuleRow | None:
        place = self._place(package, release_index)
        if place is None:
            return super().module(module, package, release_index)
        return place.file.module(module, package, place.at)

    def has_submodule(self, module: str, name: str, package: str, release_index: int) -> bool:
        place = self._place(package, release_index)
        if place is None:
            return super().has_submodule(module, name, package, release_index)
        return place.file.has_submodule(module, name, package, place.at)

    def problem(self, module: str, package: str, release_index: int) -> str | None:
        place = self._place(package, release_index)
        if place is None:
            return super().problem(module, package, release_index)
        return place.file.problem(module, package, place.at)

    def pair_dependent(self, package: str, release_index: int) -> list[tuple[str, Branch]]:
        place = self._place(package, release_index)
        if place is None:
            return super().pair_dependent(package, release_index)
        return place.file.pair_dependent(package, place.at)

    def names(self, module: str, package: str, release_index: int) -> dict[str, tuple[Branch, ...]]:
        place = self._place(package, release_index)
        if place is None:
            return super().names(module, package, release_index)
        return place.file.names(module, package, place.at)

    def imports(self, module: str, package: str, release_index: int) -> list[tuple[str, Branch]]:
        place = self._place(package, release_index)
        if place is None:
            return super().imports(module, package, release_index)
        return place.file.imports(module, package, place.at)

    def release_imports(self, package: str, release_index: int) -> dict[str, list[Branch]]:
        place = self._place(package, release_index)
        if place is None:
            return super().release_imports(package, release_index)
        return place.file.release_imports(package, place.at)

    def release_names(self, package: str, release_index: int) -> dict[str, dict[str, tuple[Row, ...]]]:
        place = self._place(package, release_index)
        if place is None:
            return super().release_names(package, release_index)
        return place.file.release_names(package, place.at)

    def modules(self, package: str, release_index: int) -> dict[str, ModuleRow]:
        place = self._place(package, release_index)
        if place is None:
            return super().modules(package, release_index)
        return place.file.modules(package, place.at)

    def modules_named(self, name: str, package: str, release_index: int) -> tuple[str, ...]:
        place = self._place(package, release_index)
        if place is None:
            return super().modules_named(name, package, release_index)
        return place.file.modules_named(name, package, place.at)

    # History

    def successors(self, name: str, package: str, release_index: int) -> tuple[Successor, ...]:
        place = self._place(package, release_index)
        if place is None:
            return super().successors(name, package, release_index)
        with super().watched():
            found = super().successors(name, package, self._nearest(package, place))
        own = (each for each in place.facts.successors if each.old_name == name)
        return (*found, *(each._replace(last=release_index - 1) for each in own))

    def predecessors(self, name: str, package: str, release_index: int) -> tuple[Successor, ...]:
        place = self._place(package, release_index)
        if place is None:
            return super().predecessors(name, package, release_index)
        with super().watched():
            return super().predecessors(name, package, self._nearest(package, place))

    def _read_history(self, package: str, name: str | None = None) -> tuple[Successor, ...]:
        found = super()._read_history(package, name)
        if name is not None:
            return found  # for `successors` and `predecessors`, which add those of one addition
        own = (
            each._replace(last=at - 1)
            for at, place in self._numbered(package)
            for each in place.facts.successors
        )
        return (*found, *own)

    def first_bound(self, name: str, package: str) -> dict[str, int]:
        found = super().first_bound(name, package)
        for at, place in self._numbered(package):
            found = {**dict.fromkeys(place.file.binders(name, package, place.at), at), **found}
        return found

    def bound_ranges(self, module: str, name: str, package: str) -> list[tuple[int, int]]:
        own = (
            (at, at)
            for at, place in self._numbered(package)
            if place.file.branches(module, name, package, place.at)
        )
        return [*super().bound_ranges(module, name, package), *own]

    def kinds_ever(self, module: str, name: str, package: str) -> frozenset[Kind]:
        own = (file.kinds_ever(module, name, package) for file in self._files(package))
        return super().kinds_ever(module, name, package).union(*own)

    def binds_ever(self, name: str, package: str) -> bool:
        return super().binds_ever(name, package) or any(
            file.binds_ever(name, package) for file in self._files(package)
        )

    def class_ever(self, name: str, package: str) -> bool:
        return super().class_ever(name, package) or any(
            file.class_ever(name, package) for file in self._files(package)
        )

    def modules_ever(self, package: str) -> tuple[str, ...]:
        own = (module for file in self._files(package) for module in file.modules_ever(package))
        return tuple(sorted({*super().modules_ever(package), *own}))

    def names_ever(self, module: str, package: str) -> tuple[str, ...]:
        own = (name for file in self._files(package) for name in file.names_ever(module, package))
        return tuple(sorted({*super().names_ever(module, package), *own}))

    def names_followed(self, module: str, package: str) -> tuple[str, ...]:
        followed = {
            name
            for _, place in self._numbered(package)
            for each in place.facts.successors
            for home, name in ((each.old_module, each.old_name), (each.module, each.name))
            if home == module
        }
        return tuple(sorted({*super().names_followed(module, package), *followed}))

    def own_names(self, package: str, top: str) -> list[tuple[str, str]]:
        own = (each for file in self._files(package) for each in file.own_names(package, top))
        return sorted({*super().own_names(package, top), *own})

    # Numbers

    def signature(self, number: int | None) -> str | None:
        if number is None or number < SIGNATURES:
            return super().signature(number)
        return self._opened[number // SIGNATURES - 1].signature(number)

    def number(self, table: str, text: str) -> int | None:
        """Return the number of a module or name; -1, which no row has, if only an addition knows it."""
        found = super().number(table, text)
        if found is None and any(file.number(table, text) is not None for file in self._opened):
            return -1
        return found
