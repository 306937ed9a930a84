"""Signatures and members of classes and functions by release, with what they inherit and hand on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from compat.explain.lookup.symbol_history import History
    from compat.source_outlines.reader import Content, SourceOutlines
    from compat.source_outlines.records import Definition

DEEPEST = 8
"""The most bases and calls that are followed from one class."""
_WITHOUT_FIELDS = frozenset({"ABC", "object", "Generic", "Protocol", "Exception"})
"""Bases that add no parameters; a base in brackets, `Generic[T]`, counts by its name."""
_RECORDS = frozenset({"Struct", "BaseModel", "NamedTuple"})
"""Bases that make the annotated fields of a class the parameters of its constructor."""
_RECORD_DECORATORS = frozenset({"dataclass", "config", "define", "attrs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters of a function or method in one release."""

    names: tuple[str, ...]
    required: frozenset[str]
    open: bool
    """Whether it accepts arbitrary keyword arguments."""
    positional: int | None
    """The number of positional arguments that it accepts, `self` included; None for any number."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A class in one content of a file, in one release."""

    package: str
    release: int
    module: str
    path: str
    content: Content
    definition: Definition


class Signatures:
    """Looks up signatures and members in the outlines; all answers are cached.

    Args:
        outlines: the outlines of the releases.
        history: answers about the releases in the index, to find the bases of classes.
    """

    def __init__(self, outlines: SourceOutlines, history: History) -> None:
        self._outlines = outlines
        self._history = history
        self.packages = outlines.packages
        self.parameters = lru_cache(maxsize=20_000)(self._find_parameters)
        self.members = lru_cache(maxsize=5_000)(self._find_members)
        self._place = lru_cache(maxsize=20_000)(self._find_place)

    def _find_parameters(
        self, package: str, module: str, name: str, method: str, at: int
    ) -> Parameters | None:
        """Return the parameters of a function, or of a method of a class, in a release of the index.

        Args:
            package: the package.
            module: the module that defines it.
            name: the function or the class.
            method: the method; `__init__` for the constructor; empty for a function.
            at: the index of the release.
        """
        return self._parameters(package, module, name, method, at, DEEPEST)

    def _parameters(  # noqa: PLR0917 -- they name one place
        self, package: str, module: str, name: str, method: str, at: int, depth: int
    ) -> Parameters | None:
        place = self._place(package, module, name, at)
        if place is None or depth < 0:
            return None
        if place.definition.kind == "f":
            return None if method else self._handed(place, place.definition, "", depth)
        named = [each for each in methods(place) if each.name == (method or "__init__")]
        if named:
            own = named[-1]  # the ones before it are overloads, which only type checkers read
            return self._handed(place, own, own.name, depth)
        if (method or "__init__") == "__init__":
            return self._of_fields(place, depth)
        return self._inherited(place, method, depth)

    def _handed(self, place: _Place, function: Definition, method: str, depth: int) -> Parameters | None:
        """Return a function's parameters, with those of the calls that get all of its `**kwargs`."""
        text, _, rest = function.detail.partition("|")
        found = parsed(text)
        targets = [each for each in rest.partition("|")[2].split(",") if each]
        if not found.open or len(targets) != 1:
            return found
        (target,) = targets
        if target == f"super().{method}" and method:
            other = self._inherited(place, method, depth)
        elif target.isidentifier():
            other = self._named(place, target, depth)
        else:
            other = None
        if other is None:
            return found
        return Parameters(
            names=(*found.names, *other.names), required=found.required, open=other.open,
            positional=found.positional,
        )  # fmt: skip

    def _named(self, place: _Place, name: str, depth: int) -> Parameters | None:
        """Return the parameters of a function or class that a module uses under a name."""
        where = self._resolved(place, name)
        return self._parameters(place.package, *where, "", place.release, depth - 1) if where else None

    def _of_fields(self, place: _Place, depth: int) -> Parameters | None:
        """Return the parameters that the fields of a class and its bases give its constructor."""
        bases, decorators, fields, _ = class_detail(place.definition)
        record = bool(_RECORD_DECORATORS & set(decorators)) or bool(
            _RECORDS & {_bare(base) for base in bases}
        )
        names: list[str] = []
        required: set[str] = set()
        open_ = False
        for base in reversed(bases):
            if _bare(base) in _WITHOUT_FIELDS | _RECORDS:
                continue
            where = self._resolved(place, base)
            inherited = (
                self._parameters(place.package, *where, "__init__", place.release, depth - 1)
                if where
                else None
            )
            if inherited is None:
                return None
            names += [each for each in inherited.names if each not in names]
            required |= inherited.required
            open_ = open_ or inherited.open
            record = record or self._is_record(place, where, depth)
        if record:
            for field in fields:
                bare = field.rstrip("=")
                names += [bare] if bare not in names else []
                required = required - {bare} if field.endswith("=") else required | {bare}
        elif not bases or all(_bare(base) in _WITHOUT_FIELDS for base in bases):
            return Parameters(names=("self",), required=frozenset(), open=False, positional=1)
        if "self" not in names:
            names.insert(0, "self")
        return Parameters(names=tuple(names), required=frozenset(required), open=open_, positional=len(names))

    def bases(self, package: str, module: str, name: str, at: int) -> list[tuple[str, str]]:
        """Return the bases of a class in a release that are in the same package, as module and name."""
        place = self._place(package, module, name, at)
        if place is None or place.definition.kind != "c":
            return []
        found = (self._resolved(place, base) for base in class_detail(place.definition)[0])
        return [each for each in found if each is not None]

    def _is_record(self, place: _Place, where: tuple[str, str] | None, depth: int) -> bool:
        """Return whether a base is a struct or a model, whose subclasses need no decorator."""
        other = self._place(place.package, *where, place.release) if where else None
        if other is None or depth < 0:
            return False
        bases = class_detail(other.definition)[0]
        return bool(_RECORDS & {_bare(base) for base in bases}) or any(
            self._is_record(other, self._resolved(other, base), depth - 1) for base in bases
        )

    def _inherited(self, place: _Place, method: str, depth: int) -> Parameters | None:
        for base in class_detail(place.definition)[0]:
            where = self._resolved(place, base)
            found = (
                self._parameters(place.package, *where, method, place.release, depth - 1) if where else None
            )
            if found is not None:
                return found
        return None

    def _find_members(self, package: str, module: str, name: str, at: int) -> frozenset[str] | None:
        """Return the attributes and methods of a class in a release, or None if some are not known."""
        return self._members(package, module, name, at, DEEPEST)

    def _members(self, package: str, module: str, name: str, at: int, depth: int) -> frozenset[str] | None:
        place = self._place(package, module, name, at)
        if place is None or place.definition.kind != "c" or depth < 0:
            return None
        bases, _, fields, others = class_detail(place.definition)
        found = {field.rstrip("=") for field in fields} | set(others)
        found |= {each.name for each in methods(place)}
        if "__getattr__" in found or "__getattribute__" in found:
            return None
        for base in bases:
            if _bare(base) in _WITHOUT_FIELDS | _RECORDS:
                continue
            where = self._resolved(place, base)
            inherited = self._members(package, *where, at, depth - 1) if where else None
            if inherited is None:
                return None
            found |= inherited
        return frozenset(found)

    def _resolved(self, place: _Place, name: str) -> tuple[str, str] | None:
        """Return the module and the name that define what a module calls `name`; None for other packages."""
        bare = _bare(name)
        if not bare.isidentifier():
            return None
        if any(each.name == bare and each.kind in "cf" for each in outermost(place.content.definitions)):
            return place.module, bare
        answer = self._history.resolver(place.package, place.release).answer(place.module, bare)
        module, _, target = (answer.origin or "").partition(":")
        return (module, target) if target else None

    def _find_place(self, package: str, module: str, name: str, at: int) -> _Place | None:
        release = self._own_release(package).get(at)
        if release is None:
            return None
        base = module.replace(".", "/")
        for path in (f"{base}/__init__.py", f"{base}.py"):
            for content in self._outlines.contents(package, path):
                if content.releases >> release & 1:
                    defined = (each for each in outermost(content.definitions) if each.name == name)
                    found = next((each for each in defined if each.kind in "cf"), None)
                    return found and _Place(package, at, module, path, content, found)
        return None

    @cache  # noqa: B019 -- there is one object in a process
    def _own_release(self, package: str) -> dict[int, int]:
        """Map indexes of releases in the index to those in the outlines."""
        if package not in self._outlines.packages:
            return {}
        mine = {version: at for at, version in enumerate(self._outlines.versions(package))}
        versions = self._history.index.versions(package)
        return {at: mine[version] for at, version in enumerate(versions) if version in mine}


