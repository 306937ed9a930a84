"""`load` and `require`: what programs call. They import what they are asked for, and nothing else."""

import sys
import threading
from functools import lru_cache
from typing import Any

from packaging.utils import canonicalize_name

from compat.errors import SymbolUnavailable, UsageError
from compat.index.query.current_interpreter import here
from compat.index.query.name_resolution import NameResolver
from compat.index.reader import Index
from compat.model.releases import IMPORT_NAMES, PACKAGES
from compat.model.symbols import UNUSABLE, location
from compat.probe import probe
from compat.requirements.check import unmet
from compat.resolve.query import Query, parse_query
from compat.resolve.search import Found, Place, find
from compat.runtime import diagnoses
from compat.runtime.diagnoses import AskedDistribution
from compat.runtime.stub_detection import stand_in

CONFIDENCE = 0.75
"""How sure a successor must be to be followed unasked. Of the renames judged by hand (docs/renames.md) the
wrong ones had at most 0.72, and 0.70 is what a namesake gets when several modules define the name."""

PLACES = 3
"""Modules that are tried for one thing: where one stumbles over a circular import the next may not."""

_loaded: dict[tuple[str, str | None, float], Any] = {}
_ended: dict[str, BaseException] = {}
"""Top-level package to what first ended its import: of what that leaves behind Python says little."""
_searching = threading.RLock()
"""Held while the index is asked, never while a package is imported."""


def load(query: str, *, package: str | None = None, confidence: float = CONFIDENCE) -> Any:
    """Return the real object that a name stands for in the installed release.

    The name is looked up in the index, or in the installed files of a release that the index does not know;
    its module is imported; the object is compared with what it should be. Many threads may call it; what was
    found once is kept.

    A path that is wrong for the installed release is followed to where the same thing is now, a name that was
    renamed to its recorded successor. Of several modules that define a bare name the canonical one is meant,
    which `compat resolve` tells; another is never taken in its place.

    Args:
        query: a name (`GPTQLinearMethod`), a dotted path, `module:Name`, or an import statement for one name.
        package: `vllm`, `sglang`, `sglang-kernel` or `sgl-kernel`. Without it a bare name must mean one thing
            in all that is installed; a path tells by itself.
        confidence: between 0 and 1; a successor less sure than this is told in the diagnosis only.

    Raises:
        SymbolUnavailable: there is no real object: package or symbol are not there, the import fails, or what
            is bound is a stub. Its `diagnosis` tells why, and what to do.
        UsageError: no such query or package, or the name means several things and no package is given.
    """
    key = (query, package, confidence)
    try:
        return _loaded[key]
    except KeyError:
        return _loaded.setdefault(key, _load(query, package, confidence))  # two threads get the first one's


def require(*requirements: str) -> None:
    """Insist on installed releases: `require("vllm>=0.20", "sglang")`.

    Versions are read from metadata, nothing is imported. Any distribution may be named. One whose marker does
    not hold here is not required; of extras, what they ask for is required too.

    Args:
        requirements: each as a line of a requirements file.

    Raises:
        SymbolUnavailable: one is not met; its `diagnosis` tells which, and what to install.
        UsageError: one cannot be read.
    """
    for requirement in requirements:
        diagnosis = unmet(requirement)
        if diagnosis is not None:
            raise diagnoses.refused(diagnosis)


def _load(text: str, package: str | None, confidence: float) -> Any:
    query = _parsed(text)
    with _searching:
        resolver = _resolver()
        owner, found = _found(resolver, query, package)
        subject = AskedDistribution(resolver=resolver, package=owner)
        places = _places(found, confidence)
        if not places:
            raise diagnoses.refused(diagnoses.not_found(_shipped(), subject, query, found))
    problems: list[SymbolUnavailable] = []
    for place in places:
        try:
            return _imported(subject, place)
        except SymbolUnavailable as error:  # noqa: PERF203 -- an import dwarfs it
            problems.append(error)
    raise problems[0]


def _imported(subject: AskedDistribution, place: tuple[str, str]) -> Any:
    try:
        value = probe.at_origin(location(*place))
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- a foreign module may raise anything
        cause = _first(place[0].partition(".")[0], error)
        raise diagnoses.refused(diagnoses.failed(subject, place, cause)) from cause
    with _searching:
        what = stand_in(subject.resolver, *place, value)
        if what is not None:
            raise diagnoses.refused(diagnoses.stood_in(subject, place, what))
    return value


