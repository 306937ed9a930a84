"""What a release accepts for a callee: a dotted path, a method of an object, or a method of base classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from compat.callables.by_release import AnswersByRelease, PackageSignatures
from compat.callables.parameters import Parameters
from compat.callables.signatures import Signatures
from compat.index.reader import Index
from compat.model.symbols import UNUSABLE
from compat.scan.calls.fitting import Fitting
from compat.scan.releases.index_lookup import located
from compat.source_outlines.reader import SourceOutlines

T = TypeVar("T")
_FEW = 3
"""Up to this many selected releases, each remembers what it found; of more, ranges of them share answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What a callee accepts in a release."""

    parameters: Parameters
    bound: int
    """1 if the call passes the first parameter implicitly."""
    name: str
    """The callee as text for people: `EngineArgs`, or `LLM.generate`."""


class Callees:
    """Looks callees of one package up, release by release.

    Args:
        index: the index of releases.
        outlines: the outlines of the releases.
        package: the package.
        releases: the selected releases, by their indexes.
    """

    def __init__(self, index: Index, outlines: SourceOutlines, package: str, releases: Sequence[int]) -> None:
        self.index = index
        self.package = package
        self._outlines = outlines
        few = releases if len(releases) <= _FEW else ()
        self._signatures = PackageSignatures(outlines, index, package, few)
        self.by_path = lru_cache(maxsize=None)(self._by_path)
        self.by_object = lru_cache(maxsize=None)(self._by_object)
        self.places = lru_cache(maxsize=None)(self._places)

    def answers(self, ask: Callable[[Signatures], T]) -> AnswersByRelease[T]:
        """Return the answers to a question about signatures, by release."""
        return AnswersByRelease(self._signatures, ask)

    def fitting(self, fits: Callable[[int], bool]) -> Fitting:
        """Return what finds the releases that fit something, nearest to one that does not."""
        index, package = self.index, self.package
        return Fitting(fits, index.published(package), lambda at: index.nearest(package, at))

    def ever_defines(self, module: str, name: str) -> bool:
        """Return whether the file of a module has a function or method of this name in any release."""
        base, line = module.replace(".", "/"), f"f{name}\t"
        return any(
            content.text.startswith(line) or f"\n{line}" in content.text
            for path in (f"{base}/__init__.py", f"{base}.py")
            for content in self._outlines.contents(self.package, path)
        )

    def _places(self, path: str) -> AnswersByRelease[tuple[str, str, str] | None]:
        """Return the module, the name and the rest of a dotted path, where it is defined."""
        return self.answers(lambda signatures: defined(signatures, path))

    def _by_path(self, path: str) -> AnswersByRelease[Accepted | None]:
        """Return what calling a dotted path accepts: a function, a class, or a method by its class."""
        return self.answers(lambda signatures: _called(signatures, path))

    def _by_object(self, path: str, method: str) -> AnswersByRelease[Accepted | None]:
        """Return what a method accepts, called on an object of the class that a dotted path stands for."""
        return self.answers(lambda signatures: _method(signatures, path, method))


def defined(signatures: Signatures, path: str) -> tuple[str, str, str] | None:
    """Return the module, the name and the rest of a dotted path, where it is defined; None if not known."""
    place = located(signatures.resolver, path)
    if place is None or not place[1]:
        return None
    name, _, rest = place[1].partition(".")
    answer = signatures.resolver.answer(place[0], name)
    if answer.status in UNUSABLE or answer.status in ("conditional", "dynamic"):
        return None
    where = signatures.located(place[0], name)
    return None if where is None else (*where, rest)


def _called(signatures: Signatures, path: str) -> Accepted | None:
    where = defined(signatures, path)
    if where is None or "." in where[2]:
        return None
    module, name, method = where
    found = signatures.parameters(module, name, method)
    if found is None:
        return None
    constructor = signatures.kind(module, name) == "class" and not method
    bound = 1 if constructor or found.of_class else 0
    return Accepted(parameters=found, bound=bound, name=f"{name}.{method}" if method else name)


def _method(signatures: Signatures, path: str, method: str) -> Accepted | None:
    where = defined(signatures, path)
    if where is None or where[2] or signatures.kind(*where[:2]) != "class":
        return None
    found = signatures.parameters(where[0], where[1], method)
    return None if found is None else of_object(found, f"{where[1]}.{method}")


def of_object(parameters: Parameters, name: str) -> Accepted:
    """Return what a method accepts when it is called on an object."""
    return Accepted(parameters=parameters, bound=0 if parameters.static else 1, name=name)
