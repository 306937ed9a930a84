"""Check references against the releases: which ones break, where, and whether code reaches them."""

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from compat.model.guards import waits_for_call
from compat.scan.interpreter.expressions import Evaluation
from compat.scan.interpreter.memory import EVERY, Decisions
from compat.scan.interpreter.reachability import Reachability
from compat.scan.interpreter.scopes import Module, Tree
from compat.scan.project.callers import CallGraph
from compat.scan.project.importers import ImportGraph
from compat.scan.project.patched_names import PatchedNames
from compat.scan.releases.index_lookup import Lookup, LookupOutcome, LookupOutcomes
from compat.scan.releases.kind_changes import KindChanges
from compat.scan.syntax.positions import NodePosition, within
from compat.scan.syntax.references import Reference

Rule = Literal["CPT001", "CPT002", "CPT003", "CPT004", "CPT005", "CPT006", "CPT009"]


class Issue(NamedTuple):
    """A reference that breaks a rule in some releases."""

    reference: Reference
    package: str
    """The package that the releases belong to."""
    rule: Rule
    mask: int
    """The set of releases, in the form that `compat.scan.releases.index_lookup` describes."""
    outcome: LookupOutcome
    """The outcome in the first of these releases; others may differ in detail."""
    text: str = ""
    """The reference as text, if it is neither an import nor a dotted path."""


