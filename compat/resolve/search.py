"""The search for one name in one world: every module that binds it, the canonical one first."""

from collections import Counter
from typing import NamedTuple

from compat.index.query.name_resolution import Answer, NameResolver
from compat.model.symbols import UNUSABLE, Status, import_statement
from compat.resolve.canonical import closeness, nearness
from compat.resolve.query import Query
from compat.resolve.successors import Relative, relatives

_HELD = 0.5
"""Confidence in an object of which an attribute was asked for: it is not the thing itself."""


class Place(NamedTuple):
    """One module that binds the name, and what the name is there."""

    module: str
    name: str
    answer: Answer

    @property
    def statement(self) -> str | None:
        """The import that brings the real object, or None when there is none to be had here."""
        return None if self.answer.status in UNUSABLE else import_statement(self.module, self.name)


class Replacement(NamedTuple):
    """Where to find what was asked for in the wrong place."""

    module: str
    name: str
    confidence: float
    """From 0 to 1."""
    evidence: str


class Found(NamedTuple):
    """The answer to a query in one release."""

    place: Place | None
    """Where it is, or where it was asked for and is not; None when nothing binds a bare name."""
    others: tuple[Place, ...] = ()
    replacement: Replacement | None = None

    @property
    def status(self) -> Status:
        """The status of the place, `missing` when there is none."""
        return self.place.answer.status if self.place else "missing"

    @property
    def statement(self) -> str | None:
        """The import to write in this release."""
        if self.replacement is not None:
            return import_statement(self.replacement.module, self.replacement.name)
        return self.place.statement if self.place else None


def find(world: NameResolver, package: str, query: Query) -> Found:
    """Return the answer to a query in the world's release of a package."""
    if query.dotted:
        return find_path(world, package, query.name)
    if query.module is not None:
        return find_location(world, package, query.module, query.name)
    return find_name(world, package, query.name)


def find_name(world: NameResolver, package: str, name: str) -> Found:
    """Return every place of a package that binds `name`, or the modules of that name when nothing does.

    When there are none of either, what the name was renamed to, or from, is the replacement.
    """
    places = candidates(world, package, name)
    if not places:
        position = world.environment.release_indexes[package]
        broken = [_place(world, module, name) for module in world.index.binders(name, package, position)]
        place = min(broken, key=_rank, default=None)
        return Found(place=place, replacement=None if place else _relative(world, package, name))
    return Found(place=places[0], others=places[1:])


def find_location(world: NameResolver, package: str, module: str, name: str) -> Found:
    """Return what `module:name` is; when it is no real object, where the real one is."""
    asked = _place(world, module, name)
    wanted = name or module.rpartition(".")[2]
    others = tuple(
        place for place in candidates(world, package, wanted) if (place.module, place.name) != (module, name)
    )
    if asked.answer.status not in UNUSABLE:
        return Found(place=asked, others=others)
    real = [place for place in others if place.answer.status not in UNUSABLE]
    replacement = None
    if asked.answer.status == "missing":
        replacement = _moved(world, package, module, name)
    replacement = replacement or _replacement(real, module)
    if replacement is None and name and asked.answer.status == "missing":
        replacement = _relative(world, package, name, module) or _relative(world, package, name)
    return Found(place=asked, others=others, replacement=replacement)


def find_path(world: NameResolver, package: str, path: str) -> Found:
    """Return what a dotted path is: a module, or a name in one."""
    if world.answer(path, "").status == "submodule":
        return find_location(world, package, path, "")
    module, _, name = path.rpartition(".")
    found = find_location(world, package, module, name)
    if found.status == "missing" and found.replacement is None and world.index.names_ever(path, package):
        return find_location(world, package, path, "")  # a module of another release
    held = _holder(world, package, module, name) if found.status == "missing" and "." in module else None
    return found if held is None else found._replace(replacement=held)


