"""Decide in which of the scanned releases a variable is not read, or an option does not exist."""

from functools import cache, cached_property, lru_cache
from typing import NamedTuple

from compat.model.package_names import SGLANG, VLLM
from compat.scan.findings import BrokenRange
from compat.scan.releases.index_lookup import ReleaseSet, ranges
from compat.settings.names import PREFIXES, SERVER, Program
from compat.settings.releases import OPTIONS, PATTERNS, RENAMES, VARIABLES, PackageSettings


class Broken(NamedTuple):
    """The scanned releases in which a setting has no effect, as sets in the form of `index_lookup`."""

    package: str
    mask: int


class ScannedSettings:
    """The settings of the scanned releases.

    Args:
        packages: the settings of all releases, by package.
        release_sets: the scanned releases, by package.
    """

    def __init__(self, packages: dict[str, PackageSettings], release_sets: dict[str, ReleaseSet]) -> None:
        self._packages = packages
        self._release_sets = release_sets
        self.unread = lru_cache(maxsize=None)(self._unread)
        self.lacking = lru_cache(maxsize=None)(self._lacking)

    def _unread(self, name: str) -> Broken | None:
        """Return the releases that do not read a variable; None if all do, or if no release ever did."""
        package = next(owner for prefix, owner in PREFIXES.items() if name.startswith(prefix))
        if package not in self._release_sets or not self._named_by(package, name):
            return None
        mask = self._without(package, self._read_by(package, name))
        other = SGLANG if package == VLLM else VLLM
        if other in self._release_sets and self._scanned(other, self._read_by(other, name)):
            return None
        return Broken(package, mask) if mask else None

    def _lacking(self, program: Program, option: str) -> Broken | None:
        """Return the releases whose program lacks an option; None if none does, or no release ever had it."""
        package = program.package
        if package not in self._release_sets or package not in self._packages:
            return None
        options = self._options(program)
        forms = (option, f"--{option[5:]}") if option.startswith("--no-") else (option,)
        having = 0
        for each in forms:
            having |= options.get(each, 0)
        if not having:
            return None
        for name, releases in options.items():  # argparse accepts the beginning of an option
            if name.startswith(forms):
                having |= releases
        mask = self._without(package, having)
        return Broken(package, mask) if mask else None

    def ranges_of_variable(self, name: str, broken: Broken) -> tuple[BrokenRange, ...]:
        """Return the ranges of releases that do not read a variable, with the reason."""
        settings = self._packages[broken.package]
        return self._ranges(broken, self._read_by(broken.package, name), "read", self._place(settings, name))

    def ranges_of_option(self, program: Program, option: str, broken: Broken) -> tuple[BrokenRange, ...]:
        """Return the ranges of releases without an option, with the reason."""
        options = self._options(program)
        having = options.get(option, 0) or options.get(f"--{option[5:]}", 0)
        return self._ranges(
            broken, having, "had", _advice(self._packages[broken.package].notes.get(option, ""))
        )

    def _place(self, settings: PackageSettings, name: str) -> str:
        """Return what takes the place of a variable: what a release says, or the option of the same name."""
        advice = _advice(settings.notes.get(name, ""))
        if advice:
            return advice
        stem = name.partition("_")[2]
        newest = 1 << len(settings.versions) - 1
        if name.startswith("SGL_") and settings.found.get((VARIABLES, f"SGLANG_{stem}"), 0) & newest:
            return f"SGLANG_{stem} is read"
        option = f"--{stem.lower().replace('_', '-')}"
        if settings.found.get((f"{OPTIONS}{SERVER}", option), 0) & newest:
            return f"the server has the option {option}"
        return ""

    def _ranges(self, broken: Broken, having: int, verb: str, advice: str) -> tuple[BrokenRange, ...]:
        versions = self._packages[broken.package].versions
        scanned = self._release_sets[broken.package].versions
        first = versions[(having & -having).bit_length() - 1]
        found = []
        for begin, end in ranges(broken.mask):
            at = versions.index(scanned[begin]) if scanned[begin] in versions else len(versions)
            before = having & (1 << at) - 1
            if before:
                last = versions[before.bit_length() - 1]
                reason = f"{last} is the last release that {verb} it" + (f"; {advice}" if advice else "")
            else:
                reason = f"{first} is the first release that {verb} it"
            cause = "symbol_removed" if before else "not_yet_added"
            found.append(BrokenRange(scanned[begin], scanned[end], cause, reason, None))  # type: ignore[arg-type]
        return tuple(found)

    def _named_by(self, package: str, name: str) -> int:
        """Return the releases that read a variable by its whole name, or by that under its new prefix."""
        settings = self._packages[package]
        found = settings.found.get((VARIABLES, name), 0)
        for old, new, releases in self._renames.get(package, ()):
            if name.startswith(old):
                found |= releases & settings.found.get((VARIABLES, new + name[len(old) :]), 0)
        return found

    def _read_by(self, package: str, name: str) -> int:
        """Return the releases of a package that read a variable, one bit for each known release."""
        if package not in self._packages:
            return 0
        found = self._named_by(package, name)
        for pattern, releases in self._patterns.get(package, ()):
            if _matches(pattern, name):
                found |= releases
        return found

    @cached_property
    def _patterns(self) -> dict[str, list[tuple[str, int]]]:
        return {
            package: [
                (name if kind == PATTERNS else f"{name}*", releases)
                for (kind, name), releases in settings.found.items()
                if kind == PATTERNS or (kind == VARIABLES and name.endswith("_"))
            ]
            for package, settings in self._packages.items()
        }

    @cached_property
    def _renames(self) -> dict[str, list[tuple[str, str, int]]]:
        return {
            package: [
                (*name.split(" ", 1), releases)  # type: ignore[misc]
                for (kind, name), releases in settings.found.items()
                if kind == RENAMES
            ]
            for package, settings in self._packages.items()
        }

    @cache  # noqa: B019 -- there is one object in a process
    def _options(self, program: Program) -> dict[str, int]:
        found: dict[str, int] = {}
        kinds = {f"{OPTIONS}{group}" for group in program.groups}
        for (kind, name), releases in self._packages[program.package].found.items():
            if kind in kinds:
                found[name] = found.get(name, 0) | releases
        return found

    def _scanned(self, package: str, releases: int) -> int:
        """Return the scanned releases among some known ones."""
        versions = self._packages[package].versions
        at = {version: number for number, version in enumerate(versions)}
        return sum(
            1 << slot
            for slot, version in enumerate(self._release_sets[package].versions)
            if version in at and releases >> at[version] & 1
        )

    def _without(self, package: str, releases: int) -> int:
        """Return the scanned releases that are known, and not among some others."""
        every = (1 << len(self._packages[package].versions)) - 1
        return self._scanned(package, every & ~releases)


def _matches(pattern: str, name: str) -> bool:
    """Return whether a name fits a pattern with `*` for any text."""
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern)


def _advice(note: str) -> str:
    """Return what a release says to use; empty if it only says that something is deprecated."""
    lowered = note.lower()
    if any(word in lowered for word in ("use ", "instead", "replaced by", "replaced with", "alias for")):
        return f"the package says: {note}"
    return ""
