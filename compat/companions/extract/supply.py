"""What one release of a distribution supplies: which demanded names it has, and what their import needs."""

import re
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from compat.companions.extract.import_checks import enforced_by
from compat.companions.extract.wheel_modules import WheelModules
from compat.index.extract.foreign_imports import is_foreign
from compat.index.records import Row
from compat.model.symbols import split_location

PRESENT, UNCERTAIN, ABSENT = "present", "uncertain", "absent"
"""Whether a release has a demanded name; uncertain: compiled, under a guard, or bound while it runs."""

_DEPTH = 12
"""The maximum number of re-exports to follow; more are a circle."""
_MODULE_ATTRIBUTES = re.compile(r"__\w+__")


class Need(NamedTuple):
    """Something from another distribution that the import of a demanded module needs."""

    target: str
    """Its location; or a requirement such as `grpcio>=1.80.0`, if the import compares the version itself."""
    via: str
    """The module that imports it; the first one that the search meets."""


class Supply(NamedTuple):
    """What one release has of the demanded names, and what importing them needs."""

    states: Mapping[str, str]
    """Maps each demanded location to one of `PRESENT`, `UNCERTAIN`, `ABSENT`."""
    needs: Mapping[str, tuple[Need, ...]]
    """Maps demanded locations to what their import needs from elsewhere, apart from what guards may skip."""
    attributes: Mapping[str, tuple[Need, ...]] = MappingProxyType({})
    """Maps demanded locations to the attributes of other distributions that their import reads."""


def read_supply(modules: WheelModules, targets: Iterable[str], *, shallow: bool = False) -> Supply:
    """Return what a release supplies of `targets`, locations below its top-level modules.

    Args:
        modules: the modules of the release.
        targets: the demanded locations.
        shallow: whether to leave out what their import needs.

    Raises:
        NetworkError: the package index cannot be reached.
        IntegrityError: the wheel is damaged.
    """
    reader = _SupplyReader(modules, shallow=shallow)
    wanted = sorted(targets)
    modules.load(part for target in wanted for part in _parts(_longest(target)))
    states: dict[str, str] = {}
    needs: dict[str, tuple[Need, ...]] = {}
    attributes: dict[str, tuple[Need, ...]] = {}
    for target in wanted:
        states[target] = reader.state(target)
        if states[target] != ABSENT:
            found = reader.closure(target)
            if found.imports:
                needs[target] = found.imports
            if found.attributes:
                attributes[target] = found.attributes
    return Supply(states, needs, attributes)


class _Closure(NamedTuple):
    """What a module takes from other distributions, with what it imports from its own."""

    imports: tuple[Need, ...]
    attributes: tuple[Need, ...]


