"""The search for one name in one environment: every module that binds it, the canonical one first."""

from __future__ import annotations

from collections import Counter

from compat._util.named_tuple import NamedTuple
from compat.index.query.name_resolution import Answer
from compat.index.records import Successor
from compat.model.symbols import UNUSABLE, import_statement
from compat.resolve.canonical import closeness, nearness
from compat.resolve.successors import follow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from compat.index.query.name_resolution import NameResolver
    from compat.model.symbols import Status
    from compat.resolve.query import Query

_HELD = 0.5
"""Confidence in an object of which an attribute was asked for: it is not the thing itself."""


class Binding(NamedTuple):
    """One module that binds the name, and what the name is there."""

    module: str
    name: str
    answer: Answer

    @property
    def statement(self) -> str | None:
        """The import that brings the real object, or None when there is none to be had here."""
        return None if self.answer.status in UNUSABLE else import_statement(self.module, self.name)


class Found(NamedTuple):
    """The answer to a query in one release."""

    binding: Binding | None
    """Where it is, or where it was asked for and is not; None when nothing binds a bare name."""
    others: tuple[Binding, ...] = ()
    successor: Successor | None = None
    """Where to find what was asked for in the wrong place."""

    @property
    def status(self) -> Status:
        """The status of the binding, `missing` when there is none."""
        return self.binding.answer.status if self.binding else "missing"

    @property
    def statement(self) -> str | None:
        """The import to write in this release."""
        if self.successor is not None:
            return import_statement(self.successor.module, self.successor.name)
        return self.binding.statement if self.binding else None


def find(resolver: NameResolver, package: str, query: Query) -> Found:
    """Return the answer to a query in a resolver's release of a package."""
    if query.dotted:
        return find_path(resolver, package, query.name)
    if query.module is not None:
        return find_location(resolver, package, query.module, query.name)
    return find_name(resolver, package, query.name)


def find_name(resolver: NameResolver, package: str, name: str) -> Found:
    """Return every binding of a package that binds `name`, or the modules of that name when nothing does.

    When there are none of either, what the name was renamed to, or from, is the successor.
    """
    bindings = candidates(resolver, package, name)
    if not bindings:
        release_index = resolver.environment.release_indexes[package]
        broken = [
            _binding(resolver, module, name)
            for module in resolver.index.binders(name, package, release_index)
        ]
        binding = min(broken, key=_rank, default=None)
        return Found(binding=binding, successor=None if binding else _renamed(resolver, package, name))
    return Found(binding=bindings[0], others=bindings[1:])


def find_location(resolver: NameResolver, package: str, module: str, name: str) -> Found:
    """Return what `module:name` is; when it is no real object, where the real one is."""
    asked = _binding(resolver, module, name)
    wanted = name or module.rpartition(".")[2]
    others = tuple(
        binding
        for binding in candidates(resolver, package, wanted)
        if (binding.module, binding.name) != (module, name)
    )
    if asked.answer.status not in UNUSABLE:
        return Found(binding=asked, others=others)
    real = [binding for binding in others if binding.answer.status not in UNUSABLE]
    successor = None
    if asked.answer.status == "missing":
        successor = _moved(resolver, package, module, name)
    successor = successor or _of_same_name(real, module)
    if successor is None and name and asked.answer.status == "missing":
        successor = _renamed(resolver, package, name, module) or _renamed(resolver, package, name)
    return Found(binding=asked, others=others, successor=successor)


def find_path(resolver: NameResolver, package: str, path: str) -> Found:
    """Return what a dotted path is: a module, or a name in one."""
    if resolver.answer(path, "").status == "submodule":
        return find_location(resolver, package, path, "")
    module, _, name = path.rpartition(".")
    found = find_location(resolver, package, module, name)
    if found.status == "missing" and found.successor is None and resolver.index.names_ever(path, package):
        return find_location(resolver, package, path, "")  # a module of another release
    held = _holder(resolver, package, module, name) if found.status == "missing" and "." in module else None
    return found if held is None else found._replace(successor=held)


