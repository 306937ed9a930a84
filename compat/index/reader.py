"""Reading the index: what a module binds in a release, and which modules bind a name."""

import json
import os
import sys
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from compat.errors import UsageError
from compat.index.format import SHIPPED, unpacked
from compat.index.records import Branch, ModuleRow, Row, Succession
from compat.index.tables import Tables
from compat.model.symbols import STATUSES

if TYPE_CHECKING:  # whoever asks for names does not load what writes them
    from compat.index.writer import ModuleRange, NameRange, ReleaseRow

T = TypeVar("T")
Intervals = Sequence[tuple[int, int, T]]
"""Values with the first and last position at which they hold."""
Columns = tuple[Any, ...]
"""What the table holds of one branch."""


class Index(Tables):
    """The index, asked by module, name and release.

    Args:
        path: the file; the shipped one unless told otherwise.

    Raises:
        IntegrityError: there is no such file, or it is no index of this version.
    """

    def __init__(self, path: str | os.PathLike[str] = SHIPPED) -> None:
        super().__init__(path)
        self._branches = lru_cache(maxsize=None)(self._branch_tuple)
        self._names_of = lru_cache(maxsize=200_000)(self._read_names_of)
        self._modules_of = lru_cache(maxsize=50_000)(self._read_modules_of)
        self._binders_of = lru_cache(maxsize=50_000)(self._read_binders_of)
        self.successions = lru_cache(maxsize=50_000)(self._read_successions)
        self._named_of = lru_cache(maxsize=50_000)(self._read_named_of)
        self._module_names = lru_cache(maxsize=None)(self._read_module_names)
        self.versions = lru_cache(maxsize=None)(self._read_versions)
        self._until: dict[str, int] | None = None
        self._problems = lru_cache(maxsize=None)(self._read_problems)
        self._companions = lru_cache(maxsize=None)(self._read_companions)
        self.concluded = bool(self._rows("SELECT 1 FROM companions LIMIT 1"))
        """Whether the file holds what `compat.index.build.precompute` adds to it."""

    @contextmanager
    def watched(self) -> Iterator[dict[str, int]]:
        """Give, package by package, up to which position everything that is read meanwhile stays the same."""
        before, self._until = self._until, {}
        try:
            yield self._until
        finally:
            self._until = before

    def _read_versions(self, package: str) -> tuple[str, ...]:
        """Return the indexed versions of a package, oldest first."""
        query = "SELECT version FROM releases WHERE package = ? ORDER BY position"
        return tuple(version for (version,) in self._rows(query, self.packages[package]))

    def release_index(self, package: str, version: str, where: str) -> int:
        """Return the position of a version in its package's list.

        Raises:
            UsageError: it is no version, or the index does not hold it; the nearest ones are told.
        """
        known = self.versions(package)
        if version in known:
            return known.index(version)
        from packaging.version import InvalidVersion, Version  # takes longer to load than to read the index

        try:
            wanted = Version(version)
        except InvalidVersion:
            raise UsageError(
                f"{where}: {version!r} is not a version (write one such as {known[-1]})"
            ) from None
        place = bisect_left(known, wanted, key=Version)
        if place < len(known) and Version(known[place]) == wanted:
            return place
        near = ", ".join(known[max(0, place - 2) : place + 2])
        raise UsageError(
            f"{where}: the index has no {package} {version}; near it are {near} "
            f"(`python -m compat.index info` lists all)"
        )

    def knows(self, package: str, version: str) -> bool:
        """Return whether the index has a release."""
        versions = self.versions(package) if package in self.packages else ()
        from packaging.version import InvalidVersion, Version

        try:
            wanted = Version(version)
        except InvalidVersion:
            return False
        place = bisect_left(versions, wanted, key=Version)
        return place < len(versions) and Version(versions[place]) == wanted

    def requires_dist(self, package: str, position: int) -> tuple[str, ...]:
        """Return the Requires-Dist lines of a release."""
        query = "SELECT requires_dist FROM releases WHERE package = ? AND position = ?"
        ((text,),) = self._rows(query, self.packages[package], position)
        return tuple(json.loads(unpacked(text)))

    def releases(self, package: str) -> "tuple[ReleaseRow, ...]":
        """Return the indexed releases of a package, oldest first."""
        from compat.index.writer import ReleaseRow

        query = """
            SELECT version, wheel, sha256, uploaded, requires_python, requires_dist FROM releases
            WHERE package = ? ORDER BY position"""
        return tuple(
            ReleaseRow(
                version=version,
                wheel=wheel,
                sha256=sha256,
                uploaded=uploaded,
                requires_python=requires_python,
                requires_dist=tuple(json.loads(unpacked(requires_dist))),
            )
            for version, wheel, sha256, uploaded, requires_python, requires_dist in self._rows(
                query, self.packages[package]
            )
        )

    def module_ranges(self, package: str) -> "Iterator[ModuleRange]":
        """Yield the modules of a package as intervals, ordered by module and release."""
        from compat.index.writer import ModuleRange

        query = """
            SELECT modules.name, first, last, form, open FROM spans JOIN modules ON modules.id = module
            WHERE package = ? ORDER BY module, first"""
        for module, first, last, form, open_ in self._rows(query, self.packages[package]):
            yield ModuleRange(module=module, first=first, last=last, form=form, open=bool(open_))

    def name_ranges(self, package: str) -> "Iterator[NameRange]":
        """Yield the names of a package as intervals, ordered by module, name and release."""
        from compat.index.writer import NameRange

        query = """
            SELECT module, name, first, last, status, kind, target_module, target_name,
                guard, truth, signature
            FROM bindings WHERE package = ? ORDER BY module, name, first, branch"""
        rows = self._rows(query, self.packages[package])
        for (module, name, first, last), branches in groupby(rows, key=lambda row: row[:4]):
            yield NameRange(
                module=self._text("modules", "name", module),
                name=self._text("names", "name", name),
                first=first,
                last=last,
                branches=tuple(self._row(*row[4:]) for row in branches),
            )

    def _read_successions(
        self, package: str, column: Literal["name", "to_name"] = "name", name: str | None = None
    ) -> tuple[Succession, ...]:
        """Return what became of the vanished definitions of a package: all, or those of or to one name."""
        query = f"""
            SELECT module, name, last, to_module, to_name, percent, evidence FROM successions
            WHERE package = ? {"" if name is None else f"AND {column} = ?"}
            ORDER BY module, name, last"""  # noqa: S608 -- constants
        values = () if name is None else (self.number("names", name),)
        return tuple(
            Succession(
                self._text("modules", "name", module),
                self._text("names", "name", name),
                last,
                self._text("modules", "name", to_module),
                self._text("names", "name", to_name),
                percent / 100,
                self._text("evidence", "text", evidence),
            )
            for module, name, last, to_module, to_name, percent, evidence in self._rows(
                query, self.packages[package], *values
            )
        )

    def binders(self, name: str, package: str, position: int) -> tuple[str, ...]:
        """Return the modules of a release that bind `name` in some branch, ordered by name."""
        return tuple(dict.fromkeys(self._at(self._binders_of(name, package), package, position)))

    def branches(self, module: str, name: str, package: str, position: int) -> tuple[Branch, ...]:
        """Return the branches of one location in one release; empty when it binds nothing."""
        return self._branches(*self._at(self._names_of(module, name, package), package, position))

    def module(self, module: str, package: str, position: int) -> ModuleRow | None:
        """Return a module of a release, or None when the release has none of that name."""
        return next(iter(self._at(self._modules_of(module, package), package, position)), None)

    def problem(self, module: str, package: str, position: int) -> str | None:
        """Return why importing a module must fail in a release that stands alone, or None."""
        return next(iter(self._at(self._problems(package).get(module, ()), package, position)), None)

    def ever_broken(self, module: str, package: str) -> bool:
        """Return whether importing a module must fail in some release that stands alone."""
        return module in self._problems(package)

    def companions(self, package: str, position: int) -> dict[str, int]:
        """Return the releases of other packages that a release pins."""
        return self._companions(package)[position]

    def names(self, module: str, package: str, position: int) -> dict[str, tuple[Branch, ...]]:
        """Return every name that a module binds in a release; `""` holds imports that bind nothing."""
        query = """
            SELECT names.name, status, kind, target_module, target_name, guard, truth, signature
            FROM bindings JOIN names ON names.id = bindings.name
            WHERE module = ?
              AND package = ? AND ? BETWEEN first AND last
            ORDER BY names.name, branch"""
        self._note(package, position)
        found: dict[str, list[Branch]] = {}
        for name, *columns in self._rows(
            query, self.number("modules", module), self.packages[package], position
        ):
            found.setdefault(name, []).append(self._branch(*columns))
        return {name: tuple(branches) for name, branches in found.items()}

    def imports(self, module: str, package: str, position: int) -> tuple[Branch, ...]:
        """Return the branches of `names` that import something, in the same order."""
        query = """
            SELECT status, kind, target_module, target_name, guard, truth, signature
            FROM bindings WHERE module = ? AND package = ? AND status = ? AND ? BETWEEN first AND last
            ORDER BY name, branch"""
        self._note(package, position)
        place = (self.number("modules", module), self.packages[package], STATUSES.index("reexported"))
        return tuple(self._branch(*columns) for columns in self._rows(query, *place, position))

    def release_names(self, package: str, position: int) -> dict[str, dict[str, tuple[Row, ...]]]:
        """Return what every module of a release binds, as it was written."""
        query = """
            SELECT module, name, status, kind, target_module, target_name, guard, truth, signature
            FROM bindings WHERE package = ? AND ? BETWEEN first AND last ORDER BY module, name, branch"""
        found: dict[str, dict[str, tuple[Row, ...]]] = {}
        rows = self._rows(query, self.packages[package], position)
        for (module, name), branches in groupby(rows, key=lambda row: row[:2]):
            names = found.setdefault(self._text("modules", "name", module), {})
            names[self._text("names", "name", name)] = tuple(self._row(*row[2:]) for row in branches)
        return found

    def own_names(self, package: str, top: str) -> list[tuple[str, str]]:
        """Return every public name that a module below `top` binds in any release, with the module, in order.

        What it takes from elsewhere than `top` is not among them.
        """
        query = """
            SELECT DISTINCT modules.name, names.name FROM bindings
            JOIN modules ON modules.id = module JOIN names ON names.id = bindings.name
            LEFT JOIN modules AS targets ON targets.id = target_module
            WHERE package = ? AND modules.name || '.' GLOB ? AND names.name NOT GLOB '_*' AND names.name != ''
              AND (target_module IS NULL OR targets.name || '.' GLOB ?)
            ORDER BY modules.name, names.name"""
        found = self._rows(query, self.packages[package], f"{top}.*", f"{top}.*")
        return [(module, name) for module, name in found]

    def modules(self, package: str, position: int) -> dict[str, ModuleRow]:
        """Return every module of a release, ordered by name."""
        query = """
            SELECT modules.name, form, open FROM spans JOIN modules ON modules.id = spans.module
            WHERE package = ? AND ? BETWEEN first AND last ORDER BY modules.name"""
        rows = self._rows(query, self.packages[package], position)
        return {name: ModuleRow(form, bool(open_)) for name, form, open_ in rows}

    def modules_named(self, name: str, package: str, position: int) -> tuple[str, ...]:
        """Return the modules of a release whose last part is `name`, ordered by name."""
        return tuple(self._at(self._named_of(name, package), package, position))

    def successors(self, name: str, package: str, position: int) -> tuple[Succession, ...]:
        """Return what took the place of definitions called `name` that vanished before a release."""
        found = self.successions(package, "name", name)
        since = [(each.last + 1, sys.maxsize, each) for each in found]
        return tuple(self._at(since, package, position))

    def predecessors(self, name: str, package: str, position: int) -> tuple[Succession, ...]:
        """Return whose place definitions called `name` took that a release does not have yet."""
        found = self.successions(package, "to_name", name)
        return tuple(self._at([(0, each.last, each) for each in found], package, position))

    def binds_ever(self, name: str, package: str) -> bool:
        """Return whether any module of any release of a package binds `name`."""
        query = """
            SELECT 1 FROM binders JOIN bindings USING (module, name)
            WHERE binders.name = ? AND package = ? LIMIT 1"""
        return bool(self._rows(query, self.number("names", name), self.packages[package]))

    def modules_ever(self, package: str) -> tuple[str, ...]:
        """Return every module of a package in any release, ordered by name."""
        query = """
            SELECT DISTINCT modules.name FROM spans JOIN modules ON modules.id = spans.module
            WHERE package = ? ORDER BY modules.name"""
        return tuple(module for (module,) in self._rows(query, self.packages[package]))

    def names_ever(self, module: str, package: str) -> tuple[str, ...]:
        """Return every name that a module binds in any release."""
        query = """
            SELECT DISTINCT names.name FROM bindings JOIN names ON names.id = bindings.name
            WHERE module = ? AND package = ? AND names.name != ''
            ORDER BY names.name"""
        return tuple(
            name for (name,) in self._rows(query, self.number("modules", module), self.packages[package])
        )

    def names_followed(self, module: str, package: str) -> tuple[str, ...]:
        """Return those of `names_ever` that some definition was called which is told to have gone on."""
        query = """
            SELECT DISTINCT names.name FROM bindings JOIN names ON names.id = bindings.name
            WHERE module = ? AND package = ? AND names.name != '' AND (
                EXISTS (SELECT 1 FROM successions AS s WHERE s.name = names.id AND s.package = ?)
                OR EXISTS (SELECT 1 FROM successions AS s WHERE s.to_name = names.id AND s.package = ?))
            ORDER BY names.name"""
        number = self.packages[package]
        rows = self._rows(query, self.number("modules", module), number, number, number)
        return tuple(name for (name,) in rows)

    def _at(self, intervals: Intervals[T], package: str, position: int) -> list[T]:
        """Return what holds at a position, and note up to where it does."""
        found, until = [], sys.maxsize
        for first, last, value in intervals:
            if first <= position <= last:
                found.append(value)
                until = min(until, last)
            elif first > position:
                until = min(until, first - 1)
        self._note(package, until)
        return found

    def _note(self, package: str, until: int) -> None:
        if self._until is not None:
            self._until[package] = min(until, self._until.get(package, until))

    def _read_names_of(self, module: str, name: str, package: str) -> Intervals[Columns]:
        query = """
            SELECT first, last, status, kind, target_module, target_name, guard, truth, signature
            FROM bindings WHERE module = ? AND package = ? AND name = ? ORDER BY first, branch"""
        place = (self.number("modules", module), self.packages[package], self.number("names", name))
        return [(first, last, tuple(columns)) for first, last, *columns in self._rows(query, *place)]

    def _read_modules_of(self, module: str, package: str) -> Intervals[ModuleRow]:
        query = "SELECT first, last, form, open FROM spans WHERE module = ? AND package = ?"
        rows = self._rows(query, self.number("modules", module), self.packages[package])
        return [(first, last, ModuleRow(form, bool(open_))) for first, last, form, open_ in rows]

    def _read_binders_of(self, name: str, package: str) -> Intervals[str]:
        query = """
            SELECT first, last, modules.name FROM binders
            JOIN bindings ON bindings.module = binders.module AND bindings.name = binders.name
            JOIN modules ON modules.id = binders.module
            WHERE binders.name = ? AND package = ? ORDER BY modules.name"""
        return self._rows(query, self.number("names", name), self.packages[package])

    def _read_named_of(self, name: str, package: str) -> Intervals[str]:
        """Return the modules of a package whose last part is `name`, ordered by name."""
        names = "" if {".", "\n"} & set(name) else self._module_names()
        query = "SELECT first, last FROM spans WHERE module = ? AND package = ? ORDER BY first"
        found: list[tuple[int, int, str]] = []
        end = names.find(f".{name}\n")
        while end >= 0:
            module = names[names.rindex("\n", 0, end) + 1 : end + 1 + len(name)]
            rows = self._rows(query, self.number("modules", module), self.packages[package])
            found += [(first, last, module) for first, last in rows]
            end = names.find(f".{name}\n", end + 1)
        return found

    def _read_module_names(self) -> str:
        """Return every module's name between line feeds, in order: one text is read faster than many rows."""
        query = "SELECT group_concat(name, char(10)) FROM (SELECT name FROM modules ORDER BY id)"
        ((text,),) = self._rows(query)
        return f"\n{text or ''}\n"

    def _read_problems(self, package: str) -> Mapping[str, Intervals[str]]:
        query = """
            SELECT modules.name, first, last, reason FROM problems JOIN modules ON modules.id = module
            WHERE package = ? ORDER BY module, first"""
        found: dict[str, list[tuple[int, int, str]]] = {}
        for module, *interval in self._rows(query, self.packages[package]):
            found.setdefault(module, []).append((interval[0], interval[1], interval[2]))
        return found

    def _read_companions(self, package: str) -> list[dict[str, int]]:
        names = {number: name for name, number in self.packages.items()}
        query = "SELECT companion, companion_position FROM companions WHERE package = ? ORDER BY position"
        rows = self._rows(query, self.packages[package])
        return [{} if companion is None else {names[companion]: place} for companion, place in rows]

    def _branch_tuple(self, *rows: Columns) -> tuple[Branch, ...]:
        return tuple(self._branch(*row) for row in rows)
