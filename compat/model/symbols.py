"""Locations of symbols (`module:name`), and the status and kind that a location has in a release."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Status = Literal[
        "defined", "reexported", "submodule", "lazy", "conditional", "placeholder", "dynamic", "missing"
    ]
    """What a location is in a release, as `resolve` reports it."""

    Kind = Literal["class", "function", "module", "value"]
    """What a name is bound to; `value` is everything other than a class, function or module."""
else:  # `typing` takes longer to import than most answers
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
"""The statuses of a location that yields no real object."""

_PERIPHERAL = frozenset(
    {
        *("bench", "benchmark", "benchmarks", "example", "examples", "test", "testing", "tests"),
        *("third_party", "thirdparty", "vendor", "vendored", "_vendor"),
    }
)
"""The folders and modules of tests, benchmarks, examples and vendored code."""
_PERIPHERAL_PREFIXES = (".test_", ".bench_", ".benchmark_")


def location(module: str, name: str) -> str:
    """Return a location as text, `module:name`, or `module` for a module itself."""
    return f"{module}:{name}" if name else module


def split_location(text: str) -> tuple[str, str]:
    """Return the module and the name of a location; the name is empty for a module itself."""
    module, _, name = text.partition(":")
    return module, name


def import_statement(module: str, name: str) -> str:
    """Return the import statement for a location."""
    return f"from {module} import {name}" if name else f"import {module}"


def is_peripheral(module: str) -> bool:
    """Return whether a module belongs to tests, benchmarks, examples or vendored code."""
    if not _PERIPHERAL.isdisjoint(module.split(".")):
        return True
    return any(prefix in module for prefix in _PERIPHERAL_PREFIXES)
