"""Check subclasses of the packages' classes: overrides, calls of base methods, abstract methods (CPT006)."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from compat.callables.by_release import AnswersByRelease
from compat.callables.parameters import Arguments, Parameters, misfit
from compat.scan.calls.call_sites import CallSite
from compat.scan.calls.callees import Callees
from compat.scan.calls.class_views import BaseMethod, ClassView
from compat.scan.calls.ranged_issue import RangedIssue, Unfit, ranged_issue
from compat.scan.calls.tree_classes import TreeClasses
from compat.scan.check.reference_checker import ReferenceChecker
from compat.scan.interpreter.scopes import Module
from compat.scan.sources.discovery import Files
from compat.scan.syntax.positions import FunctionNode, NodePosition
from compat.scan.syntax.references import Form, Reference

Views = AnswersByRelease[ClassView]
_SUBJECTS = {
    "override": "the override",
    "unused_override": "the override",
    "super_call": "the call",
    "abstract_class": "the class",
}


class OverrideChecker:
    """Checks the subclasses of one package's classes.

    Args:
        callees: answers questions about signatures by release.
        checker: knows the releases, and which code they reach.
        classes: the classes of the tree.
        store: reads files.
        files: all files of the scan.
    """

    def __init__(
        self,
        callees: Callees,
        checker: ReferenceChecker,
        classes: TreeClasses,
        store: Files,
        files: Sequence[str],
    ) -> None:
        self._callees = callees
        self._checker = checker
        self._classes = classes
        self._store = store
        self._files = files
        self._releases = checker.lookup.release_set.release_indexes
        self._mentioned: dict[str, bool] = {}

    def issues(
        self, module: Module, subclasses: Mapping[ast.ClassDef, NodePosition], sites: Iterable[CallSite]
    ) -> Iterator[RangedIssue]:
        """Yield what does not fit in the classes of a file.

        Args:
            module: the file as a module of the tree.
            subclasses: its classes that have a base.
            sites: its calls.
        """
        package = self._callees.package
        for node, position in subclasses.items():
            if package not in self._classes.packages(node, module):
                continue
            views = self._classes.view(node, module, self._callees)
            if any(view.package_bases for _, view in views.runs(self._releases)):
                yield from self._overrides(node, position, module, views)
                yield from self._abstract(node, position, module, views)
        for site in sites:
            owner = site.owner if site.way == "super" else None
            if owner is not None and owner in subclasses and package in self._classes.packages(owner, module):
                yield from self._super_call(site, owner, module)

    def _overrides(
        self, node: ast.ClassDef, position: NodePosition, module: Module, views: Views
    ) -> Iterator[RangedIssue]:
        own = self._classes.definition(node, module)
        for function in node.body:
            if not isinstance(function, FunctionNode) or function.name.startswith("__"):
                continue
            name = function.name
            mine = self._classes.parameters(own, name)
            if mine is None or not mine.certain:
                continue
            place = _Place(node, name, function, position, module)
            fits = lambda view: _fits(mine, view.overridden.get(name))  # noqa: B023, E731 -- called at once
            unfit = self._by_slot(views, lambda view: _unfit(mine, view.overridden.get(name)))  # noqa: B023
            if unfit:
                yield from self._issue(place, "override", unfit, views, fits)
                continue
            gone = self._by_slot(views, lambda view: self._gone(view, name))  # noqa: B023 -- called at once
            if gone and not self._is_mentioned(name):
                yield from self._issue(
                    place,
                    "unused_override",
                    gone,
                    views,
                    lambda view: name in view.overridden,  # noqa: B023
                )

    def _by_slot(self, views: Views, ask: Callable[[ClassView], str | None]) -> dict[int, str]:
        """Return what is wrong in each release, by its number; asked once for releases with one view."""
        found: dict[int, str] = {}
        for slots, view in views.runs(self._releases):
            text = ask(view)
            if text:
                found.update(dict.fromkeys(slots, text))
        return found

    def _gone(self, view: ClassView, name: str) -> str | None:
        """Return how the bases of a class lack a method that they had; None if they have it or never had."""
        bases = view.package_bases
        if view.complete and bases and name not in view.names_above and self._once_had(bases, name):
            return f"{bases[0][1]} has no {name}"
        return None

    def _abstract(
        self, node: ast.ClassDef, position: NodePosition, module: Module, views: Views
    ) -> Iterator[RangedIssue]:
        left = self._by_slot(
            views,
            lambda view: (
                " and ".join(f"{owner}.{name}" for name, owner in sorted(view.abstract.items()))
                if view.complete
                else ""
            ),
        )
        own = self._classes.definition(node, module)
        declares = any("abstractmethod" in each.detail for each in own.functions)
        if not left or declares or {"ABC", "abc.ABC"} & set(map(ast.unparse, node.bases)):
            return
        if self._has_subclass(node.name):
            return
        unfit = {slot: f"{names} is abstract and not implemented" for slot, names in left.items()}
        place = _Place(node, "", node, position, module)
        yield from self._issue(
            place, "abstract_class", unfit, views,
            lambda view: bool(view.package_bases) and view.complete and not view.abstract,
        )  # fmt: skip

    def _super_call(self, site: CallSite, owner: ast.ClassDef, module: Module) -> Iterator[RangedIssue]:
        name = site.method
        if name.startswith("__"):
            return
        views = self._classes.view(owner, module, self._callees)
        lacking = {
            slot: f"{bases[0][1]} has no {name}"
            for slots, view in views.runs(self._releases)
            if view.complete and (bases := view.package_bases) and name not in view.names_above
            for slot in slots
        }
        if lacking:
            place = _Place(owner, name, site.node, site.position, module)
            yield from self._issue(place, "super_call", lacking, views, lambda view: name in view.names_above)

    def _issue(
        self,
        place: "_Place",
        form: Form,
        unfit: Mapping[int, str],
        views: Views,
        fits: Callable[[ClassView], bool],
    ) -> Iterator[RangedIssue]:
        """Yield the issue, if some release fits and one that does not reaches the code."""
        mask = sum(1 << slot for slot in unfit)
        reference = Reference(form, (), (), place.reported, place.position)
        kind = "AttributeError" if form == "super_call" else "TypeError"
        reached = self._checker.reached(reference, place.module, mask, kind)
        if not reached:
            return
        bases = next(
            bases
            for slot, release in enumerate(self._releases)
            if reached >> slot & 1 and (bases := views.at(release).package_bases)
        )
        if any(self._checker.has_own_copy(".".join(each)) for each in bases):
            return
        versions = self._callees.index.versions(self._callees.package)
        fitting = self._callees.fitting(lambda release: fits(views.at(release)))
        release_set = self._checker.lookup.release_set
        first = release_set.release_indexes[(reached & -reached).bit_length() - 1]
        if form == "unused_override" and fitting.before(first) is None:
            return  # it is for a later release
        if fitting.anywhere(first):
            text = f"super().{place.name}" if form == "super_call" else place.text
            yield ranged_issue(
                reference, "CPT006", release_set, versions, reached, fitting,
                lambda slot: Unfit(text, unfit[slot], _SUBJECTS[form]),
            )  # fmt: skip

    def _once_had(self, bases: Sequence[tuple[str, str]], name: str) -> bool:
        """Return whether a file of one of the bases has a function of this name in any release."""
        return any(self._callees.ever_defines(module, name) for module, _ in bases)

    def _is_mentioned(self, name: str) -> bool:
        """Return whether the tree mentions a name anywhere but where functions of this name are defined."""
        if name not in self._mentioned:
            word = name.encode()  # it comes first in the pattern: the search for a literal is quick
            pattern = re.compile(
                word + rb"(?!\w)(?<!def " + word + rb")(?<!super\(\)\." + word + rb")(?<!\w" + word + rb")"
            )
            self._mentioned[name] = any(pattern.search(data) for data in self._contents(name.encode()))
        return self._mentioned[name]

    def _has_subclass(self, name: str) -> bool:
        """Return whether a class of the tree may have the class of this name as a base."""
        pattern = re.compile(rb"class[ \t]+\w+\([^)]*\b" + name.encode() + rb"\b")
        return any(pattern.search(data) for data in self._contents(name.encode()))

    def _contents(self, word: bytes) -> Iterator[bytes]:
        for path in self._files:
            try:
                data = self._store.read(path)
            except OSError:
                continue
            if word in data:
                yield data


class _Place(NamedTuple):
    """What of a class is reported."""

    owner: ast.ClassDef
    name: str
    node: ast.AST
    position: NodePosition
    module: Module

    @property
    def text(self) -> str:
        """The class, or its method, as text."""
        return f"{self.owner.name}.{self.name}" if self.name else self.owner.name

    @property
    def reported(self) -> ast.AST:
        """A node that covers the name of the class or function, or the call itself."""
        if isinstance(self.node, ast.Call):
            return self.node
        word = len("class " if isinstance(self.node, ast.ClassDef) else "def ")
        start: int = self.node.col_offset  # type: ignore[attr-defined]
        line: int = self.node.lineno  # type: ignore[attr-defined]
        end = start + word + len(self.node.name)  # type: ignore[attr-defined]
        return ast.Name(
            id=self.name, lineno=line, end_lineno=line, col_offset=start, end_col_offset=end, ctx=ast.Load()
        )


def _fits(mine: Parameters, base: BaseMethod | None) -> bool:
    """Return whether an override is known to accept what a method of the base class does."""
    return base is not None and _comparable(mine, base.parameters) and not _unfit(mine, base)


def _comparable(mine: Parameters, theirs: Parameters) -> bool:
    """Return whether it is known what the code of a base class calls a method with."""
    kinds = {(each.static, each.of_class) for each in (mine, theirs)}
    return theirs.certain and not theirs.open and theirs.positional is not None and len(kinds) == 1


def _unfit(mine: Parameters, base: BaseMethod | None) -> str:
    """Return why an override does not accept what a method of the base class does; empty if it may."""
    if base is None:
        return ""
    theirs = base.parameters
    if not _comparable(mine, theirs):
        return ""
    bound = 0 if theirs.static else 1
    by_position = theirs.names[bound : theirs.by_position]
    required = [at for at, name in enumerate(by_position, 1) if name in theirs.required]
    keywords = tuple(name for name in theirs.names[theirs.by_position :] if name in theirs.required)
    given = Arguments(positional=max(required, default=0), keywords=keywords)
    wrong = misfit(given, mine, bound=bound)
    if wrong is None or wrong.kind == "twice":
        return ""
    what = f"{base.owner} calls it with {theirs.text}"
    if wrong.kind == "many":
        return f"{what}, and it takes at most {wrong.most} of {given.positional}"
    if wrong.kind == "unexpected":
        return f"{what}, and it does not take {' and '.join(wrong.names)}"
    names = [
        name
        for name in wrong.names
        if name not in theirs.names and mine.names.index(name) >= theirs.by_position
    ]
    return f"{what}, and it requires {' and '.join(names)}" if names else ""