class ReferenceChecker:
    """Checks the references to one package.

    Args:
        lookup: looks names up in the package.
        tree: the modules of the scanned tree.
        call_graph: finds where functions are called.
        import_graph: finds where modules are imported.
        patched_names: the names that the tree adds to the package.
    """

    def __init__(
        self,
        lookup: Lookup,
        tree: Tree,
        call_graph: CallGraph,
        import_graph: ImportGraph,
        patched_names: PatchedNames,
    ) -> None:
        self.lookup = lookup
        self.kind_changes = KindChanges(lookup)
        self._call_graph = call_graph
        self._import_graph = import_graph
        self._patched_names = patched_names
        decisions: Decisions[Evaluation] = Decisions()
        self._evaluations = decisions.releases = [
            Evaluation(lookup, slot, tree, patched_names, decisions)
            for slot in range(len(lookup.release_set.release_indexes))
        ]

    def issues(self, reference: Reference, module: Module) -> Iterator[Issue]:
        """Yield one issue per rule that a reference breaks in releases in which the code reaches it."""
        suspects: dict[Rule, dict[str, list[tuple[int, LookupOutcome]]]] = {}
        for mask, outcome in self._outcomes(reference):
            rule = _rule(reference, outcome)
            if rule is not None:
                suspects.setdefault(rule, {}).setdefault(_kind(reference, outcome), []).append(
                    (mask, outcome)
                )
        for rule, kinds in suspects.items():
            reached = 0
            for kind, found in kinds.items():
                mask = sum(mask for mask, _ in found)
                reached |= self.reached(reference, module, mask, kind) if rule != "CPT004" else mask
            if reached:
                outcome = next(o for found in kinds.values() for mask, o in found if mask & reached)
                if self._in_own_copy(reference) or (
                    rule == "CPT001" and outcome.failing == "name" and self._added_by_tree(outcome)
                ):
                    continue
                yield Issue(reference, self.lookup.release_set.package, rule, reached, outcome)

    def _in_own_copy(self, reference: Reference) -> bool:
        """Return whether the tree ships its own copy of the package, and that has what is referred to."""
        paths = [".".join((base, *reference.parts)) for base in reference.bases]
        return any(map(self.has_own_copy, paths or [".".join(reference.parts)]))

    def has_own_copy(self, path: str) -> bool:
        """Return whether the tree ships its own copy of the package, and that has a dotted path."""
        return self._patched_names.own_copies.has(path)

    def _added_by_tree(self, outcome: LookupOutcome) -> bool:
        """Return whether the scanned tree itself adds the missing name to the module."""
        return self._patched_names.adds(self.lookup.release_set.package, outcome.module, outcome.name)

    def unbound(self, module: Module, name: str) -> int:
        """Return the set of releases in which a module can be imported but leaves a name unbound."""
        end = NodePosition(None, module.tree, "body", module.tree.body, len(module.tree.body))
        return self._holding(
            self.lookup.release_set.everything,
            lambda evaluation: (
                evaluation.unbound(module, name) and Reachability(evaluation, module).reached(end)
            ),
        )

    def refused(self) -> int:
        """Return the set of releases in which a package of the tree that code imports raises an exception."""
        found = 0
        for package in self._import_graph.refusing_packages():
            found |= self._holding(
                self.lookup.release_set.everything & ~found,
                lambda evaluation: self._import_graph.refuses(
                    package,  # noqa: B023 -- called at once
                    Reachability(evaluation, package),  # noqa: B023
                ),
            )
        return found

    def rules(self, reference: Reference) -> frozenset[Rule]:
        """Return the rules that a reference breaks in any release, guards ignored."""
        if any(not self.base_works(base, self.lookup.release_set.everything) for base in reference.bases):
            return frozenset({"CPT001"})
        found = (_rule(reference, outcome) for _, outcome in self._outcomes(reference))
        return frozenset(rule for rule in found if rule is not None)

    def resolves_everywhere(self, module: str, name: str, parts: tuple[str, ...]) -> bool:
        """Return whether a name of a module, or attributes of a path, break no rule in any release."""
        if not parts:
            outcomes = self.lookup.imported(module, name)
        elif "." in module:
            outcomes = self.lookup.path(module, parts, importing=False)
        else:
            outcomes = self.lookup.path("", (module, *parts), importing=True)
        private = any(map(_private_part, (*module.split("."), name, *parts)))
        return not private and not any(
            _status(outcome)
            or waits_for_call(outcome.answer.guard)
            or self.kind_changes.became_function(outcome)
            for _, outcome in outcomes
        )

    def became_function(self, reference: Reference) -> tuple[str, int]:
        """Return the path that is a function and was a class, and the releases in which it is one.

        The path is a reference's or, for attributes of the function, the part of it that is the function.
        """
        found = [
            (mask, outcome)
            for mask, outcome in self._outcomes(reference)
            if self.kind_changes.became_function(outcome)
        ]
        if not found:
            return "", 0
        _, outcome = found[0]
        path = reference.path.split(".")
        end = len(path) - path[::-1].index(outcome.name) if outcome.name in path else 0
        return ".".join(path[:end]), sum(mask for mask, _ in found)

    def use_of_class(self, use: Reference, module: Module, mask: int) -> Issue | None:
        """Return the issue of a name that code uses as a class, in the releases of a set that reach it."""
        kind = "AttributeError" if use.form == "class_attribute" else "TypeError"
        reached = self.reached(use, module, mask, kind)
        if not reached:
            return None
        outcomes = self.lookup.imported(use.bases[0], use.parts[0])
        outcome = next(outcome for bits, outcome in outcomes if bits & reached)
        return Issue(use, self.lookup.release_set.package, "CPT009", reached, outcome)

    def _outcomes(self, reference: Reference) -> LookupOutcomes:
        if reference.form in ("import", "star", "import_module"):
            return self.lookup.imported(reference.module, "")
        if reference.form == "from":
            return self.lookup.imported(reference.module, reference.parts[-1])
        if not reference.bases:
            return self.lookup.path("", reference.parts, importing=True)
        found = [self.lookup.path(base, reference.parts, importing=False) for base in reference.bases]
        return found[0] if len(found) == 1 else self._best(reference, found)

    def _best(self, reference: Reference, found: Sequence[LookupOutcomes]) -> LookupOutcomes:
        """Return, for a name that several imports bind, the best outcome in each release."""
        outcomes: dict[int, tuple[int, LookupOutcome]] = {}
        for slot in range(len(self.lookup.release_set.release_indexes)):
            bit = 1 << slot
            working = [
                next(outcome for mask, outcome in each if mask & bit)
                for base, each in zip(reference.bases, found, strict=True)
                if self.base_works(base, bit)
            ]
            best = min(working, key=lambda outcome: bool(outcome.failing), default=None)
            if best is not None:
                mask, _ = outcomes.get(id(best), (0, best))
                outcomes[id(best)] = (mask | bit, best)
        return tuple(outcomes.values())

    def base_works(self, base: str, bits: int) -> bool:
        """Return whether a base can be imported in all releases of a set."""
        module, _, name = base.rpartition(".")
        outcomes = self.lookup.imported(module, name) if module else self.lookup.imported(base, "")
        return not any(mask & bits and outcome.failing for mask, outcome in outcomes)

    def reached(self, reference: Reference, module: Module, mask: int, kind: str) -> int:
        """Return the subset of releases in which code reaches a reference and does not catch the failure."""
        return self.entered(reference.position, module, mask, kind)

    def entered(self, position: NodePosition, module: Module, mask: int, kind: str = "") -> int:
        """Return the subset of releases in which code reaches a position.

        Args:
            position: the position.
            module: its module.
            mask: the releases.
            kind: the name of an exception that the code must not catch there; empty for none.
        """
        return self._holding(
            mask, lambda evaluation: self._enters(position, Reachability(evaluation, module), kind)
        )

    def _enters(self, position: NodePosition, reachability: Reachability, kind: str) -> bool:
        """Return whether code reaches a position in one release, and does not catch an exception there."""
        function = position.function
        return (
            reachability.reached(position)
            and not (kind and reachability.protected(position, kind))
            and (function is None or self._call_graph.may_be_called(function, reachability))
            and self._import_graph.may_be_imported(reachability.module, reachability)
        )

    def _holding(self, mask: int, holds: Callable[[Evaluation], bool]) -> int:
        """Return the subset of releases for which something holds.

        It is computed once for all releases that cannot be told apart by what it depends on.
        """
        found, left = 0, mask
        while left:
            bit = left & -left
            evaluation = self._evaluations[bit.bit_length() - 1]
            evaluation.memory.alike = EVERY
            holding = holds(evaluation)
            alike = (evaluation.memory.alike | bit) & left
            found |= alike if holding else 0
            left &= ~alike
        return found