def methods(place: _Place) -> Iterator[Definition]:
    """Yield the functions directly in a class."""
    inside = [
        each
        for each in place.content.definitions
        if each.kind != "o" and place.definition.start < each.start and each.end <= place.definition.end
    ]
    yield from (each for each in outermost(inside) if each.kind == "f")


def outermost(definitions: Sequence[Definition]) -> Iterator[Definition]:
    """Yield the definitions that are not inside another one of a sequence in source order."""
    end = 0
    for each in definitions:
        if each.start > end and each.kind != "o":
            yield each
            end = each.end


def class_detail(definition: Definition) -> tuple[list[str], list[str], list[str], list[str]]:
    """Return the bases, decorators, annotated fields and other attributes of a class."""
    parts = (*definition.detail.split("|"), "", "", "")
    bases, decorators, fields, others = ([each for each in part.split(",") if each] for part in parts[:4])
    # `Generic[K, V]` was split at its comma.
    return [each for each in bases if "]" not in each or "[" in each], decorators, fields, others


def _bare(name: str) -> str:
    """Return the last part of a base without brackets: `Struct` for `msgspec.Struct`."""
    return name.partition("[")[0].rpartition(".")[2]


@lru_cache(maxsize=10_000)
def parsed(text: str) -> Parameters:
    """Return the parameters that `compat.source_outlines.extract.parameters` wrote."""
    names: list[str] = []
    required: set[str] = set()
    positional: int | None = None
    open_ = many = False
    for part in text.split(","):
        if part.startswith("**"):
            open_ = True
        elif part.startswith("*"):
            positional, many = (len(names) if positional is None else positional), many or part != "*"
        elif part:
            names.append(part.rstrip("="))
            required |= set() if part.endswith("=") else {part}
    if positional is None:
        positional = len(names)
    return Parameters(
        names=tuple(names), required=frozenset(required - {"self", "cls"}), open=open_,
        positional=None if many else positional,
    )  # fmt: skip
