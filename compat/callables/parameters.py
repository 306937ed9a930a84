"""The parameters of a function, the arguments of a call, and how they do not fit together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters of a function or method in one release."""

    names: tuple[str, ...]
    required: frozenset[str]
    open: bool
    """Whether it accepts arbitrary keyword arguments."""
    positional: int | None
    """The number of positional arguments that it accepts, `self` included; None for any number."""
    by_position: int
    """The number of names, from the first, that a positional argument can set."""
    certain: bool = True
    """Whether the source shows all of it: no decorator and no second definition may change it."""
    static: bool = False
    """Whether it takes no `self`: a function of a module, or a static method."""
    of_class: bool = False
    """Whether its first parameter is the class, for every way of calling it."""

    @property
    def text(self) -> str:
        """The parameters as text without `self`: `(x, y=…, *, z=…)`."""
        names = self.names if self.static else self.names[1:]
        bound = self.by_position - (not self.static)
        parts = [name if name in self.required else f"{name}=…" for name in names]
        if self.positional is None:
            parts.insert(bound, "*…")
        elif bound < len(parts):
            parts.insert(bound, "*")
        return f"({', '.join([*parts, *(['**…'] if self.open else [])])})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The arguments of a call, as the source shows them."""

    positional: int
    """The number of positional arguments, those of `*args` not counted."""
    keywords: tuple[str, ...]
    more_positional: bool = False
    """Whether the call passes `*args`."""
    more_keywords: bool = False
    """Whether the call passes `**kwargs`."""
    partial: bool = False
    """Whether more arguments follow later, as for `functools.partial`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """Why a function does not accept a call."""

    kind: Literal["unexpected", "missing", "many", "twice"]
    names: tuple[str, ...] = ()
    """The arguments; empty for `many`."""
    most: int = 0
    """For `many`, the number of positional arguments that the function accepts, without `self`."""


def misfit(arguments: Arguments, parameters: Parameters, *, bound: int) -> Misfit | None:
    """Return why a call does not fit, None if it may.

    Args:
        arguments: the arguments of the call.
        parameters: the parameters of what is called.
        bound: 1 if the call passes the first parameter implicitly, as for a method of an object, else 0.
    """
    names = parameters.names
    unexpected = tuple(each for each in arguments.keywords if each not in names)
    if unexpected and not parameters.open:
        return Misfit(kind="unexpected", names=unexpected)
    given = arguments.positional + bound
    if parameters.positional is not None and given > parameters.positional:
        return Misfit(kind="many", most=parameters.positional - bound)
    set_by_position = names[: min(given, parameters.by_position)]
    twice = tuple(each for each in arguments.keywords if each in set_by_position)
    if twice:
        return Misfit(kind="twice", names=twice)
    if arguments.more_positional or arguments.more_keywords or arguments.partial:
        return None
    set_by_name = {*set_by_position, *arguments.keywords}
    missing = tuple(each for each in names if each in parameters.required and each not in set_by_name)
    return Misfit(kind="missing", names=missing) if missing else None


@lru_cache(maxsize=10_000)
def parsed(text: str) -> Parameters:
    """Return the parameters that `compat.source_outlines.extract.parameters` wrote."""
    names: list[str] = []
    required: set[str] = set()
    by_position: int | None = None
    open_ = many = False
    for part in text.split(","):
        if part.startswith("**"):
            open_ = True
        elif part.startswith("*"):
            by_position, many = (len(names) if by_position is None else by_position), many or part != "*"
        elif part:
            names.append(part.rstrip("="))
            required |= set() if part.endswith("=") else {part}
    if by_position is None:
        by_position = len(names)
    return Parameters(
        names=tuple(names), required=frozenset(required - {"self", "cls"}), open=open_,
        positional=None if many else by_position, by_position=by_position,
    )  # fmt: skip
