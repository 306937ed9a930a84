"""`load` and `require`, the functions that programs call at run time."""

import sys
from functools import lru_cache
from typing import Any

from packaging.utils import canonicalize_name

from compat.errors import SymbolUnavailable, UsageError
from compat.index.query.current_interpreter import here
from compat.index.query.name_resolution import NameResolver
from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES, PACKAGES
from compat.model.safety import SAFE_CONFIDENCE
from compat.model.symbols import UNUSABLE, location
from compat.probe import probe
from compat.requirements.check import unmet
from compat.resolve.canonical import Binding
from compat.resolve.query import Query, parse_query
from compat.resolve.search import Found, find
from compat.runtime import diagnoses
from compat.runtime.diagnoses import AskedDistribution
from compat.runtime.fork_safe_lock import ForkSafeLock
from compat.runtime.stub_detection import describe_stub

PLACES = 3
"""Most modules that are tried for one object: if one fails with a circular import, the next may not."""

_loaded: dict[tuple[str, str | None, float], Any] = {}
_first_errors: dict[str, BaseException] = {}
"""Top-level package to the exception of its first failed import; later errors would hide that cause."""


def load(query: str, *, package: str | None = None, confidence: float = SAFE_CONFIDENCE) -> Any:
    """Return the real object for a name or path in the installed release.

    `load` looks the name up in the index (for a release that the index does not cover: in the installed
    files), imports its module and checks that the object is not a stub. It is thread-safe, and caches
    objects.

    A path from another release leads to the present location of the same object, and a renamed name to its
    recorded successor. If several modules define a bare name, only the canonical one counts, which
    `compat resolve` shows.

    Args:
        query: a name (`GPTQLinearMethod`), a dotted path, `module:Name`, or an import statement for one name.
        package: `vllm`, `sglang`, `sglang-kernel` or `sgl-kernel`. Without it, a bare name must be
            unambiguous among the installed packages; a path names its package itself.
        confidence: between 0 and 1; a successor of less confidence only appears in the diagnosis, and so
            does one of another kind, such as a function that replaces a class.

    Raises:
        SymbolUnavailable: the package or the symbol does not exist here, the import fails, or the name is
            bound to a stub. `diagnosis` has the cause and the fix.
        UsageError: the query or the package is not valid, or the name is ambiguous and `package` is None.
    """
    key = (query, package, confidence)
    try:
        return _loaded[key]
    except KeyError:
        return _loaded.setdefault(key, _load(query, package, confidence))  # all threads get the same object


def require(*requirements: str) -> None:
    """Raise unless the installed distributions meet all requirements: `require("vllm>=0.20", "sglang")`.

    `require` reads versions from metadata and imports nothing. A requirement may name any distribution; one
    whose marker does not hold here is ignored, and the requirements of its extras must be met, too.

    Args:
        requirements: each in the form of a line of a requirements file.

    Raises:
        SymbolUnavailable: a requirement is not met; `diagnosis` says which, and what to install.
        UsageError: a requirement is not valid.
    """
    for requirement in requirements:
        diagnosis = unmet(requirement)
        if diagnosis is not None:
            raise diagnoses.as_error(diagnosis)


def _load(text: str, package: str | None, confidence: float) -> Any:
    query = _parsed(text)
    with _searching:
        resolver = _resolver()
        owner, found = _found(resolver, query, package)
        subject = AskedDistribution(resolver=resolver, package=owner)
        places = _places(found, confidence)
        if not places:
            raise diagnoses.as_error(diagnoses.not_found(_shipped(), subject, query, found))
    problems: list[SymbolUnavailable] = []
    for place in places:
        try:
            return _imported(subject, place)
        except SymbolUnavailable as error:  # noqa: PERF203 -- an import takes far longer
            problems.append(error)
    raise problems[0]


def _imported(subject: AskedDistribution, place: tuple[str, str]) -> Any:
    try:
        value = probe.at_origin(location(*place))
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- a third-party module may raise anything
        cause = _first(place[0].partition(".")[0], error)
        raise diagnoses.as_error(diagnoses.import_failed(subject, place, cause)) from cause
    with _searching:
        what = describe_stub(subject.resolver, *place, value)
        if what is not None:
            raise diagnoses.as_error(diagnoses.is_stub(subject, place, what))
    return value


