"""Evaluate the functions that version tests use, such as `hasattr` and `find_spec`, for one release."""

import operator
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from compat.scan.interpreter.values import UNKNOWN, Path, ScannedCodeError
from compat.scan.releases.index_lookup import LookupOutcome

BUILTINS = frozenset(
    {
        "hasattr", "getattr", "tuple", "list", "int", "str", "bool", "len", "map", "any", "all", "min", "max",
        "__import__",
    }
)  # fmt: skip

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
_PLAIN: Mapping[str, Callable[..., Any]] = {
    "builtins.tuple": tuple,
    "builtins.list": tuple,
    "builtins.int": int,
    "builtins.str": str,
    "builtins.bool": bool,
    "builtins.len": len,
    "builtins.any": any,
    "builtins.all": all,
    "builtins.min": min,
    "builtins.max": max,
    **{f"operator.{name}": getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
    **{f"_operator.{name}": getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
}
_METHODS = frozenset(
    {
        "split", "rsplit", "strip", "lstrip", "rstrip", "lower", "startswith", "endswith", "partition",
        "rpartition", "replace", "removeprefix", "removesuffix", "contains", "get", "isdigit",
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
_AVAILABILITY = ("_available", "_installed", "_is_available", "is_package_available", "_is_package_available")


class Here(Protocol):
    """The release for which code is evaluated."""

    version: str
    package: str
    tops: tuple[str, ...]

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
    """Return an attribute, or a bound method, of a version, a string or a distribution."""
    if value is UNKNOWN or value is None:
        return UNKNOWN
    kind = type(value).__name__
    if kind == "Version" and name in _VERSION_ATTRIBUTES:
        return str(value) if name == "version" else getattr(value, name)
    if isinstance(value, _Distribution):
        return value.version if name == "version" else UNKNOWN
    if name in _METHODS and (isinstance(value, str | dict) or kind == "SpecifierSet"):
        return getattr(value, name, UNKNOWN)
    return UNKNOWN


def method(function: Any, arguments: list[Any], keywords: dict[str, Any]) -> Any:
    """Return the result of a bound method of a plain value."""
    if UNKNOWN in arguments or UNKNOWN in keywords.values() or not callable(function):
        return UNKNOWN
    try:
        result = function(*arguments, **keywords)
    except Exception:  # noqa: BLE001 -- the value's method may raise anything
        return UNKNOWN
    return tuple(result) if isinstance(result, list) else result


def call(  # noqa: C901 -- one case per kind of function
    here: Here, function: str, arguments: list[Any], keywords: dict[str, Any]
) -> Any:
    """Return the result of a function in a release, `UNKNOWN` if it cannot be determined.

    Raises:
        ScannedCodeError: the call certainly raises an exception.
    """
    first = arguments[0] if arguments else UNKNOWN
    if function in ("builtins.hasattr", "builtins.getattr"):
        return _attribute_of(here, function, arguments)
    if function == "builtins.map" and len(arguments) == 2:
        return _mapped(here, first, arguments[1])
    if function in _IMPORTS:
        return _imported(here, first)
    if function in _SPECS:
        return _spec(here, first)
    if function in _METADATA and isinstance(first, str):
        if first not in {*here.tops, here.package}:
            return UNKNOWN
        return _Distribution(here.version) if function.endswith("distribution") else here.version
    if first is UNKNOWN or any(value is UNKNOWN for value in (*arguments, *keywords.values())):
        return UNKNOWN
    if function in _PARSERS:
        return _version(first)
    if function == "packaging.specifiers.SpecifierSet":
        return _specifier(first)
    if function in _PLAIN:
        try:
            return _PLAIN[function](*arguments, **keywords)
        except Exception:  # noqa: BLE001 -- the scanned code may pass anything
            return UNKNOWN
    last = function.rpartition(".")[2]
    if last.endswith(_AVAILABILITY) and first in here.tops:
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


def _mapped(here: Here, function: Any, values: Any) -> Any:
    if not isinstance(function, Path) or not isinstance(values, tuple):
        return UNKNOWN
    found = [call(here, function.text, [value], {}) for value in values]
    return UNKNOWN if any(value is UNKNOWN for value in found) else tuple(found)


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
    return _parsed(text) if isinstance(text, str) else UNKNOWN


@lru_cache(maxsize=1000)
def _parsed(text: str) -> Any:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(text)
    except InvalidVersion:
        return UNKNOWN


def _specifier(text: Any) -> Any:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

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
