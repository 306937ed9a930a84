"""Detect stubs that are bound instead of the real object, by the object itself and by the index."""

import sys
import types

from compat.index.query.name_resolution import NameResolver
from compat.index.query.stubs import branches_of, is_at_home
from compat.model.guards import All, Guard, Imports, Not
from compat.model.releases import IMPORT_NAMES
from compat.model.symbols import split_location
from compat.probe import probe

WORDS = {
    "none": "None",
    "any": "typing.Any",
    "object": "object",
    "hollow class": "an empty class",
    "hollow function": "a function that does nothing",
}
"""The probe's kinds of stub, as text for people."""


def describe_stub(resolver: NameResolver, module: str, name: str, value: object) -> str | None:
    """Return a description of `value` if it is a stub for `module:name`, or None if it is the real object.

    None, `typing.Any` and `object` are always stubs. A class or function without behaviour may be real, such
    as a base class: it is real if the index has a definition of this name where the object says it is
    defined.
    """
    if not name:
        return None if isinstance(value, types.ModuleType) else f"{_described(value)} instead of a module"
    stub = probe.stub_of(value)
    if stub is None:
        return _described(value) if _bound_instead(resolver, module, name, value) else None
    home, qualname = probe.text_of(value, "__module__"), probe.text_of(value, "__qualname__")
    real = stub.startswith("hollow") and is_at_home(resolver, module, name, home, qualname)
    return None if real else WORDS[stub]


def _bound_instead(resolver: NameResolver, module: str, name: str, value: object) -> bool:
    """Return whether a placeholder instance is bound because the import of the real object failed.

    sglang and vllm bind the exception itself, or an instance of a class that raises when it is used.
    """
    top = type(value).__module__.partition(".")[0]
    if probe.kind_of(value) != "value" or not (
        isinstance(value, BaseException) or top in IMPORT_NAMES.values()
    ):
        return False
    branches = branches_of(resolver, module, name)
    imported = [branch.target for branch in branches if branch.status == "reexported" and branch.target]
    made = any(branch.status == "defined" and _after_failed_import(branch.guard) for branch in branches)
    return made and bool(imported) and not any(_loaded(target) is value for target in imported)


def _loaded(target: str) -> object:
    """Return the object at a location if its module is already imported, else `probe.ABSENT`."""
    module, name = split_location(target)
    found = sys.modules.get(module, probe.ABSENT)
    return getattr(found, name, probe.ABSENT) if name else found


def _after_failed_import(guard: Guard) -> bool:
    parts = guard.guards if isinstance(guard, All) else (guard,)
    return any(isinstance(part, Not) and isinstance(part.guard, Imports) for part in parts)


def _described(value: object) -> str:
    return f"an instance of {type(value).__module__}.{type(value).__qualname__}"