class _SupplyReader:
    """Answers questions about the modules of one release, and caches the answers."""

    def __init__(self, modules: WheelModules, *, shallow: bool) -> None:
        self._shallow = shallow
        self._modules = modules
        self._tops = {name.partition(".")[0] for name in modules.files}
        self._direct: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._attributes: dict[str, tuple[str, ...]] = {}
        self._closures: dict[str, _Closure] = {}
        self._lazy_names: dict[str, dict[str, str]] = {}

    def state(self, target: str) -> str:
        """Return whether the release has a location."""
        module, name = split_location(target)
        return self._chain(module, name.split(".")) if name else self._module(module)

    def closure(self, target: str) -> _Closure:
        """Return what the import of a location takes from other distributions."""
        module, name = split_location(target)
        table = self._lazy(module)
        if name and name in table:
            module = f"{module}.{table[name]}" if table[name] else module
        elif name and self._modules.form(f"{module}.{name}") and name not in self._modules.names(module):
            module = f"{module}.{name}"
        if module not in self._closures:
            self._closures[module] = _Closure((), ()) if self._shallow else self._closure(module)
        return self._closures[module]

    def _module(self, module: str) -> str:
        if self._modules.form(module) is not None:
            return PRESENT
        parent, _, last = module.rpartition(".")
        while parent:
            if self._modules.form(parent) == "extension":
                return UNCERTAIN
            table = self._modules.lazy_table(parent) if self._modules.form(parent) else None
            if table is not None and (
                last in table.aliases or any(module.endswith(each) for each in table.alias_suffixes)
            ):
                return UNCERTAIN
            parent, _, step = parent.rpartition(".")
            last = f"{step}.{last}"
        return ABSENT

    def _chain(self, module: str, names: list[str]) -> str:
        """Return the state of a chain of attributes: submodules as far as they go, then one name."""
        found = self._module(module)
        if found != PRESENT:
            # The attributes of an object are not known, and neither is what stands for a missing module.
            return UNCERTAIN if len(names) > 1 and found == ABSENT else found
        first, *rest = names
        if rest and self._modules.form(f"{module}.{first}"):
            return self._chain(f"{module}.{first}", rest)
        state = self._name(module, first, 0)
        return UNCERTAIN if rest and state == PRESENT else state

    def _name(self, module: str, name: str, depth: int) -> str:
        form = self._modules.form(module)
        if form is None or depth > _DEPTH:
            return UNCERTAIN
        if form == "extension" or _MODULE_ATTRIBUTES.fullmatch(name):
            return UNCERTAIN
        branches = self._modules.names(module).get(name)
        if branches:
            return self._bound(module, branches, depth)
        if self._modules.form(f"{module}.{name}") is not None:
            return PRESENT
        table = self._lazy(module)
        if name in table:
            return PRESENT
        if table:  # an old class name that the lazy module may map to the present one
            return UNCERTAIN if name.endswith("Fast") and name.removesuffix("Fast") in table else ABSENT
        created = self._modules.is_open(module) or self._modules.may_create(module, name)
        return UNCERTAIN if created else ABSENT

    def _bound(self, module: str, branches: tuple[Row, ...], depth: int) -> str:
        certain = [each for each in branches if each.guard is None]
        if not certain:
            return UNCERTAIN
        last = certain[-1]
        if last.status == "missing":
            return ABSENT if last is branches[-1] else UNCERTAIN
        if last.status in ("reexported", "lazy") and last.target is not None:
            target, name = split_location(last.target)
            if target != module and target.partition(".")[0] in self._tops and name:
                # The release imports its own names, so one that is not found is bound while it runs.
                found = self._name(target, name, depth + 1)
                return UNCERTAIN if found == ABSENT and not self._modules.form(f"{target}.{name}") else found
        return PRESENT

    def _lazy(self, module: str) -> dict[str, str]:
        """Return the names that a package loads lazily, each with the submodule that has it."""
        if module not in self._lazy_names:
            self._lazy_names[module] = self._read_lazy(module)
        return self._lazy_names[module]

    def _read_lazy(self, module: str) -> dict[str, str]:
        table = self._modules.lazy_table(module) if self._modules.form(module) == "package" else None
        if table is None:
            return {}
        names = dict(table.names)
        for folder in table.folders:
            package = f"{module}.{folder}" if folder else module
            inside = [each for each in self._modules.below(package) if not _is_tool(each)]
            for each, exports in self._modules.listed(inside).items():
                relative = each.removeprefix(f"{module}.")
                names.setdefault(relative.rpartition(".")[2], relative)
                names.update(dict.fromkeys(exports, relative))
        return names

    def _closure(self, start: str) -> _Closure:
        """Return what a module takes from elsewhere, with what it imports from its own distribution."""
        seen: set[str] = set()
        found: dict[str, str] = {}
        attributes: dict[str, str] = {}
        level = list(_parts(start))
        while level:
            seen.update(level)
            self._modules.load(level)
            self._read_attributes(level)
            following: dict[str, None] = {}
            for module in level:
                inner, outer = self._direct_imports(module)
                for target in outer:
                    found.setdefault(target, module)
                for target in self._attributes.get(module, ()):
                    attributes.setdefault(target, module)
                requirement = enforced_by(module, self._modules)
                if requirement is not None:
                    found.setdefault(requirement, module)
                following.update((part, None) for each in inner for part in _parts(each) if part not in seen)
            level = list(following)
        return _Closure(
            tuple(sorted(Need(target, via) for target, via in found.items())),
            tuple(sorted(Need(target, via) for target, via in attributes.items() if target not in found)),
        )

    def _read_attributes(self, modules: Iterable[str]) -> None:
        """Read which attributes of other distributions modules always take while they are imported.

        Those of a name that a guard may bind to another module are left out.
        """
        bases = {each: self._direct_imports(each)[1] for each in modules if each not in self._attributes}
        unread = {module: outer for module, outer in bases.items() if outer}
        for module, taken in self._modules.foreign(unread).items():
            self._attributes[module] = tuple(
                each.target
                for each in taken
                if each.form == "attribute"
                and each.guard is None
                and each.target.partition(".")[0].partition(":")[0] not in self._tops
                and _is_of(each.target, unread[module])
            )

    def _direct_imports(self, module: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the own modules and the foreign locations that a module always imports."""
        if module not in self._direct:
            inner: dict[str, None] = {}
            outer: dict[str, None] = {}
            for branches in self._modules.names(module).values():
                for row in branches:
                    if row.status != "reexported" or row.guard is not None or not row.target:
                        continue
                    target, name = split_location(row.target)
                    if target.partition(".")[0] in self._tops:
                        inner[self._imported(target, name)] = None
                    elif is_foreign(target, ""):
                        outer[row.target] = None
            self._direct[module] = tuple(inner), tuple(outer)
        return self._direct[module]

    def _imported(self, module: str, name: str) -> str:
        """Return the module that `from module import name` runs: a lazy one, a submodule, or itself."""
        below = f"{module}.{name}" if name else module
        if self._modules.form(below) is not None:
            return below
        table = self._lazy(module) if name else {}
        return f"{module}.{table[name]}" if name in table else module


def _longest(target: str) -> str:
    """Return the longest module that a location may name: of a chain, all but the last attribute."""
    module, name = split_location(target)
    return ".".join([module, *name.split(".")[:-1]])


def _is_of(target: str, bases: Collection[str]) -> bool:
    """Return whether a chain of attributes begins at one of some imported modules or names."""
    module, name = split_location(target)
    return module in bases or f"{module}:{name.partition('.')[0]}" in bases


def _parts(module: str) -> Iterable[str]:
    """Yield a module after its parent packages."""
    names = module.split(".")
    return (".".join(names[:end]) for end in range(1, len(names) + 1))


def _is_tool(module: str) -> bool:
    return module.rpartition(".")[2].startswith(("convert_", "modular_"))