def _first(top: str, error: BaseException) -> BaseException:
    """Return the exception of the package's first failed import if `error` merely follows from it."""
    if top in sys.modules:
        return error
    first = _first_errors.setdefault(top, error)
    return first if diagnoses.follows_failed_import(top, error) else error


def _parsed(text: str) -> Query:
    queries = parse_query(text)
    if len(queries) != 1:
        raise UsageError(f"{text!r} imports {len(queries)} names; pass one name at a time")
    return queries[0]


def _found(resolver: NameResolver, query: Query, package: str | None) -> tuple[str, Found]:
    """Return the distribution that answers a query, and the result of the search in it.

    Raises:
        SymbolUnavailable: the distribution is not installed.
        UsageError: the package is not indexed or does not match the path, or several packages have the name.
    """
    found = {name: find(resolver, name, query) for name in _asked(resolver, query, package)}
    having = {name: each for name, each in found.items() if _usable(each.binding)} or {
        name: each for name, each in found.items() if each.successor is not None
    }
    if len({_identity(each) for each in having.values()}) > 1:
        statements = " and ".join(str(each.statement) for each in having.values())
        raise UsageError(
            f"{query.text!r} is ambiguous: {statements}; pass package=, one of {', '.join(having)}"
        )
    # Prefer the distribution that defines the object to one that re-exports it.
    having = dict(sorted(having.items(), key=lambda item: _is_elsewhere(item[1])))
    return next(iter((having or found).items()))


def _asked(resolver: NameResolver, query: Query, package: str | None) -> list[str]:
    """Return the installed distributions in which to look for a query."""
    tops = [_import_name(package)] if package is not None else []
    tops += [query.top] if query.top is not None else []
    if len(set(tops)) > 1:
        raise UsageError(f"{query.text!r} is a path in {tops[1]}, not in {package}")
    known: list[str] = [name for name in PACKAGES if not tops or IMPORT_NAMES[name] == tops[0]]
    if not known:
        raise UsageError(
            f"{query.text!r}: {tops[0]} is not indexed; the indexed packages are {', '.join(PACKAGES)}"
        )
    present = [name for name in known if name in resolver.environment.release_indexes]
    if not present:
        had = [name for name in known if _shipped().binds_ever(query.name, name)]
        raise diagnoses.as_error(diagnoses.not_installed((had or known)[0], query.text))
    # If no installed release has the name, a distribution that once had it gives the better diagnosis.
    return (
        sorted(present, key=lambda name: not _shipped().binds_ever(query.name, name)) if not tops else present
    )


def _import_name(package: str) -> str:
    return IMPORT_NAMES.get(canonicalize_name(package), package)


def _usable(place: Binding | None) -> bool:
    return place is not None and place.answer.status not in UNUSABLE


def _is_elsewhere(found: Found) -> bool:
    return found.binding is not None and found.binding.answer.origin is not None


def _identity(found: Found) -> str:
    """Return the location that defines the object."""
    if not _usable(found.binding) and found.successor is not None:
        return location(found.successor.module, found.successor.name)
    return found.binding.origin if found.binding else ""


def _places(found: Found, confidence: float) -> list[tuple[str, str]]:
    """Return the locations to import from: the canonical one, then others of the same object."""
    place, successor = found.binding, found.successor
    if place is not None and _usable(place):
        same = [each for each in found.others if _usable(each) and each.origin == place.origin]
        return [(each.module, each.name) for each in (place, *same)][:PLACES]
    if successor is not None and successor.confidence >= confidence and successor.same_kind:
        return [(successor.module, successor.name)]
    if place is not None and place.answer.status == "missing" and place.answer.reason:
        # The index says that the import fails: the exception gives the better diagnosis.
        return [(place.module, place.name)]
    return []


@lru_cache(maxsize=1)
def _shipped() -> Index:
    return Index()


@lru_cache(maxsize=1)
def _resolver() -> NameResolver:
    """Return a resolver for this environment; cached, because imported modules stay loaded, too."""
    return here(_shipped())


def _close_index() -> None:
    _resolver.cache_clear()
    _shipped.cache_clear()


_searching = ForkSafeLock(_close_index)
"""Held during queries of the index, never during an import. A child process opens the index again, since a
connection of SQLite must not be used in two processes."""
