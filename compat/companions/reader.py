"""Query the file of companions: what sglang and vllm take from a distribution, and which releases have it."""

from __future__ import annotations

import _sqlite3 as sqlite3  # the package around it loads datetime, for adapters of no use here
import json
import os
import struct
from functools import lru_cache

from compat._util.named_tuple import NamedTuple
from compat.companions.format import FORMS, SCHEMA_VERSION, SHARED, SHIPPED, STATES, TOGETHER
from compat.errors import IntegrityError
from compat.index.format import unpacked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class PlacedDemand(NamedTuple):
    """One thing that a module of a release takes from another distribution."""

    target: str
    module: str
    form: str
    """`import`, `attribute` or `deferred`: see `ForeignImport`."""
    guard: str | None
    """The guard as JSON; None when the statement always runs."""
    line: int


class TargetState(NamedTuple):
    """What a release has of a demanded location."""

    state: str
    """`present`, `uncertain` or `absent`."""
    needs: tuple[tuple[str, str], ...]
    """What its import needs from elsewhere: each a location, and the module that imports it."""


class BrokenImport(NamedTuple):
    """Why modules of an sglang release cannot be imported beside a vllm release."""

    module: str
    """The module of sglang whose import fails first."""
    target: str
    """What it imports from vllm."""
    modules: int | None
    """How many modules fail; None if the server cannot start."""


