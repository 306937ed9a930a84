"""What the functions and classes of one release accept, with what they inherit and hand on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from compat.callables.class_definitions import (
    EXCEPTIONS,
    RECORDS,
    TRANSPARENT,
    ClassDefinition,
    ForeignClass,
    bare,
    chosen,
    class_definition,
    function_decorators,
    resolution_order,
)
from compat.callables.definitions_by_release import definitions_of
from compat.callables.parameters import Parameters, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from compat.callables.definitions_by_release import Defined
    from compat.index.query.name_resolution import NameResolver
    from compat.index.reader import Index
    from compat.source_outlines.reader import SourceOutlines
    from compat.source_outlines.records import Definition

    Bases = Sequence[ClassDefinition | ForeignClass]
    Order = Sequence[ClassDefinition | ForeignClass]
    """A class and its bases, as Python looks through them."""

DEEPEST = 8
"""The most calls that are followed from one function by what it hands on."""
NO_PARAMETERS = Parameters(names=("self",), required=frozenset(), open=False, positional=1, by_position=1)
"""What the constructor of `object` accepts."""
_KEEPING = frozenset(
    {
        "abstractmethod", "asynccontextmanager", "cache", "classmethod", "contextmanager", "deprecate_args",
        "deprecate_kwargs", "deprecated", "final", "inference_mode", "lru_cache", "no_grad", "override",
        "staticmethod",
    }
)  # fmt: skip
"""Decorators of functions that leave the parameters as they are written."""
_DATACLASSES = frozenset({"dataclass", "config", "pydantic_dataclass"})
_ATTRS = frozenset({"define", "attrs", "frozen"})
_EARLY_HOOKS = frozenset({"model_validator_before", "root_validator"})
"""Decorators of functions that may change the arguments of a constructor before they are checked."""
_KEEPING_CLASS = frozenset(
    {"attn_type", "bc_linter_include", "default_pooling_type", "final", "runtime_checkable", "total_ordering"}
)
"""Decorators of classes that leave the constructor as it is, as do those that begin with `register`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A function or class, with the module that defines it; one object for all releases that share it."""

    module: str
    definition: Definition
    functions: tuple[Definition, ...]
    """The functions directly in a class."""
    only: bool
    """Whether the module defines the name once."""


class Signatures:
    """Looks up what one release accepts; answers are cached.

    Args:
        outlines: the outlines of the releases.
        index: the index, which tells the releases' indexes.
        package: the package.
        at: the index of the release in the index.
        resolver: resolves names in that release.
        bases: returns the bases of a class in a release, if others than this object remember them.
    """

    def __init__(
        self,
        outlines: SourceOutlines,
        index: Index,
        package: str,
        at: int,
        resolver: NameResolver,
        *,
        bases: Callable[[ClassDefinition, int], Bases] | None = None,
    ) -> None:
        self._known_bases = bases
        self._outlines = outlines
        self._index = index
        self._package = package
        self.resolver = resolver
        self.at = at
        self._found = lru_cache(maxsize=2_000)(self._find)
        self.order = lru_cache(maxsize=1_000)(self._find_order)
        self.definition = lru_cache(maxsize=1_000)(self._define)

    @cached_property
    def _release(self) -> int | None:
        """The index of the release in the outlines; None if they do not have it."""
        if self._package not in self._outlines.packages:
            return None
        version = self._index.versions(self._package)[self.at]
        versions = self._outlines.versions(self._package)
        return versions.index(version) if version in versions else None

    def located(self, module: str, name: str) -> tuple[str, str] | None:
        """Return the module and the name that define what a module binds to a name; None if not known."""
        if self._found(module, name) is not None:
            return module, name
        answer = self.resolver.answer(module, name)
        if answer.status not in ("defined", "reexported", "lazy"):
            return None
        origin, _, target = (answer.origin or "").partition(":")
        return (origin, target) if target else None

    def parameters(self, module: str, name: str, method: str = "") -> Parameters | None:
        """Return the parameters of a function, or of a method of a class; None if they are not known.

        Args:
            module: the module that defines it.
            name: the function or the class.
            method: the method; `__init__` or empty for the constructor; empty for a function.
        """
        found = self._found(module, name)
        if found is None:
            return None
        if found.definition.kind == "f":
            return None if method else self._of_function(found, DEEPEST)
        order = self.order(module, name)
        return None if order is None else self.method(order, method or "__init__")

    def method(self, order: Order, name: str, depth: int = DEEPEST) -> Parameters | None:
        """Return the parameters of a method, or of the constructor, of a class with these bases."""
        if name == "__init__":
            return self._constructor(order, depth)
        for at, each in enumerate(order):
            if isinstance(each, ForeignClass):
                if each.name not in TRANSPARENT:
                    return None
                continue
            own = each.function(name)
            if own is not None:
                return self._handed(own, each, order[at:], depth)
            if name in each.attributes or name in {field.rstrip("=") for field in each.fields}:
                return None
        return None

    def members(self, module: str, name: str) -> frozenset[str] | None:
        """Return the attributes and methods of a class, None if some are not known."""
        found: set[str] = set()
        for each in self.order(module, name) or [ForeignClass("")]:
            if isinstance(each, ForeignClass):
                if each.name not in TRANSPARENT | RECORDS | EXCEPTIONS:
                    return None
                continue
            if each.function("__post_init__") is not None and not each.decorators & (_DATACLASSES | _ATTRS):
                return None  # something makes a record of it, with fields from elsewhere
            found |= {field.rstrip("=") for field in each.fields} | each.attributes
            found |= {function.name for function in each.functions}
        return None if found & {"__getattr__", "__getattribute__"} else frozenset(found)

    def kind(self, module: str, name: str) -> str:
        """Return `class` or `function` for what a module defines, empty if it is not known."""
        found = self._found(module, name)
        return "" if found is None else "class" if found.definition.kind == "c" else "function"

    def _define(self, module: str, name: str) -> ClassDefinition | None:
        """Return the class that a module defines; None if it defines none."""
        found = self._found(module, name)
        if found is None or found.definition.kind != "c":
            return None
        return _class_of(found)

    def _find_order(self, module: str, name: str) -> Order | None:
        """Return a class and its bases, as Python looks through them; None if it is not a class."""
        start = self.definition(module, name)
        return None if start is None else resolution_order(start, self.bases)

    def bases(self, of: ClassDefinition) -> Bases:
        """Return the bases of a class of the release, in order."""
        return self.find_bases(of) if self._known_bases is None else self._known_bases(of, self.at)

    def find_bases(self, of: ClassDefinition) -> Bases:
        """Return the same, worked out anew."""
        return [each for text in of.bases for each in self._base(of.module, text)]

    def _base(self, module: str, text: str) -> list[ClassDefinition | ForeignClass]:
        if "." not in text.partition("[")[0] or not bare(text).isidentifier():
            place = self._resolved(module, bare(text))
        else:
            head, _, last = text.partition("[")[0].rpartition(".")
            answer = self.resolver.answer(module, head)
            origin = answer.origin or ""
            inside = answer.kind == "module" and ":" not in origin
            place = self.located(origin, last) if inside and origin else None
        found = self.definition(*place) if place else None
        if found is not None:
            return [found]
        name = bare(text)
        return [] if name in TRANSPARENT - {"ABC"} else [ForeignClass(name)]

    def _resolved(self, module: str, name: str) -> tuple[str, str] | None:
        """Return the module and the name that define what a module calls `name`; None for other packages."""
        return self.located(module, name) if name.isidentifier() else None

    def _of_function(self, found: Found, depth: int) -> Parameters:
        text, decorators, handed = (*found.definition.detail.split("|"), "", "")[:3]
        own = replace(parsed(text), static=True, certain=found.only and _keeps(decorators.split(",")))
        return self._with_handed(own, handed, depth, lambda target: self._named(found.module, target, depth))

    def _handed(
        self, own: tuple[Definition, bool], owner: ClassDefinition, order: Order, depth: int
    ) -> Parameters:
        """Return a method's parameters, with those of the call that gets all of its `**kwargs`."""
        definition, only = own
        handed = (*definition.detail.split("|"), "", "")[2]
        parameters = function_parameters(definition, only=only and owner.readable)
        return self._with_handed(
            parameters, handed, depth, lambda target: self._target(definition, owner, order, target, depth)
        )

    def _target(
        self, definition: Definition, owner: ClassDefinition, order: Order, target: str, depth: int
    ) -> Parameters | None:
        """Return the parameters of what a method of a class calls."""
        head, _, last = target.rpartition(".")
        if head == "super()":
            return self.method(order[1:], last, depth - 1)
        if target == "cls" and "classmethod" in function_decorators(definition):
            return self.method(order, "__init__", depth - 1)
        if head in ("self", "cls"):
            return self.method(order, last, depth - 1)
        return self._named(owner.module, target, depth)

    def _with_handed(
        self, own: Parameters, handed: str, depth: int, find: Callable[[str], Parameters | None]
    ) -> Parameters:
        """Return parameters with those of the one call that gets all of the `**kwargs`, if it is known."""
        parts = [each for each in handed.split(",") if each]
        targets = [each for each in parts if not each.startswith("?")]
        taken = [each[1:] for each in parts if each.startswith("?")]
        if not own.open or len(targets) != 1 or "*" in taken or depth <= 0:
            return own
        other = find(targets[0])
        if other is None:
            return own
        more = [
            each for each in (*other.names, *taken) if each not in own.names and each not in ("self", "cls")
        ]
        return replace(own, names=(*own.names, *more), open=other.open, certain=own.certain and other.certain)

    def _named(self, module: str, name: str, depth: int) -> Parameters | None:
        """Return the parameters of a function or class that a module uses under a name."""
        where = self._resolved(module, name)
        found = self._found(*where) if where else None
        if found is None or where is None:
            return None
        if found.definition.kind == "f":
            return self._of_function(found, depth - 1)
        order = self.order(*where)
        return None if order is None else self._constructor(order, depth - 1)

    def _constructor(self, order: Order, depth: int) -> Parameters | None:
        """Return the parameters of the constructor of a class with these bases."""
        kinds = {each.name for each in order if isinstance(each, ForeignClass)} & RECORDS
        certain = True
        for at, each in enumerate(order):
            if isinstance(each, ForeignClass):
                if each.name in TRANSPARENT:
                    continue
                return None
            own = each.function("__init__")
            certain = certain and each.readable and _keeps_class(each.decorators)
            if own is not None:
                found = self._handed(own, each, order[at:], depth)
                return replace(found, certain=found.certain and certain)
            new = each.function("__new__")
            if new is not None or "__init__" in each.attributes:
                passes_on = new is not None and parsed(new[0].detail.partition("|")[0]).open
                return self._after(order[at + 1 :], depth, certain=certain) if passes_on else None
            if kinds or each.decorators & (_DATACLASSES | _ATTRS):
                return replace(self._of_fields(order[at:], kinds), certain=certain and self._plain(each))
            if each.function("__post_init__") is not None:
                return None  # something makes a record of it
        return replace(NO_PARAMETERS, certain=certain)

    def _after(self, order: Order, depth: int, *, certain: bool) -> Parameters | None:
        found = self._constructor(order, depth)
        return None if found is None else replace(found, certain=found.certain and certain)

    def _of_fields(self, order: Order, kinds: set[str]) -> Parameters:
        """Return the parameters that the fields of a class and its bases give its constructor."""
        names: list[str] = []
        required: set[str] = set()
        lenient = "BaseModel" in kinds
        for each in reversed(order):
            if isinstance(each, ForeignClass):
                lenient = lenient or each.name not in TRANSPARENT | RECORDS
                continue
            if not kinds and not each.decorators & (_DATACLASSES | _ATTRS):
                continue
            lenient = lenient or self._ignores_unknown(each)
            for field in each.fields:
                name = field.rstrip("=")
                name = name.lstrip("_") if each.decorators & _ATTRS else name
                names += [name] if name not in names else []
                required = required - {name} if field.endswith("=") else required | {name}
        parameters = ("self", *names)
        return Parameters(
            names=parameters, required=frozenset(required), open=lenient, positional=len(parameters),
            by_position=len(parameters),
        )  # fmt: skip

    def _ignores_unknown(self, of: ClassDefinition) -> bool:
        """Return whether a class is a pydantic dataclass, which may ignore unknown arguments."""
        if "pydantic_dataclass" in of.decorators:
            return True
        if "dataclass" not in of.decorators:
            return False  # a decorator of the package: `config` makes dataclasses that refuse them
        origin = self.resolver.answer(of.module, "dataclass").origin or ""
        return origin.startswith("pydantic")

    @staticmethod
    def _plain(of: ClassDefinition) -> bool:
        """Return whether nothing of a class changes what its fields make of its constructor."""
        return not any(_EARLY_HOOKS & set(function_decorators(each)) for each in of.functions)

    def _find(self, module: str, name: str) -> Found | None:
        release = self._release
        if release is None or "/" in module or ":" in module:
            return None  # a class of a tree has its file in place of a module
        for each in definitions_of(self._outlines, self._package, module, name):
            if each.releases >> release & 1:
                self._note(each.releases, release)
                if not each.definitions:
                    return None
                sure = self.resolver.answer(module, name).status == "defined"
                return _found(module, each, sure=sure)
        return None

    def _note(self, releases: int, release: int) -> None:
        """Note the releases around this one, one bit each, in which what was read is the same."""
        above, below = ~(releases >> release), ~releases & (1 << release) - 1
        first = self.at - release + below.bit_length()
        self._index.note(self._package, first, self.at + (above & -above).bit_length() - 2)


