"""Read the index: the names that a module binds in a release, and the modules that bind a name."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby

from compat.index.format import SHIPPED
from compat.index.records import ModuleRow, Successor
from compat.index.release_tables import ReleaseTables
from compat.model.symbols import KINDS, STATUSES

TYPE_CHECKING = False
if TYPE_CHECKING:  # a query does not load the module that writes the index
    import os
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, TypeVar

    from compat.index.records import Branch, Row
    from compat.index.writer import ModuleRange, NameRange
    from compat.model.symbols import Kind

    T = TypeVar("T")
    Ranged = Sequence[tuple[int, int, T]]
    """Values, each with the indexes of the first and last release to which it applies."""
    Columns = tuple[Any, ...]
    """The columns of one branch."""
    Bindings = dict[str, Ranged[Columns]]
    """Maps each module, in order, to the branches of one name."""

_IMPORT = STATUSES.index("reexported")
_DEFINED = STATUSES.index("defined")
_CLASS = KINDS.index("class")
_BRANCH = "first, last, status, kind, target_module, target_name, guard, truth, signature, refusal"


class Index(ReleaseTables):
    """Looks up modules and names of a release in the index.

    Releases are named by their package and their index in the ordered list of its versions.

    Args:
        path: the index file; by default the shipped one.

    Raises:
        IntegrityError: the file does not exist, or is not an index of this version.
    """

    def __init__(self, path: str | os.PathLike[str] = SHIPPED) -> None:
        super().__init__(path)
        self._branches = lru_cache(maxsize=None)(self._branch_tuple)
        self._bindings: dict[str, dict[str, Bindings]] = {}
        self._names_of = lru_cache(maxsize=200_000)(self._read_names_of)
        self._modules_of = lru_cache(maxsize=50_000)(self._read_modules_of)
        self._named_of = lru_cache(maxsize=50_000)(self._read_named_of)
        self.history = lru_cache(maxsize=50_000)(self._read_history)
        self._until: dict[str, int] | None = None
        self.files: tuple[str, ...] = ()
        """The index files that are read beside this one."""
        self._problems = lru_cache(maxsize=None)(self._read_problems)

    @contextmanager
    def watched(self) -> Iterator[dict[str, int]]:
        """Record, per package, the last release up to which the rows read in this context stay unchanged."""
        before, self._until = self._until, {}
        try:
            yield self._until
        finally:
            self._until = before

    def module_ranges(self, package: str) -> Iterator[ModuleRange]:
        """Yield the modules of a package with their release ranges, ordered by module and release."""
        from compat.index.writer import ModuleRange

        query = """
            SELECT modules.name, first, last, form, open FROM module_ranges
            JOIN modules ON modules.id = module WHERE package = ? ORDER BY module, first"""
        for module, first, last, form, open_ in self.rows(query, self.packages[package]):
            yield ModuleRange(module=module, first=first, last=last, form=form, open=bool(open_))

    def name_ranges(self, package: str) -> Iterator[NameRange]:
        """Yield the names of a package with their release ranges, ordered by module, name and release."""
        from compat.index.writer import NameRange

        query = f"""
            SELECT module, name, {_BRANCH} FROM bindings
            WHERE package = ? ORDER BY module, name, first, branch"""  # noqa: S608 -- constants
        rows = self.rows(query, self.packages[package])
        for (module, name, first, last), branches in groupby(rows, key=lambda row: row[:4]):
            yield NameRange(
                module=self._name("modules", module),
                name=self._name("names", name),
                first=first,
                last=last,
                branches=tuple(self._row(*row[4:]) for row in branches),
            )

    def binders(self, name: str, package: str, release_index: int) -> tuple[str, ...]:
        """Return the modules of a release that bind `name` in at least one branch, ordered by name."""
        bindings = self._bindings_of(name).get(package, {})
        return tuple(module for module, rows in bindings.items() if self._at(rows, package, release_index))

    def first_bound(self, name: str, package: str) -> dict[str, int]:
        """Return the modules that bind `name` in any release, with the first of these releases."""
        bindings = self._bindings_of(name).get(package, {})
        return {module: min(first for first, _, _ in rows) for module, rows in bindings.items()}

    def branches(self, module: str, name: str, package: str, release_index: int) -> tuple[Branch, ...]:
        """Return the branches of a name of a module in one release; empty if the module does not bind it."""
        known = self._bindings.get(name)
        rows = self._names_of(module, name, package) if known is None else _of(known, package, module)
        return self._branches(*self._at(rows, package, release_index))

    def bound_ranges(self, module: str, name: str, package: str) -> list[tuple[int, int]]:
        """Return the release ranges in which a module binds a name, in order; its branches may differ."""
        return sorted({(first, last) for first, last, _ in self._names_of(module, name, package)})

    def present_ranges(self, module: str, package: str) -> list[tuple[int, int]]:
        """Return the release ranges that have a module; its form may differ."""
        return [(first, last) for first, last, _ in self._modules_of(module, package)]

    def kinds_ever(self, module: str, name: str, package: str) -> frozenset[Kind]:
        """Return the kinds of the definitions of a name in a module, stubs excepted, over all releases."""
        return frozenset(
            KINDS[kind]
            for _, _, (status, kind, *_) in self._names_of(module, name, package)
            if status == _DEFINED and kind is not None
        )

    def module(self, module: str, package: str, release_index: int) -> ModuleRow | None:
        """Return the row of a module in a release; None if the release does not contain the module."""
        return next(iter(self._at(self._modules_of(module, package), package, release_index)), None)

    def has_submodule(self, module: str, name: str, package: str, release_index: int) -> bool:
        """Return whether a release contains the module `module.name`."""
        rows = self._named_of(name).get(package, {}).get(f"{module}.{name}", ())
        return bool(self._at(rows, package, release_index))

    def problem(self, module: str, package: str, release_index: int) -> str | None:
        """Return why the import of a module fails if only this release is installed; None if it does not."""
        return next(iter(self._at(self._problems(package).get(module, ()), package, release_index)), None)

    def pair_dependent(self, package: str, release_index: int) -> list[tuple[str, Branch]]:
        """Return the imports, with their module, that depend on a package which the release does not pin."""
        query = f"""
            SELECT module, {_BRANCH} FROM bindings WHERE (module, name, package) IN (
                SELECT module, name, package FROM pair_dependent
                WHERE package = ? AND ? BETWEEN pair_dependent.first AND pair_dependent.last
            ) AND ? BETWEEN first AND last AND status = {_IMPORT}"""  # noqa: S608 -- constants
        self.note(package, release_index)
        rows = self.rows(query, self.packages[package], release_index, release_index)
        return [(self._name("modules", module), self._branch(*columns)) for module, _, _, *columns in rows]

    def names(self, module: str, package: str, release_index: int) -> dict[str, tuple[Branch, ...]]:
        """Return the names that a module binds in a release; `""` has the imports that bind no name."""
        query = f"""
            SELECT names.name, {_BRANCH} FROM bindings JOIN names ON names.id = bindings.name
            WHERE module = ? AND package = ? AND ? BETWEEN first AND last
            ORDER BY bindings.name, branch"""  # noqa: S608 -- constants
        self.note(package, release_index)
        found: dict[str, list[Branch]] = {}
        location = self.number("modules", module), self.packages[package], release_index
        for name, _, _, *columns in self.rows(query, *location):
            found.setdefault(name, []).append(self._branch(*columns))
        return {name: tuple(branches) for name, branches in found.items()}

    def imports(self, module: str, package: str, release_index: int) -> list[tuple[str, Branch]]:
        """Return the names that a module imports in a release, each with its branch, ordered by name."""
        query = f"""
            SELECT name, {_BRANCH} FROM bindings
            WHERE module = ? AND package = ? AND status = {_IMPORT}
              AND ? BETWEEN first AND last
            ORDER BY name, branch"""  # noqa: S608 -- constants
        self.note(package, release_index)
        rows = self.rows(query, self.number("modules", module), self.packages[package], release_index)
        return [(self._name("names", name), self._branch(*columns)) for name, _, _, *columns in rows]

    def release_imports(self, package: str, release_index: int) -> dict[str, list[Branch]]:
        """Return the imports of every module of a release, in the order of `imports`, from one query."""
        query = f"""
            SELECT module, {_BRANCH} FROM bindings
            WHERE package = ? AND status = {_IMPORT} AND ? BETWEEN first AND last
            ORDER BY module, name, branch"""  # noqa: S608 -- constants
        self.note(package, release_index)
        found: dict[str, list[Branch]] = {}
        for module, _, _, *columns in self.rows(query, self.packages[package], release_index):
            found.setdefault(self._name("modules", module), []).append(self._branch(*columns))
        return found

    def release_names(self, package: str, release_index: int) -> dict[str, dict[str, tuple[Row, ...]]]:
        """Return the stored rows of every name in a release, by module and name."""
        query = f"""
            SELECT module, name, {_BRANCH} FROM bindings
            WHERE package = ? AND ? BETWEEN first AND last
            ORDER BY module, name, branch"""  # noqa: S608 -- constants
        found: dict[str, dict[str, tuple[Row, ...]]] = {}
        rows = self.rows(query, self.packages[package], release_index)
        for (module, name), branches in groupby(rows, key=lambda row: row[:2]):
            names = found.setdefault(self._name("modules", module), {})
            names[self._name("names", name)] = tuple(self._row(*row[4:]) for row in branches)
        return found

    def own_names(self, package: str, top: str) -> list[tuple[str, str]]:
        """Return all public names, with their module, that modules below `top` bind in any release, sorted.

        Names imported from outside `top` are left out.
        """
        query = """
            SELECT DISTINCT modules.name, names.name FROM bindings
            JOIN modules ON modules.id = module JOIN names ON names.id = bindings.name
            LEFT JOIN modules AS targets ON targets.id = target_module
            WHERE package = ? AND modules.name || '.' GLOB ? AND names.name NOT GLOB '_*' AND names.name != ''
              AND (target_module IS NULL OR targets.name || '.' GLOB ?)
            ORDER BY modules.name, names.name"""
        found = self.rows(query, self.packages[package], f"{top}.*", f"{top}.*")
        return [(module, name) for module, name in found]

    def modules(self, package: str, release_index: int) -> dict[str, ModuleRow]:
        """Return the modules of a release, ordered by name."""
        query = """
            SELECT modules.name, form, open FROM module_ranges JOIN modules ON modules.id = module
            WHERE package = ? AND ? BETWEEN first AND last ORDER BY module"""
        rows = self.rows(query, self.packages[package], release_index)
        return {name: ModuleRow(form, bool(open_)) for name, form, open_ in rows}

    def modules_named(self, name: str, package: str, release_index: int) -> tuple[str, ...]:
        """Return the modules of a release whose last part is `name`, ordered by name."""
        named = self._named_of(name).get(package, {})
        return tuple(module for module, rows in named.items() if self._at(rows, package, release_index))

    def successors(self, name: str, package: str, release_index: int) -> tuple[Successor, ...]:
        """Return the successors of the definitions named `name` that were removed up to a release."""
        found = [each for each in self.history(package, name) if each.old_name == name]
        return tuple(self._at([(each.last + 1, sys.maxsize, each) for each in found], package, release_index))

    def predecessors(self, name: str, package: str, release_index: int) -> tuple[Successor, ...]:
        """Return the steps by which definitions get the name `name` after a release."""
        found = [each for each in self.history(package, name) if each.name == name]
        return tuple(self._at([(0, each.last, each) for each in found], package, release_index))

    def binds_ever(self, name: str, package: str) -> bool:
        """Return whether any module of any release of a package binds `name`."""
        return package in self._bindings_of(name)

    def class_ever(self, name: str, package: str) -> bool:
        """Return whether any module of any release of a package defines a class of this name."""
        query = """
            SELECT 1 FROM binders
            JOIN bindings ON bindings.module = binders.module AND bindings.name = binders.name
            WHERE binders.name = ? AND package = ? AND status = ? AND kind = ? LIMIT 1"""
        values = (self.number("names", name), self.packages[package], _DEFINED, _CLASS)
        return bool(self.rows(query, *values))

    def modules_ever(self, package: str) -> tuple[str, ...]:
        """Return the modules that a package has in any release, ordered by name."""
        query = """
            SELECT DISTINCT modules.name FROM module_ranges JOIN modules ON modules.id = module
            WHERE package = ? ORDER BY module"""
        return tuple(module for (module,) in self.rows(query, self.packages[package]))

    def names_ever(self, module: str, package: str) -> tuple[str, ...]:
        """Return the names that a module binds in any release, sorted."""
        query = """
            SELECT DISTINCT names.name FROM bindings JOIN names ON names.id = bindings.name
            WHERE module = ? AND package = ? AND names.name != ''
            ORDER BY names.name"""
        return tuple(
            name for (name,) in self.rows(query, self.number("modules", module), self.packages[package])
        )

    def names_followed(self, module: str, package: str) -> tuple[str, ...]:
        """Return the names of `names_ever` that occur in the recorded moves and renames, old or new."""
        query = """
            SELECT DISTINCT names.name FROM bindings JOIN names ON names.id = bindings.name
            WHERE module = ? AND package = ? AND names.name != '' AND (
                EXISTS (SELECT 1 FROM successors AS s WHERE s.old_name = names.id AND s.package = ?)
                OR EXISTS (SELECT 1 FROM successors AS s WHERE s.name = names.id AND s.package = ?))
            ORDER BY names.name"""
        number = self.packages[package]
        rows = self.rows(query, self.number("modules", module), number, number, number)
        return tuple(name for (name,) in rows)

    def note(self, package: str, until: int) -> None:
        """Record for `watched` that the rows just read from a package are unchanged up to a release."""
        if self._until is not None:
            self._until[package] = min(until, self._until.get(package, until))

    def _at(self, ranged: Ranged[T], package: str, release_index: int) -> list[T]:
        """Return the values that apply to a release, and note up to which release they do."""
        found, until = [], sys.maxsize
        for first, last, value in ranged:
            if first <= release_index <= last:
                found.append(value)
                until = min(until, last)
            elif first > release_index:
                until = min(until, first - 1)
        self.note(package, until)
        return found

    def _bindings_of(self, name: str) -> dict[str, Bindings]:
        """Return all bindings of a name in all releases, by package and module, from one query."""
        if name not in self._bindings:
            query = f"""
                SELECT package, binders.module, modules.name, {_BRANCH} FROM binders
                JOIN modules ON modules.id = binders.module
                JOIN bindings ON bindings.module = binders.module AND bindings.name = binders.name
                WHERE binders.name = ? ORDER BY binders.module, package, first, branch"""  # noqa: S608
            packages = {number: package for package, number in self.packages.items()}
            found: dict[str, dict[str, list[tuple[int, int, Columns]]]] = {}
            for package, number, module, first, last, *columns in self.rows(
                query, self.number("names", name)
            ):
                self._learn("modules", number, module)
                rows = found.setdefault(packages[package], {}).setdefault(module, [])
                rows.append((first, last, tuple(columns)))
            self._bindings[name] = {package: dict(bindings) for package, bindings in found.items()}
        return self._bindings[name]

    def _read_names_of(self, module: str, name: str, package: str) -> Ranged[Columns]:
        query = f"""
            SELECT {_BRANCH} FROM bindings
            WHERE module = ? AND name = ? AND package = ? ORDER BY first, branch"""  # noqa: S608 -- constants
        place = (self.number("modules", module), self.number("names", name), self.packages[package])
        return [(first, last, tuple(columns)) for first, last, *columns in self.rows(query, *place)]

    def _read_modules_of(self, module: str, package: str) -> Ranged[ModuleRow]:
        query = "SELECT first, last, form, open FROM module_ranges WHERE module = ? AND package = ?"
        rows = self.rows(query, self.number("modules", module), self.packages[package])
        return [(first, last, ModuleRow(form, bool(open_))) for first, last, form, open_ in rows]

    def _read_named_of(self, name: str) -> dict[str, dict[str, list[tuple[int, int, bool]]]]:
        """Return the modules whose last part is `name`, by package, ordered by name."""
        query = """
            SELECT package, modules.id, modules.name, first, last FROM modules
            JOIN module_ranges ON module_ranges.module = modules.id
            WHERE last_part = ? AND last_part != modules.name ORDER BY modules.id, package, first"""
        packages = {number: package for package, number in self.packages.items()}
        found: dict[str, dict[str, list[tuple[int, int, bool]]]] = {}
        for package, at, module, first, last in self.rows(query, name):
            self._learn("modules", at, module)
            found.setdefault(packages[package], {}).setdefault(module, []).append((first, last, True))
        return found

    def _read_history(self, package: str, name: str | None = None) -> tuple[Successor, ...]:
        """Return the recorded moves and renames of a package: all, or those from or to one name."""
        query = f"""
            SELECT module, name, percent, evidence, old_module, old_name, last FROM successors
            WHERE package = ? {"" if name is None else "AND (name = ? OR old_name = ?)"}
            ORDER BY old_module, old_name, last"""  # noqa: S608 -- constants
        values = () if name is None else (self.number("names", name),) * 2
        return tuple(
            Successor(
                self._name("modules", module),
                self._name("names", to),
                percent / 100,
                self._text("evidence", evidence),
                self._name("modules", old_module),
                self._name("names", old),
                last,
            )
            for module, to, percent, evidence, old_module, old, last in self.rows(
                query, self.packages[package], *values
            )
        )

    def _read_problems(self, package: str) -> Mapping[str, Ranged[str]]:
        query = """
            SELECT modules.name, first, last, reason FROM problems JOIN modules ON modules.id = module
            WHERE package = ? ORDER BY module, first"""
        found: dict[str, list[tuple[int, int, str]]] = {}
        for module, first, last, reason in self.rows(query, self.packages[package]):
            found.setdefault(module, []).append((first, last, reason))
        return found

    def _branch_tuple(self, *rows: Columns) -> tuple[Branch, ...]:
        return tuple(self._branch(*row) for row in rows)


def _of(bindings: Mapping[str, Bindings], package: str, module: str) -> Ranged[Columns]:
    return bindings.get(package, {}).get(module, ())