def _holder(world: NameResolver, package: str, path: str, attribute: str) -> Replacement | None:
    """Return the object that a path names, or named, when what follows it may be an attribute of that."""
    if world.index.number("modules", path) is not None:
        return None  # a module of another release
    module, _, name = path.rpartition(".")
    held = find_location(world, package, module, name)
    place, moved = held.place, held.replacement
    told = f"{attribute} may be an attribute of it, and these are not indexed"
    if place is not None and place.answer.status not in UNUSABLE and place.answer.kind != "module":
        return Replacement(place.module, place.name, _HELD, told)
    if moved is None or not moved.name or name not in world.index.names_ever(module, package):
        return None
    return moved._replace(confidence=min(moved.confidence, _HELD), evidence=f"{moved.evidence}; {told}")


def candidates(world: NameResolver, package: str, name: str) -> tuple[Place, ...]:
    """Return the places that bind `name` in this world, canonical first; stubs are among them."""
    position = world.environment.release_indexes[package]
    modules = world.index.binders(name, package, position)
    places = [_place(world, module, name) for module in modules]
    bound = [place for place in places if place.answer.status != "missing"]
    if not bound:
        named = world.index.modules_named(name, package, position)
        bound = [Place(module=module, name="", answer=world.answer(module, "")) for module in named]
    return tuple(sorted(bound, key=_rank))


def _place(world: NameResolver, module: str, name: str) -> Place:
    """Return what a location is; nothing is to be had from a module whose own import fails."""
    answer = world.answer(module, name)
    problem = world.problem(module) if answer.status != "missing" else None
    if problem:
        answer = Answer(status="missing", reason=problem, always_bound=False)
    return Place(module=module, name=name, answer=answer)


def _rank(place: Place) -> tuple[int, int, int, int, str]:
    """Order places: definitions before other names for them, certain before conditional, then by module."""
    answer = place.answer
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
    return tier, *nearness(place.module)


def _replacement(real: list[Place], module: str) -> Replacement | None:
    if not real:
        return None
    best = real[0]
    definers = sum(place.answer.status == "defined" for place in real)
    what = f"{best.answer.status} there under the same name"
    if definers <= 1:
        return Replacement(module=best.module, name=best.name, confidence=1.0, evidence=what)
    shared = any(place.module.startswith(f"{module}.") for place in real[:1])
    return Replacement(
        module=best.module,
        name=best.name,
        confidence=0.9 if shared else 0.7,
        evidence=f"{what}; {definers} modules define it",
    )


def _moved(world: NameResolver, package: str, module: str, name: str) -> Replacement | None:
    """Return where this very definition, or most of this very module, was or will be under the same name."""
    if not name:
        return _successor_module(world, package, module)
    moved = [each for each in relatives(world, package, name, module) if each.name == name]
    return _from_relative(moved[0]) if moved else None


def _relative(world: NameResolver, package: str, name: str, module: str | None = None) -> Replacement | None:
    """Return what a name, of one module or of any, is called in this release."""
    found = relatives(world, package, name, module)
    best = min(found, key=lambda each: (closeness(each.asked), -each.confidence), default=None)
    return None if best is None else _from_relative(best)


def _from_relative(relative: Relative) -> Replacement:
    return Replacement(
        module=relative.module,
        name=relative.name,
        confidence=relative.confidence,
        evidence=relative.evidence,
    )


def _successor_module(world: NameResolver, package: str, module: str) -> Replacement | None:
    """Return the module that has most of what a module defined in other releases."""
    found = [relatives(world, package, name, module) for name in world.index.names_followed(module, package)]
    firsts = [relative[0] for relative in found if relative]
    votes = Counter(first.module for first in firsts)
    if not votes:
        return None
    best, count = min(votes.items(), key=lambda vote: (-vote[1], vote[0]))
    confidence = sum(first.confidence for first in firsts if first.module == best) / len(firsts)
    if confidence < 0.5:
        return None
    evidence = f"{count} of {len(firsts)} definitions that can be followed are there"
    return Replacement(module=best, name="", confidence=round(confidence, 2), evidence=evidence)