def _first(top: str, error: BaseException) -> BaseException:
    """Return what ended the import of a package when an error only tells that it is not there any more."""
    if top in sys.modules:
        return error
    first = _ended.setdefault(top, error)
    return first if diagnoses.left_behind(top, error) else error


def _parsed(text: str) -> Query:
    queries = parse_query(text)
    if len(queries) != 1:
        raise UsageError(f"{text!r} asks for {len(queries)} names; load one at a time")
    return queries[0]


def _found(resolver: NameResolver, query: Query, package: str | None) -> tuple[str, Found]:
    """Return the distribution that is asked, and what it has.

    Raises:
        SymbolUnavailable: it is not installed.
        UsageError: it is not known, or does not fit the path, or several have the name.
    """
    found = {name: find(resolver, name, query) for name in _asked(resolver, query, package)}
    having = {name: each for name, each in found.items() if _usable(each.place)} or {
        name: each for name, each in found.items() if each.replacement is not None
    }
    if len({_identity(each) for each in having.values()}) > 1:
        statements = " and ".join(str(each.statement) for each in having.values())
        raise UsageError(
            f"{query.text!r} may be had by {statements}; give package=, one of {', '.join(having)}"
        )
    # Of two names for one thing, the one where it is defined.
    having = dict(sorted(having.items(), key=lambda item: _is_elsewhere(item[1])))
    return next(iter((having or found).items()))


def _asked(resolver: NameResolver, query: Query, package: str | None) -> list[str]:
    """Return the installed distributions that a query is asked of."""
    tops = [_import_name(package)] if package is not None else []
    tops += [query.top] if query.top is not None else []
    if len(set(tops)) > 1:
        raise UsageError(f"{query.text!r} leads into {tops[1]}, not into {package}")
    known: list[str] = [name for name in PACKAGES if not tops or IMPORT_NAMES[name] == tops[0]]
    if not known:
        raise UsageError(f"{query.text!r}: {tops[0]} is not indexed; {', '.join(PACKAGES)} are")
    present = [name for name in known if name in resolver.environment.release_indexes]
    if not present:
        had = [name for name in known if _shipped().binds_ever(query.name, name)]
        raise diagnoses.refused(diagnoses.not_installed((had or known)[0], query.text))
    # A name that nothing here has is told by the first that ever had it.
    return (
        sorted(present, key=lambda name: not _shipped().binds_ever(query.name, name)) if not tops else present
    )


def _import_name(package: str) -> str:
    return IMPORT_NAMES.get(canonicalize_name(package), package)


def _usable(place: Place | None) -> bool:
    return place is not None and place.answer.status not in UNUSABLE


def _is_elsewhere(found: Found) -> bool:
    return found.place is not None and found.place.answer.origin is not None


def _identity(found: Found) -> str:
    """Return where the thing itself is."""
    if not _usable(found.place) and found.replacement is not None:
        return location(found.replacement.module, found.replacement.name)
    return _origin(found.place) if found.place else ""


def _origin(place: Place) -> str:
    return place.answer.origin or location(place.module, place.name)


def _places(found: Found, confidence: float) -> list[tuple[str, str]]:
    """Return where to import it from: the canonical place, then others that have the very same thing."""
    place, successor = found.place, found.replacement
    if place is not None and _usable(place):
        same = [each for each in found.others if _usable(each) and _origin(each) == _origin(place)]
        return [(each.module, each.name) for each in (place, *same)][:PLACES]
    if successor is not None and successor.confidence >= confidence:
        return [(successor.module, successor.name)]
    if place is not None and place.answer.status == "missing" and place.answer.reason:
        return [
            (place.module, place.name)
        ]  # it is there, and the index says why its import must fail: let it
    return []


@lru_cache(maxsize=1)
def _shipped() -> Index:
    return Index()


@lru_cache(maxsize=1)
def _resolver() -> NameResolver:
    """Return what is installed; read once, for what was imported from it stays loaded, too."""
    return here(_shipped())
