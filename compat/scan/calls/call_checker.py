"""Check calls against the releases: arguments that one does not take, and those that it requires (CPT005)."""

import ast
from collections.abc import Iterable, Iterator, Sequence

from compat.callables.by_release import AnswersByRelease
from compat.callables.parameters import Arguments, Misfit, misfit
from compat.scan.calls.call_sites import CallSite
from compat.scan.calls.callees import Accepted, Callees
from compat.scan.calls.fitting import Fitting
from compat.scan.calls.patched_callees import PatchedCallees
from compat.scan.calls.ranged_issue import RangedIssue, Unfit, ranged_issue
from compat.scan.calls.reasons import call_text, renamed, short, why
from compat.scan.calls.tree_classes import TreeClasses
from compat.scan.check.reference_checker import ReferenceChecker
from compat.scan.interpreter.scopes import Module
from compat.scan.prefilter.mentions import TOPS
from compat.scan.sources.source_file import Source
from compat.scan.syntax.positions import NodePosition, TryNode, dotted, within
from compat.scan.syntax.references import Reference

_READS_SIGNATURES = (
    b"signature(", b"getfullargspec", b"co_varnames", b"__dataclass_fields__", b"model_fields",
    b"dataclasses.fields(", b"__struct_fields__",
)  # fmt: skip
"""What code contains that asks a function or class for its parameters."""


class CallChecker:
    """Checks calls of one package.

    Args:
        callees: looks callees up.
        checker: knows the releases, and which code they reach.
        classes: the classes of the tree.
        patched: what the tree replaces.
    """

    def __init__(
        self, callees: Callees, checker: ReferenceChecker, classes: TreeClasses, patched: PatchedCallees
    ) -> None:
        self._patched = patched
        self._callees = callees
        self._checker = checker
        self._classes = classes
        self._release_set = checker.lookup.release_set

    def issues(self, source: Source, module: Module, sites: Iterable[CallSite]) -> Iterator[RangedIssue]:
        """Yield the calls of a file that do not fit some of the releases that reach them.

        Args:
            source: the file.
            module: the same as a module of the tree.
            sites: its calls.
        """
        tops = {top for top in TOPS if top == self._callees.package}
        reads_signatures = any(each in source.data for each in _READS_SIGNATURES)
        for site in sites:
            if site.way != "super" and {path.partition(".")[0] for path in site.paths} != tops:
                continue
            if reads_signatures and _guarded(site.position):
                continue
            if site.way == "path" and _rebound(site, module):
                continue
            found = self._checked(site, module)
            if found is not None:
                yield found

    def fits(self, path: str, arguments: Arguments) -> bool:
        """Return whether a call of a dotted path fits all releases, as far as that is known."""
        if path.partition(".")[0] != self._callees.package:
            return True
        answers = self._callees.by_path(path)
        found = (accepted for _, accepted in answers.runs(self._release_set.release_indexes))
        return all(
            each is None or misfit(arguments, each.parameters, bound=each.bound) is None for each in found
        )

    def _checked(self, site: CallSite, module: Module) -> RangedIssue | None:
        answers = self._answers(site, module)
        if answers is None:
            return None
        unfit = self._unfit(site, answers)
        if not unfit:
            return None
        mask = sum(1 << slot for slot in unfit)
        reference = Reference("call", site.paths[:1], (), site.node, site.position)
        reached = self._checker.reached(reference, module, mask, "TypeError")
        if not reached or any(map(self._checker.has_own_copy, site.paths)):
            return None
        if any(self._patched.has(accepted.name) for accepted, _ in unfit.values()):
            return None
        fitting = self._fitting(site.arguments, answers)
        if not fitting.anywhere(self._release_set.release_indexes[min(unfit)]):
            return None  # no release takes it: it may be meant for another function than the one found
        versions = self._callees.index.versions(self._callees.package)

        def told(slot: int) -> Unfit:
            accepted, wrong = unfit[slot]
            new = renamed(wrong, answers, fitting, self._release_set.release_indexes[slot])
            more = f"; {new} took its place" if new else short(accepted.parameters)
            return Unfit(call_text(accepted, wrong), why(accepted, wrong), "the call", more)

        return ranged_issue(reference, "CPT005", self._release_set, versions, reached, fitting, told)

    def _answers(self, site: CallSite, module: Module) -> Sequence[AnswersByRelease[Accepted | None]] | None:
        if site.way == "path":
            return [self._callees.by_path(path) for path in site.paths]
        if site.way == "instance":
            return [self._callees.by_object(path, site.method) for path in site.paths]
        owner, method = site.owner, site.method
        if owner is None or method == "__new__":
            return None
        if self._callees.package not in self._classes.packages(owner, module):
            return None
        return [self._classes.inherited(owner, method, module, self._callees)]

    def _unfit(
        self, site: CallSite, answers: Sequence[AnswersByRelease[Accepted | None]]
    ) -> dict[int, tuple[Accepted, Misfit]]:
        """Return, by position, the releases that a call does not fit: what they accept, and why."""
        releases = self._release_set.release_indexes
        if len(answers) == 1:
            return {
                slot: wrong
                for slots, accepted in answers[0].runs(releases)
                if (wrong := _misfit(site, accepted)) is not None
                for slot in slots
            }
        return {
            slot: wrong
            for slot, release in enumerate(releases)
            if (wrong := self._unfit_everywhere(site, answers, slot, release)) is not None
        }

    def _unfit_everywhere(
        self, site: CallSite, answers: Sequence[AnswersByRelease[Accepted | None]], slot: int, release: int
    ) -> tuple[Accepted, Misfit] | None:
        """Return the same for one release, if the call fits none of its callees that work there."""
        found: tuple[Accepted, Misfit] | None = None
        for at, each in enumerate(answers):
            if not self._checker.base_works(site.paths[at], 1 << slot):
                continue
            wrong = _misfit(site, each.at(release))
            if wrong is None:
                return None
            found = found or wrong
        return found

    def _fitting(self, arguments: Arguments, answers: Sequence[AnswersByRelease[Accepted | None]]) -> Fitting:
        """Return what finds the releases of the package that are known to accept a call."""

        def fits(release: int) -> bool:
            found = [each.at(release) for each in answers]
            return any(
                each is not None and misfit(arguments, each.parameters, bound=each.bound) is None
                for each in found
            )

        return self._callees.fitting(fits)


def _misfit(site: CallSite, accepted: Accepted | None) -> tuple[Accepted, Misfit] | None:
    """Return what a callee accepts, and why a call does not fit it; None if it may fit."""
    if accepted is None or not accepted.parameters.certain:
        return None
    wrong = misfit(site.arguments, accepted.parameters, bound=accepted.bound)
    return None if wrong is None else (accepted, wrong)


def _guarded(position: NodePosition) -> bool:
    """Return whether a test or a `try` stands around a position."""
    return bool(position.tests) or any(
        isinstance(each.owner, (ast.If, *TryNode)) for each in position.outwards()
    )


def _rebound(site: CallSite, module: Module) -> bool:
    """Return whether the top level may bind the name of a callee to something else than an import."""
    node = site.node.args[0] if site.arguments.partial else site.node.func
    first = (dotted(node) or ("",))[0]
    return any(first in _bound_otherwise(statement) for statement in module.binders(first))


def _bound_otherwise(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement binds by anything but an import, except in handlers of errors."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
            return
    for field, value in ast.iter_fields(statement):
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.stmt):
                yield from _bound_otherwise(each)
            elif isinstance(each, ast.AST) and field != "handlers":
                for node in within(each):
                    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                        yield node.id
