"""Search a name in one environment: all modules that bind it, the canonical one first."""

from __future__ import annotations

from collections import Counter

from compat._cli.text import counted
from compat._util.named_tuple import NamedTuple
from compat.index.query.answers import REFUSES, Answer
from compat.index.records import Successor
from compat.model.symbols import UNUSABLE, import_statement, location, split_location
from compat.resolve.canonical import Binding, closeness, ranked
from compat.resolve.former_objects import compared, definitions, former_object, handed_on
from compat.resolve.namesakes import namesake
from compat.resolve.successor_chains import follow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from compat.index.query.name_resolution import NameResolver
    from compat.model.symbols import Status
    from compat.resolve.former_objects import FormerObject
    from compat.resolve.query import Query

_ATTRIBUTE_CONFIDENCE = 0.5
"""The confidence of an object as the result for a path to one of its attributes."""


class Found(NamedTuple):
    """The answer to a query in one release."""

    binding: Binding | None
    """The binding of the name, which may be missing; None if nothing binds a bare name."""
    others: tuple[Binding, ...] = ()
    successor: Successor | None = None
    """The successor, if the name does not resolve to a real object."""

    @property
    def status(self) -> Status:
        """The status of the binding; `missing` if there is none."""
        return self.binding.answer.status if self.binding else "missing"

    @property
    def statement(self) -> str | None:
        """The import statement for this release."""
        if self.successor is not None:
            return import_statement(self.successor.module, self.successor.name)
        return statement_of(self.binding) if self.binding else None


def statement_of(binding: Binding) -> str | None:
    """Return the import statement for the real object of a binding; None if it is not available."""
    if binding.answer.status in UNUSABLE:
        return None
    return import_statement(binding.module, binding.name)


def find(resolver: NameResolver, package: str, query: Query) -> Found:
    """Return the result of a query in the release of a package that the resolver knows."""
    if query.dotted:
        return find_path(resolver, package, query.name)
    if query.module is not None:
        found = find_location(resolver, package, query.module, query.name)
        moved = _moved_module(resolver, package, query) if found.status == "missing" else None
        return found if moved is None else found._replace(successor=moved)
    return find_name(resolver, package, query.name)


def _moved_module(resolver: NameResolver, package: str, query: Query) -> Successor | None:
    """Return the successor of a location that was a module in other releases, and never another object."""
    path = f"{query.module}.{query.name}"
    index = resolver.index
    if not query.name or not index.names_ever(path, package):
        return None
    if index.bound_ranges(str(query.module), query.name, package):
        return None
    return find_location(resolver, package, path, "").successor


def find_name(resolver: NameResolver, package: str, name: str) -> Found:
    """Return all bindings of a bare name in a package; if nothing binds it, the modules with that name.

    If there are neither, the result has the successor or predecessor of the name.
    """
    bindings = candidates(resolver, package, name)
    if not bindings:
        release_index = resolver.environment.release_indexes[package]
        broken = [
            _binding(resolver, module, name)
            for module in resolver.index.binders(name, package, release_index)
        ]
        binding = next(iter(ranked(broken, {}, {})), None)
        successor = None if binding else _renamed(resolver, package, name)
        if successor is not None:
            former = former_object(resolver, package, successor.old_module, name)
            successor = compared(resolver, former, successor)
        return Found(binding=binding, successor=successor)
    return Found(binding=bindings[0], others=bindings[1:])