def function_parameters(definition: Definition, *, only: bool) -> Parameters:
    """Return the parameters of a method as its class writes them.

    Args:
        definition: the function.
        only: whether its class has one function of this name.
    """
    decorators = function_decorators(definition)
    return replace(
        parsed(definition.detail.partition("|")[0]),
        static="staticmethod" in decorators,
        of_class="classmethod" in decorators or definition.name == "__new__",
        certain=only and _keeps(decorators),
    )


@lru_cache(maxsize=20_000)
def _class_of(found: Found) -> ClassDefinition:
    return class_definition(found.definition, found.functions, found.module, readable=found.only)


@lru_cache(maxsize=20_000)
def _found(module: str, defined: Defined, *, sure: bool) -> Found | None:
    own = defined.definitions
    best = chosen(own) if all(each.kind == "f" for each in own) else (own[0], len(own) == 1)
    if best is None:
        return None
    return Found(module=module, definition=best[0], functions=defined.functions, only=best[1] and sure)


def _keeps(decorators: Sequence[str]) -> bool:
    return all(each in _KEEPING for each in decorators if each)


def _keeps_class(decorators: frozenset[str]) -> bool:
    known = _KEEPING_CLASS | _DATACLASSES | _ATTRS
    return all(each in known or each.startswith("register") for each in decorators)
