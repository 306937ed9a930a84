"""Explain stubs: the packages whose absence causes them, and empty classes that are not stubs."""

import sys

from compat.index.query.name_resolution import NameResolver
from compat.index.records import Branch
from compat.model.guards import ALWAYS, All, AnyOf, Condition, Const, Guard, Imports, Not
from compat.model.symbols import location, split_location


def lacking(resolver: NameResolver, module: str, name: str) -> tuple[str, ...]:
    """Return the top-level names that the guards of `module:name` import and that are not installed."""
    tops = {target.partition(".")[0] for target in wanted(resolver, module, name)}
    return tuple(sorted(top for top in tops if _is_absent(resolver, top)))


def wanted(resolver: NameResolver, module: str, name: str) -> tuple[str, ...]:
    """Return the modules that the guards of `module:name` import."""
    branches = branches_of(resolver, module, name)
    return tuple(sorted({target for branch in branches for target in _targets(branch.guard)}))


def is_chosen(resolver: NameResolver, module: str, name: str) -> bool:
    """Return whether a release binds `module:name` by conditions alone, such as `if is_hip()`.

    No import failed for its stub then: the release has no other object for this device or version.
    """
    guards = [branch.guard for branch in branches_of(resolver, module, name)]
    return any(guard != ALWAYS for guard in guards) and all(map(_only_conditions, guards))


def is_at_home(
    resolver: NameResolver, module: str, name: str, home: str | None, qualname: str | None
) -> bool:
    """Return whether an empty class or function is defined where its attributes say: it is no stub.

    Args:
        resolver: the resolver for the installed releases.
        module: the module that binds the object.
        name: the name that the object is bound to.
        home: its `__module__`.
        qualname: its `__qualname__`.
    """
    answer = resolver.answer(module, name)
    wanted = split_location(answer.origin or location(module, name))[1]
    if answer.status == "placeholder" or home is None or qualname != wanted:
        return False  # one dummy may be bound to many names
    if resolver.answer(home, qualname).status == "defined":
        return True
    return all(branch.status != "placeholder" for branch in branches_of(resolver, home, qualname))


def branches_of(resolver: NameResolver, module: str, name: str) -> tuple[Branch, ...]:
    """Return the branches of a name in the installed release; empty if the module is not indexed."""
    package = resolver.owner(module)
    if package is None:
        return ()
    return resolver.index.branches(module, name, package, resolver.environment.release_indexes[package])


def _is_absent(resolver: NameResolver, top: str) -> bool:
    facts = resolver.environment
    if top in sys.stdlib_module_names:
        return False
    if top in resolver.index.owners and any(
        owner in facts.release_indexes for owner in resolver.index.owners[top]
    ):
        return False
    return top in facts.absent or (facts.provided is not None and top not in facts.provided)


def _only_conditions(guard: Guard) -> bool:
    match guard:
        case Not(inner):
            return _only_conditions(inner)
        case All(guards) | AnyOf(guards):
            return all(map(_only_conditions, guards))
    return isinstance(guard, Condition | Const)


def _targets(guard: Guard) -> set[str]:
    """Return the modules that a guard imports."""
    match guard:
        case Imports(targets):
            return {target.partition(":")[0] for target in targets}
        case Not(inner):
            return _targets(inner)
        case All(guards) | AnyOf(guards):
            return {target for part in guards for target in _targets(part)}
    return set()