def find_location(resolver: NameResolver, package: str, module: str, name: str) -> Found:
    """Return the result for `module:name`, with the successor if it is not a real object."""
    binding = _binding(resolver, module, name)
    wanted = name or module.rpartition(".")[2]
    same = (() if name else _modules(resolver, package, wanted)) or candidates(resolver, package, wanted)
    others = tuple(binding for binding in same if (binding.module, binding.name) != (module, name))
    if binding.answer.status not in UNUSABLE:
        return Found(binding=binding, others=others)
    real = [binding for binding in others if binding.answer.status not in UNUSABLE]
    former = former_object(resolver, package, module, name)
    home = (former.module, former.name) if former else (module, name)
    successor = None
    if binding.answer.status == "missing":
        successor = _at_home(resolver, former, real, (module, name)) or _moved(resolver, package, *home)
    if successor is None and not (binding.answer.reason or "").startswith(REFUSES):
        here = resolver.index.branches(module, name, package, resolver.environment.release_indexes[package])
        successor = namesake(resolver, real, None if here else former, module, name)
        renamed = _renamed(resolver, package, home[1], home[0]) if name and former else None
        if successor and renamed and renamed.confidence > successor.confidence:
            successor = renamed
    if successor is None and name and binding.answer.status == "missing":
        successor = _renamed(resolver, package, home[1], home[0]) or _renamed_elsewhere(
            resolver, package, name
        )
    if successor is None:
        return Found(binding=binding, others=others)
    if former is not None and home != (module, name) and successor.old_module == home[0]:
        came = f"in {former.version} it was imported from {location(*home)}"
        successor = successor._replace(evidence=f"{came}; {successor.evidence}")
    return Found(binding=binding, others=others, successor=compared(resolver, former, successor))


def find_path(resolver: NameResolver, package: str, path: str) -> Found:
    """Return the result for a dotted path to a module or to a name in a module."""
    if resolver.answer(path, "").status == "submodule":
        return find_location(resolver, package, path, "")
    module, _, name = path.rpartition(".")
    found = find_location(resolver, package, module, name)
    if found.status == "missing" and resolver.index.names_ever(path, package):
        other = find_location(resolver, package, path, "")  # a module of another release
        if found.successor is None or other.successor is not None:
            return other
    owner = (
        _attribute_owner(resolver, package, module, name)
        if found.status == "missing" and "." in module
        else None
    )
    return found if owner is None else found._replace(successor=owner)


def _attribute_owner(resolver: NameResolver, package: str, path: str, attribute: str) -> Successor | None:
    """Return the object at a path, if `attribute` may be an attribute of it."""
    if resolver.index.number("modules", path) is not None:
        return None  # a module of another release
    module, _, name = path.rpartition(".")
    owner = find_location(resolver, package, module, name)
    binding, moved = owner.binding, owner.successor
    caveat = f"{attribute} may be an attribute of it; attributes are not indexed"
    if binding is not None and binding.answer.status not in UNUSABLE and binding.answer.kind != "module":
        return Successor(binding.module, binding.name, _ATTRIBUTE_CONFIDENCE, caveat)
    if moved is None or not moved.name or name not in resolver.index.names_ever(module, package):
        return None
    return moved._replace(
        confidence=min(moved.confidence, _ATTRIBUTE_CONFIDENCE), evidence=f"{moved.evidence}; {caveat}"
    )


def candidates(resolver: NameResolver, package: str, name: str) -> tuple[Binding, ...]:
    """Return the bindings of `name` in this environment, canonical first, including stubs and submodules."""
    release_index = resolver.environment.release_indexes[package]
    modules = resolver.index.binders(name, package, release_index)
    named = resolver.index.modules_named(name, package, release_index)
    parents = {module.rpartition(".")[0] for module in named}
    bindings = [_binding(resolver, module, name) for module in dict.fromkeys([*modules, *sorted(parents)])]
    return ranked(
        [binding for binding in bindings if binding.answer.status != "missing"],
        _imports(resolver, package, name, modules),
        resolver.index.first_bound(name, package),
    )


def _modules(resolver: NameResolver, package: str, name: str) -> tuple[Binding, ...]:
    """Return the modules whose last part is `name`, the canonical one first."""
    named = resolver.index.modules_named(name, package, resolver.environment.release_indexes[package])
    return ranked([Binding(module, "", resolver.answer(module, "")) for module in named], {}, {})


def _imports(resolver: NameResolver, package: str, name: str, modules: Sequence[str]) -> dict[str, list[str]]:
    """Return, by place, the modules that import `name` from there under this name."""
    release_index = resolver.environment.release_indexes[package]
    found: dict[str, list[str]] = {}
    for module in modules:
        for branch in resolver.index.branches(module, name, package, release_index):
            source, target = split_location(branch.target or "")
            if not target:  # `import package.name as name`
                source, _, target = source.rpartition(".")
            if target == name:
                found.setdefault(source, []).append(module)
    return found


