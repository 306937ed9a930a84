"""The binding events of one module, and their reduction to the bindings that remain after its import."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from compat.model.guards import ALWAYS, NEVER, All, AnyOf, Guard, Imports, Not, both, either, negated
from compat.model.symbols import Kind, Status

Form = Literal[
    "class", "function", "value", "none", "any", "import", "alias", "lazy", "star", "delete", "need"
]
"""How a name is bound; `need` is an import that must succeed and binds none, `any` is `Any` or `object`."""

REAL: frozenset[Form] = frozenset({"class", "function", "import", "alias", "star"})
"""The forms of a real object: next to one, a stand-in in another branch counts as a stub."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One top-level statement that binds, rebinds or removes a name, in source order."""

    name: str
    form: Form
    guard: Guard = ALWAYS
    target: str | None = None
    """The location that an import, alias or lazy table refers to."""
    hollow: bool = False
    """Whether it is a class or function whose body does nothing."""
    refusal: str | None = None
    """The error with which a class or function refuses every use; None for one that can be used."""
    stands_in: bool = False
    """Whether a branch that never runs, as under TYPE_CHECKING, binds the name to a real object."""
    truth: Guard | None = None
    """The condition, if the value is one."""
    signature: str | None = None
    """The signature of a class or function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledBinding:
    """One branch of a binding: its status and target apply if its guard is true."""

    name: str
    status: Status
    kind: Kind | None
    """None if it depends on the target."""
    target: str | None
    guard: Guard
    truth: Guard | None
    signature: str | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleFacts:
    """What the top level of one module binds and exports."""

    events: tuple[Event, ...]
    exports: tuple[str, ...] | None
    """`__all__`; None if it does not exist or cannot be determined."""
    withheld: tuple[str, ...]
    """Without `exports`: public names that a star import does not bind."""
    open: bool
    """Whether the module may bind names that its source does not show."""


def settle(events: Iterable[Event]) -> tuple[SettledBinding, ...]:
    """Return the bindings that exist after the module body has run, ordered by name and source line.

    Of several bindings of one name the last whose guard holds wins; those before the last unguarded one are
    dropped. Imports that leave no binding of their own are kept under the empty name: the module needs them.
    """
    history: dict[str, list[Event]] = {}
    needs: dict[tuple[str, Guard], None] = {}
    for event in events:
        if event.form == "need":
            needs[event.target or "", event.guard] = None
            continue
        past = history.setdefault(event.name, [])
        if event.guard == ALWAYS:
            needs.update(
                {(gone.target, gone.guard): None for gone in past if gone.form == "import" and gone.target}
            )
            past.clear()
        past.append(event)
    settled: list[SettledBinding] = []
    for name in sorted(history):
        branches = history[name]
        if branches[0].form == "delete":
            branches = branches[1:]
        settled.extend(_binding(event, branches) for event in branches)
    settled.extend(
        SettledBinding(name="", status="reexported", kind="module", target=target, guard=guard, truth=None)
        for target, guard in sorted(needs, key=lambda need: (need[0], repr(need[1])))
    )
    return tuple(settled)


def presence(events: Iterable[Event]) -> Guard:
    """Return the condition under which the events bind their name to a value other than None."""
    present: Guard = NEVER
    for event in events:
        bound = NEVER if event.form in ("none", "delete") else ALWAYS
        present = either(both(event.guard, bound), both(negated(event.guard), present))
    return present


def _binding(event: Event, branches: list[Event]) -> SettledBinding:
    status, kind = _status(event, branches)
    return SettledBinding(
        name=event.name,
        status=status,
        kind=kind,
        target=None if event.form in ("class", "function") else event.target,
        guard=event.guard,
        truth=event.truth,
        signature=event.signature,
        refusal=event.refusal,
    )


def _status(event: Event, branches: list[Event]) -> tuple[Status, Kind | None]:
    """Return the status and kind of one of the branches of a name."""
    if event.form == "delete":
        return "missing", None
    if _is_stub(event, branches):
        kinds: dict[Form, Kind] = {"class": "class", "function": "function"}
        return "placeholder", kinds.get(event.form, "value")
    match event.form:
        case "class":
            return "defined", "class"
        case "function":
            return "defined", "function"
        case "import" | "alias" | "star":
            return "reexported", None
        case "lazy":
            return "lazy", None
        case _:
            return "defined", "value"


def _is_stub(event: Event, branches: list[Event]) -> bool:
    """Return whether a branch binds a stub: a stand-in for a real object of another branch.

    `Any` and `object` under a guard are always stubs, and so are an empty class in the branch that a failed
    import leaves and what refuses every use; None alone is how variables begin.
    """
    if event.refusal is not None:
        return True
    if event.form == "any":
        return event.guard != ALWAYS or event.stands_in
    others = event.stands_in or any(
        other is not event and other.form in REAL and not other.hollow for other in branches
    )
    if event.form == "none":
        return others
    if not event.hollow:
        return False
    return others or (event.form == "class" and _after_failed_import(event.guard))


def _after_failed_import(guard: Guard) -> bool:
    parts = guard.guards if isinstance(guard, All | AnyOf) else (guard,)
    return any(isinstance(part, Not) and isinstance(part.guard, Imports) for part in parts)