class Companions:
    """Looks up demands, and the states of demanded locations in the releases of distributions.

    Releases are named by their distribution and their index in the ordered list of its versions.

    Args:
        path: the file of companions; by default the shipped one.

    Raises:
        IntegrityError: the file does not exist, or is not one of this version.
    """

    def __init__(self, path: str | os.PathLike[str] = SHIPPED) -> None:
        if not os.path.isfile(path):  # noqa: PTH113 -- pathlib takes too long
            raise IntegrityError(f'{path}: the file is missing; run "compat index companions"')
        whole = os.path.abspath(path)  # noqa: PTH100
        escaped = whole.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        self._database = sqlite3.connect(
            f"file://{escaped}?mode=ro&immutable=1", uri=True, check_same_thread=False
        )
        ((version,),) = self._rows("PRAGMA user_version")
        if version != SCHEMA_VERSION:
            raise IntegrityError(f"{path}: format {version}, expected {SCHEMA_VERSION}; rebuild it")
        self.distributions: dict[str, int] = {}
        """The known distributions, each with its number."""
        self.read: set[str] = set()
        """Those whose releases were read; of the others only the modules are known."""
        for number, name, read in self._rows("SELECT id, name, read FROM distributions"):
            self.distributions[name] = number
            if read:
                self.read.add(name)
        self._names = {number: name for name, number in self.distributions.items()}
        self._shared: dict[int, str] = {}
        self.versions = lru_cache(maxsize=None)(self._read_versions)
        self.state = lru_cache(maxsize=None)(self._read_state)
        self.carriers = lru_cache(maxsize=None)(self._read_carriers)
        self._requirement_lists = lru_cache(maxsize=None)(self._read_requirement_lists)
        self._needs = lru_cache(maxsize=None)(self._read_needs)

    def __del__(self) -> None:
        """Close the file, if it was opened."""
        database = getattr(self, "_database", None)
        if database is not None:
            database.close()

    def indexed(self, package: str) -> tuple[str, ...]:
        """Return the versions of sglang or vllm whose demands are known, oldest first."""
        rows = self._rows("SELECT versions FROM versions WHERE package = ?", package)
        return tuple(rows[0][0].split()) if rows else ()

    def demands(self, package: str, version: str) -> list[PlacedDemand]:
        """Return what a release of sglang or vllm takes from elsewhere; empty if the release is not known."""
        known = self.indexed(package)
        if version not in known:
            return []
        query = """
            SELECT t.text, m.text, form, g.text, line FROM demands
            JOIN texts AS t ON t.id = target JOIN texts AS m ON m.id = module
            LEFT JOIN texts AS g ON g.id = guard
            WHERE package = ? AND ? BETWEEN first AND last"""
        rows = self._rows(query, package, known.index(version))
        return [
            PlacedDemand(target, module, FORMS[form], guard, line)
            for target, module, form, guard, line in rows
        ]

    def demands_on(self, target: str, package: str) -> list[tuple[int, int, PlacedDemand]]:
        """Return the demands of all releases of a package for one location, each with its release range."""
        query = """
            SELECT first, last, t.text, m.text, form, g.text, line FROM demands
            JOIN texts AS t ON t.id = target JOIN texts AS m ON m.id = module
            LEFT JOIN texts AS g ON g.id = guard
            WHERE package = ? AND target = (SELECT id FROM texts WHERE text = ?) ORDER BY first"""
        return [
            (first, last, PlacedDemand(target, module, FORMS[form], guard, line))
            for first, last, target, module, form, guard, line in self._rows(query, package, target)
        ]

    def release_index(self, distribution: str, version: str) -> int | None:
        """Return the index of a version, which may have a local part; None if the release was not read."""
        known = self.versions(distribution)
        public = version.partition("+")[0]
        if public in known:
            return known.index(public)
        from packaging.version import InvalidVersion, Version  # its import takes longer than a query

        try:
            wanted = Version(public)
        except InvalidVersion:
            return None
        return next((at for at, each in enumerate(known) if Version(each) == wanted), None)

    def provides(self, distribution: str, release_index: int, top: str) -> bool:
        """Return whether a release carries a top-level module."""
        query = "SELECT 1 FROM imports WHERE top = ? AND distribution = ? AND ? BETWEEN first AND last"
        return bool(self._rows(query, top, self.distributions[distribution], release_index))

    def ranges(self, distribution: str, target: str) -> list[tuple[int, int, str]]:
        """Return the ranges of releases with the state of a location; empty if nothing asks for it."""
        query = """
            SELECT first, last, state FROM states
            WHERE distribution = ? AND target = (SELECT id FROM texts WHERE text = ?) ORDER BY first"""
        rows = self._rows(query, self.distributions[distribution], target)
        return [(first, last, STATES[state]) for first, last, state in rows]

    def within(self, distribution: str, module: str) -> list[str]:
        """Return the demanded locations in a module and below it."""
        query = """
            SELECT DISTINCT text FROM states JOIN texts ON texts.id = target WHERE distribution = ?
            AND (text >= ? AND text < ? OR text >= ? AND text < ?) ORDER BY text"""
        bounds = (f"{module}:", f"{module};", f"{module}.", f"{module}/")
        return [text for (text,) in self._rows(query, self.distributions[distribution], *bounds)]

    def named(self, name: str) -> list[tuple[str, str]]:
        """Return the demanded locations of a name in any module, each after its distribution, sorted."""
        query = """
            SELECT DISTINCT distribution, text FROM texts JOIN states ON states.target = texts.id
            WHERE text GLOB ?"""
        rows = self._rows(query, f"*:{name}")
        return sorted((self._names[number], text) for number, text in rows)

    def states_of(self, distribution: str, release_index: int) -> dict[str, str]:
        """Return the states of all demanded locations in a release."""
        query = """
            SELECT text, state FROM states JOIN texts ON texts.id = target
            WHERE distribution = ? AND ? BETWEEN first AND last ORDER BY text"""
        rows = self._rows(query, self.distributions[distribution], release_index)
        return {target: STATES[state] for target, state in rows}

    def requires_dist(self, distribution: str, release_index: int) -> tuple[str, ...]:
        """Return the Requires-Dist lines of a release."""
        query = "SELECT requires_dist FROM releases WHERE distribution = ? AND release_index = ?"
        rows = self._rows(query, self.distributions[distribution], release_index)
        if not rows:
            return ()
        part, at = divmod(rows[0][0], TOGETHER)
        return tuple(json.loads(self._requirement_lists(part)[at]))

    def added_folders(self, distribution: str) -> tuple[str, ...]:
        """Return the folders with modules of a distribution that others add to the import path."""
        query = "SELECT folder FROM added_folders WHERE distribution = ? ORDER BY folder"
        return tuple(folder for (folder,) in self._rows(query, self.distributions[distribution]))

    def yanked(self, distribution: str) -> frozenset[int]:
        """Return the indexes of the releases that were withdrawn."""
        query = "SELECT release_index FROM releases WHERE distribution = ? AND yanked"
        return frozenset(at for (at,) in self._rows(query, self.distributions[distribution]))

    def newest_at(self, distribution: str, date: str) -> str | None:
        """Return the newest release, pre-releases and withdrawn ones excepted, that was there on a day."""
        query = """
            SELECT version FROM releases WHERE distribution = ? AND uploaded < ? AND NOT yanked
            ORDER BY release_index DESC"""
        rows = self._rows(query, self.distributions.get(distribution), f"{date}~")
        return next((version for (version,) in rows if version.replace(".", "").isdigit()), None)

    def requires_python(self, distribution: str) -> list[str | None]:
        """Return the Requires-Python of each release, oldest first."""
        query = "SELECT requires_python FROM releases WHERE distribution = ? ORDER BY release_index"
        return [text for (text,) in self._rows(query, self.distributions[distribution])]

    def checks(self, distribution: str, release_index: int) -> list[tuple[str, str]]:
        """Return the requirements that a release enforces when it is imported, each after the module."""
        query = "SELECT module, requirement FROM checks WHERE distribution = ? AND ? BETWEEN first AND last"
        return [
            (module, text)
            for module, text in self._rows(query, self.distributions[distribution], release_index)
        ]

    def broken_pairs(self, package: str, version: str) -> dict[str, BrokenImport]:
        """Return the releases of the other package beside which modules of sglang cannot be imported."""
        query = """
            SELECT sglang, first, last, m.text, t.text, modules FROM broken_pairs
            JOIN texts AS m ON m.id = module JOIN texts AS t ON t.id = target"""
        versions = self.indexed("vllm")
        found: dict[str, BrokenImport] = {}
        for sglang, first, last, module, target, modules in self._rows(query):
            for vllm in versions[first : last + 1]:
                if version == (sglang if package == "sglang" else vllm):
                    found[vllm if package == "sglang" else sglang] = BrokenImport(module, target, modules)
        return found

    def shared_modules(self, distribution: str) -> dict[str, dict[str, int]]:
        """Return the modules that other distributions bring in other forms, by version of a distribution.

        Each has the beginning of the digest of its file. The dict is empty if none of its releases has any.
        """
        query = "SELECT version, modules FROM shared_releases WHERE distribution = ?"
        return {
            version: {self._shared_names[at]: digest for at, digest in struct.iter_unpack(SHARED, modules)}
            for version, modules in self._rows(query, distribution)
        }

    def is_shared_whole(self, distribution: str, version: str) -> bool:
        """Return whether other distributions bring all modules of a release, in the same form or others."""
        query = "SELECT whole FROM shared_releases WHERE distribution = ? AND version = ?"
        return bool(self._rows(query, distribution, version) == [(1,)])

    def takes_from(self, top: str) -> bool:
        """Return whether anything is demanded of a top-level module."""
        query = (
            "SELECT 1 FROM texts WHERE text = ? OR text >= ? AND text < ? OR text >= ? AND text < ? LIMIT 1"
        )
        return bool(self._rows(query, top, f"{top}.", f"{top}/", f"{top}:", f"{top};"))

    @property
    def _shared_names(self) -> dict[int, str]:
        if not self._shared:
            self._shared.update(self._rows("SELECT id, name FROM shared_modules"))
        return self._shared

    def _read_versions(self, distribution: str) -> tuple[str, ...]:
        query = "SELECT version FROM releases WHERE distribution = ? ORDER BY release_index"
        return tuple(version for (version,) in self._rows(query, self.distributions.get(distribution)))

    def _read_state(self, distribution: str, release_index: int, target: str) -> TargetState | None:
        """Return what a release has of a location; None if nothing asks for it."""
        query = """
            SELECT state, needs FROM states WHERE distribution = ?
            AND target = (SELECT id FROM texts WHERE text = ?) AND ? BETWEEN first AND last"""
        rows = self._rows(query, self.distributions[distribution], target, release_index)
        if not rows:
            return None
        state, needs = rows[0]
        return TargetState(STATES[state], () if needs is None else self._needs(needs))

    def _read_carriers(self, module: str) -> tuple[str, ...]:
        """Return the distributions that carry a module, by what is in their wheels, sorted.

        Of a dotted module the top-level package counts, which several distributions may share.
        """
        query = "SELECT DISTINCT distribution FROM imports WHERE top = ?"
        return tuple(sorted(self._names[number] for (number,) in self._rows(query, module.partition(".")[0])))

    def _read_needs(self, number: int) -> tuple[tuple[str, str], ...]:
        part, at = divmod(number, TOGETHER)
        ((texts,),) = self._rows("SELECT needs FROM need_sets WHERE part = ?", part)
        return tuple((target, via) for target, via in json.loads(unpacked(texts).split("\n")[at]))

    def _read_requirement_lists(self, part: int) -> list[str]:
        ((lists,),) = self._rows("SELECT lists FROM requirement_lists WHERE part = ?", part)
        return unpacked(lists).split("\n")

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise IntegrityError(f"companions: {error}; reinstall sglang-vllm-compat") from None


def distributions_of(module: str) -> tuple[str, ...]:
    """Return the distributions whose wheels carry a module, sorted; empty if none is known.

    This is the map for `No module named X`: the files of wheels decide, never the likeness of names.
    """
    return Companions().carriers(module)
