"""Symbols, where they live, and what can be said of a location in one release."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Status = Literal[
        "defined", "reexported", "submodule", "lazy", "conditional", "placeholder", "dynamic", "missing"
    ]
    """What a location is in a release."""

    Kind = Literal["class", "function", "module", "value"]
    """What a name is bound to; `value` is everything that is no class, function or module."""
else:  # `typing` takes longer to load than most answers take to find
    Status = Kind = str

STATUSES: tuple[Status, ...] = (
    "defined",
    "reexported",
    "submodule",
    "lazy",
    "conditional",
    "placeholder",
    "dynamic",
    "missing",
)
KINDS: tuple[Kind, ...] = ("class", "function", "module", "value")

UNUSABLE: frozenset[Status] = frozenset({"missing", "placeholder"})
"""A location in one of these states gives no real object."""


def location(module: str, name: str) -> str:
    """Return the location as text, `module:name`; a module itself is written without a name."""
    return f"{module}:{name}" if name else module


def split_location(text: str) -> tuple[str, str]:
    """Return module and name of a location; the name is empty when the location is a module."""
    module, _, name = text.partition(":")
    return module, name


def import_statement(module: str, name: str) -> str:
    """Return the statement that brings a location into a user's file."""
    return f"from {module} import {name}" if name else f"import {module}"
