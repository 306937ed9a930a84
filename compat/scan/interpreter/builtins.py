"""Evaluate the functions that version tests use, such as `hasattr` and `find_spec`, for one release."""

import operator
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from compat.scan.interpreter.patterns import Pattern, matched
from compat.scan.interpreter.values import (
    LARGEST,
    UNKNOWN,
    EnumMember,
    Path,
    ScannedCodeError,
    bounded,
    compared_as,
    known,
    size,
    truth,
)
from compat.scan.releases.index_lookup import LookupOutcome

_PARSERS = frozenset(
    {
        "packaging.version.parse", "packaging.version.Version", "pkg_resources.parse_version",
        "packaging.version.LegacyVersion", "distutils.version.LooseVersion",
        "distutils.version.StrictVersion",
        "pkg_resources.extern.packaging.version.parse", "setuptools.extern.packaging.version.parse",
        "looseversion.LooseVersion",
    }
)  # fmt: skip
_METADATA = frozenset(
    {"importlib.metadata.version", "importlib_metadata.version", "pkg_resources.get_distribution"}
)
_SPECS = frozenset(
    {"importlib.util.find_spec", "importlib.machinery.PathFinder.find_spec", "pkgutil.find_loader"}
)
_IMPORTS = frozenset({"importlib.import_module", "builtins.__import__"})
_COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
_PLAIN: Mapping[str, Callable[..., Any]] = {
    "builtins.tuple": tuple,
    "builtins.list": tuple,
    "builtins.set": frozenset,
    "builtins.frozenset": frozenset,
    "builtins.sorted": lambda values, **options: tuple(sorted(values, **options)),
    "builtins.int": int,
    "builtins.float": float,
    "builtins.str": str,
    "builtins.len": len,
    "builtins.min": min,
    "builtins.max": max,
    "builtins.sum": sum,
    **{
        f"{module}.{name}": getattr(operator, name)
        for name in _COMPARISONS
        for module in ("operator", "_operator")
    },
}
"""Functions of Python that are applied to constants, and to nothing else."""
_TRUTHS: Mapping[str, Callable[[list[bool | None]], Any]] = {
    "builtins.any": lambda truths: True if True in truths else UNKNOWN if None in truths else False,
    "builtins.all": lambda truths: False if False in truths else UNKNOWN if None in truths else True,
}
BUILTINS = frozenset(
    {
        *("hasattr", "getattr", "map", "bool", "__import__"),
        *(name.removeprefix("builtins.") for name in (*_PLAIN, *_TRUTHS) if name.startswith("builtins.")),
    }
)
"""The built-in functions that are evaluated; a call of any other one is unknown."""

_METHODS = frozenset(
    {
        "split", "rsplit", "strip", "lstrip", "rstrip", "lower", "startswith", "endswith", "partition",
        "rpartition", "replace", "removeprefix", "removesuffix", "contains", "get", "isdigit", "isnumeric",
        "isdecimal", "join", "format", "count", "find", "index", "group", "groups", "upper", "casefold",
    }
)  # fmt: skip
_VERSION_ATTRIBUTES = frozenset(
    {
        "release", "base_version", "public", "major", "minor", "micro", "is_prerelease", "is_postrelease",
        "is_devrelease", "local", "post", "pre", "dev", "epoch", "version",
    }
)  # fmt: skip
ATTRIBUTES = _METHODS | _VERSION_ATTRIBUTES
"""The attributes and methods of versions and strings that are evaluated."""
_LONGEST_VERSION = 200
_LONGEST_SPECIFIER = 2_000
_AVAILABILITY = ("_available", "_installed", "_is_available", "is_package_available", "_is_package_available")


class Here(Protocol):
    """The release for which code is evaluated."""

    package: str
    tops: tuple[str, ...]

    @property
    def version(self) -> str:
        """The version of the release."""

    def attribute_outcome(self, base: str, name: str) -> LookupOutcome:
        """Return the outcome of reading `base.name`."""

    def import_outcome(self, module: str, name: str) -> LookupOutcome:
        """Return the outcome of an import."""


@lru_cache(maxsize=1000)
def release(version: str) -> tuple[int, ...]:
    """Return the release segment of a version, such as `(0, 9, 2)`."""
    from packaging.version import Version

    return Version(version).release


def attribute(value: Any, name: str) -> Any:
    """Return an attribute, or a bound method, of a version, a string, a match or a distribution."""
    if isinstance(value, EnumMember) and name in ("name", "value"):
        return value.name if name == "name" else value.value
    if isinstance(value, Pattern):
        return value.method(name)
    value = compared_as(value)
    kind = type(value).__name__
    if kind == "Version" and name in _VERSION_ATTRIBUTES:
        return str(value) if name == "version" else getattr(value, name)
    if isinstance(value, _Distribution):
        return value.version if name == "version" else UNKNOWN
    if name in _METHODS and (type(value) in (str, dict) or kind in ("SpecifierSet", "Match")):
        return getattr(value, name, UNKNOWN)
    return UNKNOWN


def method(function: Any, arguments: list[Any], keywords: dict[str, Any]) -> Any:
    """Return the result of a bound method of a plain value; `UNKNOWN` if an argument is not a constant."""
    arguments = [compared_as(each) for each in arguments]
    given = (*arguments, *keywords.values())
    if not callable(function) or not all(map(known, given)):
        return UNKNOWN
    if getattr(function, "__name__", "") == "format" and ":" in str(getattr(function, "__self__", "")):
        return UNKNOWN  # a format such as a width may ask for any amount of text
    # No method in `_METHODS` returns more than the product of the sizes of what it is given.
    if size(getattr(function, "__self__", "")) * size(*given, "") > LARGEST:
        return UNKNOWN
    try:
        result = function(*arguments, **keywords)
    except Exception:  # noqa: BLE001 -- the value's method may raise anything
        return UNKNOWN
    return tuple(result) if isinstance(result, list) else result