def _binding(resolver: NameResolver, module: str, name: str) -> Binding:
    """Return the binding for a location; it is missing if the import of its module fails."""
    answer = resolver.answer(module, name)
    imported = f"{module}.{name}" if name and answer.status == "submodule" else module
    problem = resolver.problem(imported) if answer.status != "missing" else None
    if problem:
        answer = Answer(status="missing", reason=problem, always_bound=False)
    return Binding(module=module, name=name, answer=answer)


def _at_home(
    resolver: NameResolver,
    former: FormerObject | None,
    real: Sequence[Binding],
    asked: tuple[str, str],
) -> Successor | None:
    """Return the public place of the definition that a location re-exported, if that is in place."""
    if former is None or (former.module, former.name) == asked:
        return None
    binding = _binding(resolver, former.module, former.name)
    if binding.answer.status in UNUSABLE:
        return None
    same = real if binding.answer.status != "submodule" else ()  # a module is imported from its package
    public = next((each for each in same if each.origin == binding.origin), binding)
    there = (public.module, public.name) == (former.module, former.name)
    source = "there" if there else location(former.module, former.name)
    what = f"in {former.version} it was imported from {source}"
    return Successor(public.module, public.name, 1.0, what)


def _moved(resolver: NameResolver, package: str, module: str, name: str) -> Successor | None:
    """Return the successor of a definition under the same name, or of most of a module."""
    if not name:
        return _successor_module(resolver, package, module)
    moved = [each for each in follow(resolver, package, name, module) if each.name == name]
    return moved[0] if moved else None


def _renamed(resolver: NameResolver, package: str, name: str, module: str | None = None) -> Successor | None:
    """Return the name in this release of a renamed definition, of one module or of any."""
    found = follow(resolver, package, name, module)
    return min(found, key=lambda each: (closeness(each.old_module), -each.confidence), default=None)


def _renamed_elsewhere(resolver: NameResolver, package: str, name: str) -> Successor | None:
    """Return the present name of a definition that another module had under this name: a guess."""
    found = _renamed(resolver, package, name)
    return None if found is None else found._replace(certain=False)


def _successor_module(resolver: NameResolver, package: str, module: str) -> Successor | None:
    """Return the module that has most definitions of a module of other releases.

    Of a module that only handed on what others define, those count: what it defined before may be elsewhere.
    """
    found = [_now(resolver, package, *home) for home in handed_on(resolver, package, module)]
    lost: frozenset[str] = frozenset()
    if not found:
        names = resolver.index.names_followed(module, package)
        found = [follow(resolver, package, name, module) for name in names]
        traced = {name for name, successors in zip(names, found, strict=True) if successors}
        lost = definitions(resolver, package, module) - traced
    firsts = [successors[0] for successors in found if successors]
    votes = Counter(first.module for first in firsts)
    if not votes:
        return None
    best, count = min(votes.items(), key=lambda vote: (-vote[1], vote[0]))
    same = best.rpartition(".")[2] == module.rpartition(".")[2]
    # What has no trace may be anywhere, but is likelier in a module that is called the same.
    whole = len(firsts) + (0 if same else len(lost) / 2)
    confidence = sum(first.confidence for first in firsts if first.module == best) / whole
    if confidence < 0.5:
        return None
    evidence = f"has {count} of its {counted(len(firsts) + len(lost), 'definition')}"
    place = _package_called(resolver, best, module, [each.name for each in firsts if each.module == best])
    return Successor(module=place, name="", confidence=round(confidence, 2), evidence=evidence)


def _package_called(resolver: NameResolver, best: str, module: str, names: Sequence[str]) -> str:
    """Return the package of a module if it hands on all names and is called as another; else the module."""
    package = best.rpartition(".")[0]
    if package.rpartition(".")[2] != module.rpartition(".")[2]:
        return best
    handed = all(_binding(resolver, package, name).answer.status not in UNUSABLE for name in names)
    return package if handed else best


def _now(resolver: NameResolver, package: str, module: str, name: str) -> tuple[Successor, ...]:
    """Return where a definition of another release is in this one, the likeliest first."""
    if _binding(resolver, module, name).answer.status not in UNUSABLE:
        return (Successor(module, name, 1.0, "there"),)
    return follow(resolver, package, name, module)