def _holder(resolver: NameResolver, package: str, path: str, attribute: str) -> Successor | None:
    """Return the object that a path names, or named, when what follows it may be an attribute of that."""
    if resolver.index.number("modules", path) is not None:
        return None  # a module of another release
    module, _, name = path.rpartition(".")
    held = find_location(resolver, package, module, name)
    binding, moved = held.binding, held.successor
    told = f"{attribute} may be an attribute of it, and these are not indexed"
    if binding is not None and binding.answer.status not in UNUSABLE and binding.answer.kind != "module":
        return Successor(binding.module, binding.name, _HELD, told)
    if moved is None or not moved.name or name not in resolver.index.names_ever(module, package):
        return None
    return moved._replace(confidence=min(moved.confidence, _HELD), evidence=f"{moved.evidence}; {told}")


def candidates(resolver: NameResolver, package: str, name: str) -> tuple[Binding, ...]:
    """Return the bindings that bind `name` in this environment, canonical first; stubs are among them."""
    release_index = resolver.environment.release_indexes[package]
    modules = resolver.index.binders(name, package, release_index)
    bindings = [_binding(resolver, module, name) for module in modules]
    bound = [binding for binding in bindings if binding.answer.status != "missing"]
    if not bound:
        named = resolver.index.modules_named(name, package, release_index)
        bound = [Binding(module=module, name="", answer=resolver.answer(module, "")) for module in named]
    return tuple(sorted(bound, key=_rank))


def _binding(resolver: NameResolver, module: str, name: str) -> Binding:
    """Return what a location is; nothing is to be had from a module whose own import fails."""
    answer = resolver.answer(module, name)
    problem = resolver.problem(module) if answer.status != "missing" else None
    if problem:
        answer = Answer(status="missing", reason=problem, always_bound=False)
    return Binding(module=module, name=name, answer=answer)


def _rank(binding: Binding) -> tuple[int, int, int, int, str]:
    """Order bindings: definitions before other names for them, certain before conditional, then by module."""
    answer = binding.answer
    match answer.status:
        case "defined" | "submodule":
            tier = 0
        case "placeholder":
            tier = 4
        case "dynamic" | "missing":
            tier = 5
        case "conditional" if answer.origin is None:
            tier = 1
        case _:
            tier = 2 if answer.always_bound else 3
    return tier, *nearness(binding.module)


def _of_same_name(real: list[Binding], module: str) -> Successor | None:
    """Return the canonical one of the modules that have a real object under the name asked for."""
    if not real:
        return None
    best = real[0]
    definers = sum(binding.answer.status == "defined" for binding in real)
    what = f"{best.answer.status} there under the same name"
    if definers <= 1:
        return Successor(module=best.module, name=best.name, confidence=1.0, evidence=what)
    shared = any(binding.module.startswith(f"{module}.") for binding in real[:1])
    return Successor(
        module=best.module,
        name=best.name,
        confidence=0.9 if shared else 0.7,
        evidence=f"{what}; {definers} modules define it",
    )


def _moved(resolver: NameResolver, package: str, module: str, name: str) -> Successor | None:
    """Return where this very definition, or most of this very module, was or will be under the same name."""
    if not name:
        return _successor_module(resolver, package, module)
    moved = [each for each in follow(resolver, package, name, module) if each.name == name]
    return moved[0] if moved else None


def _renamed(resolver: NameResolver, package: str, name: str, module: str | None = None) -> Successor | None:
    """Return what a name, of one module or of any, is called in this release."""
    found = follow(resolver, package, name, module)
    return min(found, key=lambda each: (closeness(each.old_module), -each.confidence), default=None)


def _successor_module(resolver: NameResolver, package: str, module: str) -> Successor | None:
    """Return the module that has most of what a module defined in other releases."""
    names = resolver.index.names_followed(module, package)
    found = [follow(resolver, package, name, module) for name in names]
    firsts = [successors[0] for successors in found if successors]
    votes = Counter(first.module for first in firsts)
    if not votes:
        return None
    best, count = min(votes.items(), key=lambda vote: (-vote[1], vote[0]))
    confidence = sum(first.confidence for first in firsts if first.module == best) / len(firsts)
    if confidence < 0.5:
        return None
    evidence = f"{count} of {len(firsts)} definitions that can be followed are there"
    return Successor(module=best, name="", confidence=round(confidence, 2), evidence=evidence)