def _rule(reference: Reference, outcome: LookupOutcome) -> Rule | None:
    if _is_early(reference, outcome):
        return "CPT001"
    return _status(outcome) or ("CPT004" if any(map(_private_part, reference.parts)) else None)


def _is_early(reference: Reference, outcome: LookupOutcome) -> bool:
    """Return whether the top level of a file imports a name that exists only once a function has run."""
    early = reference.form == "from" and reference.position.function is None
    return early and outcome.answer.status == "conditional" and waits_for_call(outcome.answer.guard)


def _status(outcome: LookupOutcome) -> Rule | None:
    if outcome.failing:
        return "CPT001"
    status = outcome.answer.status
    if status == "placeholder":
        return "CPT002"
    if status == "conditional" and _on_package(outcome):
        return "CPT003"
    return "CPT004" if status == "dynamic" else None


def _on_package(outcome: LookupOutcome) -> bool:
    """Return whether the name is missing or a stub unless another package is installed."""
    guard = outcome.answer.guard or ""
    return outcome.needy and guard.startswith(("try: import of", "except after import of"))


def _private_part(part: str) -> bool:
    return part.startswith("_") and not part.startswith("__")


def _kind(reference: Reference, outcome: LookupOutcome) -> str:
    """Return the name of the exception that Python raises."""
    if outcome.failing == "name" and reference.form in ("attribute", "string"):
        return "AttributeError"
    return "ModuleNotFoundError" if outcome.failing == "module" else "ImportError"


def stubbed_modules(tree: ast.Module, data: bytes) -> frozenset[str]:
    """Return the modules that a file puts into `sys.modules` itself, so that imports of them do not break."""
    if b"sys.modules" not in data:
        return frozenset()
    found: set[str] = set()
    for node in within(tree):
        match node:
            case ast.Subscript(value=modules, slice=ast.Constant(value=str() as name), ctx=ast.Store()) if (
                _modules(modules)
            ):
                found.add(name)
            case ast.Call(
                func=ast.Attribute(value=modules, attr="setdefault"),
                args=[ast.Constant(value=str() as name), *_],
            ) if _modules(modules):
                found.add(name)
            case ast.Call(func=ast.Attribute(attr="setitem" | "dict" | "update"), args=arguments):
                if any(map(_modules, [*arguments, node.func.value])):  # type: ignore[attr-defined]
                    found.update(_strings(arguments))
    return frozenset(found)


def _modules(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="sys"), attr="modules") | ast.Constant(value="sys.modules"):
            return True
    return False


def _strings(arguments: Sequence[ast.expr]) -> Iterator[str]:
    for argument in arguments:
        for node in ast.walk(argument):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