def call(here: Here, function: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
    """Return the result of a function in a release, `UNKNOWN` if it cannot be determined.

    Only the functions that ask about the release take anything but constants.

    Raises:
        ScannedCodeError: the call certainly raises an exception.
    """
    first = arguments[0] if arguments else UNKNOWN
    if function in ("builtins.hasattr", "builtins.getattr"):
        return _attribute_of(here, function, arguments)
    if function in _IMPORTS:
        return _imported(here, first)
    if function in _SPECS:
        return _spec(here, first)
    if function in _METADATA and isinstance(first, str):
        if first not in {*here.tops, here.package}:
            return UNKNOWN
        return _Distribution(here.version) if function.endswith("distribution") else here.version
    if function == "builtins.bool" and len(arguments) == 1:
        answer = truth(first)
        return UNKNOWN if answer is None else answer
    if function in _TRUTHS:
        return _TRUTHS[function]([truth(each) for each in first]) if type(first) is tuple else UNKNOWN
    if function not in ("builtins.str", "builtins.len"):
        arguments = [compared_as(each) for each in arguments]
    return _computed(here, function, arguments, keywords)


def _computed(here: Here, function: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
    """Return the result of a function that takes constants."""
    given = (*arguments, *keywords.values())
    if not arguments or not all(map(known, given)) or size(*given) > LARGEST:
        return UNKNOWN
    first = arguments[0]
    if function in _PARSERS:
        return _version(first)
    if function == "packaging.specifiers.SpecifierSet":
        return _specifier(first)
    if function == "re.compile" and not keywords:
        return Pattern(first) if len(arguments) == 1 and isinstance(first, str) else UNKNOWN
    if function.startswith("re.") and not keywords:
        return matched(function, *arguments) if len(arguments) == 2 else UNKNOWN
    if function in _PLAIN:
        try:
            return bounded(_PLAIN[function](*arguments, **keywords))
        except Exception:  # noqa: BLE001 -- the scanned code may pass anything
            return UNKNOWN
    if function.rpartition(".")[2].endswith(_AVAILABILITY) and first in here.tops:
        return True
    return UNKNOWN


class _Distribution:
    """The result of `pkg_resources.get_distribution`, reduced to its version."""

    def __init__(self, version: str) -> None:
        self.version = version


def _attribute_of(here: Here, function: str, arguments: list[Any]) -> Any:
    match arguments:
        case [Path(text), str() as name, *default]:
            if text.partition(".")[0] not in here.tops:
                return UNKNOWN
            outcome = here.attribute_outcome(text, name)
            known = outcome.answer.status not in ("dynamic", "conditional")
            if function == "builtins.hasattr":
                return not outcome.failing if known else UNKNOWN
            if outcome.failing:
                if default:
                    return default[0]
                raise ScannedCodeError("AttributeError")
            if name == "__version__":
                return here.version
            return Path(f"{text}.{name}") if known else UNKNOWN
    return UNKNOWN


def _imported(here: Here, module: Any) -> Any:
    if not isinstance(module, str) or module.partition(".")[0] not in here.tops:
        return UNKNOWN
    failing = here.import_outcome(module, "").failing
    if failing:
        raise ScannedCodeError("ModuleNotFoundError" if failing == "module" else "ImportError")
    return Path(module)


def _spec(here: Here, module: Any) -> Any:
    if not isinstance(module, str):
        return UNKNOWN
    top = module.partition(".")[0]
    if top in here.tops:
        parent = module.rpartition(".")[0]
        if parent and here.import_outcome(parent, "").failing == "module":
            raise ScannedCodeError("ModuleNotFoundError")
        return None if here.import_outcome(module, "").failing == "module" else Path(f"spec of {module}")
    return Path(f"spec of {module}") if top in sys.stdlib_module_names else UNKNOWN


def _version(text: Any) -> Any:
    from packaging.version import Version

    if isinstance(text, Version):
        return text
    return _parsed(text) if isinstance(text, str) and len(text) <= _LONGEST_VERSION else UNKNOWN


@lru_cache(maxsize=1000)
def _parsed(text: str) -> Any:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(text)
    except InvalidVersion:
        return UNKNOWN


def _specifier(text: Any) -> Any:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    if isinstance(text, str) and len(text) > _LONGEST_SPECIFIER:
        return UNKNOWN
    try:
        return SpecifierSet(text, prereleases=True)
    except (InvalidSpecifier, TypeError, AttributeError):
        return UNKNOWN


@lru_cache(maxsize=1000)
def admits(specifier: str, versions: tuple[str, ...]) -> bool:
    """Return whether a string is a non-empty specifier that one of the versions satisfies."""
    found = _specifier(specifier)
    return found is not UNKNOWN and bool(found) and any(found.contains(version) for version in versions)


def available(name: str, tops: tuple[str, ...]) -> bool | None:
    """Return True if the name of a predicate asks for an available package: `is_vllm_available`.

    None if it asks for something else.
    """
    words = name.lower().strip("_").split("_")
    asked = [top for top in tops if top in words]
    state = {"available", "installed", "exists", "present", "found"} & set(words)
    has = words[:1] in (["has"], ["have"]) and len(words) == 2
    return True if asked and (state or has) and not {"version", "not", "no"} & set(words) else None
