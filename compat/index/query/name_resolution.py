"""Resolve a location in an environment of installed releases, absent packages and devices.

The resolver follows aliases across modules and packages until they end at a definition, a stub,
or outside of the index. The facts of the environment decide guards; a guard that they do not decide gives
`conditional`.
"""

from __future__ import annotations

import sys
from collections import deque

from compat.index.query.answers import MISSING, REFUSES, Answer
from compat.model.guards import ALWAYS, Condition, Flag, Imports, describe, evaluate, one_holds
from compat.model.symbols import location, split_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from compat.index.query.answers import Facts
    from compat.index.reader import Index
    from compat.index.records import Branch
    from compat.model.symbols import Status


_SUBMODULE = Answer(status="submodule", kind="module")


class NameResolver:
    """Resolves locations in one environment, and caches the answers."""

    def __init__(self, index: Index, environment: Facts) -> None:
        self.index = index
        self.environment = environment
        self._answers: dict[tuple[str, str], Answer] = {}
        self._problems: dict[str, str | None] = {}
        self._present: dict[str, bool | None] = {}
        self._open: dict[tuple[str, str], int] = {}
        """The locations whose answers are being worked out, outermost first, with their depths."""
        self._outermost = _NONE_OPEN
        """The depth of the outermost open location on which the work at hand relied."""
        self._assumed: dict[str, bool] = {}
        """The imports whose success is assumed while it is worked out, and whether anything relied on it."""
        self._owners: dict[str, str | None] = {}
        self._trusted: dict[str, bool] = {}

    def owner(self, module: str) -> str | None:
        """Return the indexed package of a module if its release is known, else None."""
        top = module.partition(".")[0]
        if top not in self._owners:
            owners = self.index.owners.get(top, ())
            self._owners[top] = next(
                (name for name in owners if name in self.environment.release_indexes), None
            )
        return self._owners[top]

    def answer(self, module: str, name: str) -> Answer:
        """Return the answer for `module:name`, or for the module itself if the name is empty.

        A location in a circle of aliases looks different from each location of the circle: asked within the
        search for one of them, that one binds nothing yet. Such answers are not cached.
        """
        return self._answer(module, name)

    def problem(self, module: str) -> str | None:
        """Return why the import of a module fails in this environment; None if no reason is known.

        Every import of the module, of its parents, and of the modules that these need must succeed unless its
        guard is undecided. Circular imports alone are not a problem.
        """
        alone = self.environment.alone
        if alone is not None and self.owner(module) == alone:
            return self.index.problem(module, alone, self.environment.release_indexes[alone])
        # Whether a module can be imported does not depend on the name for which that is asked.
        around = self._open, self._outermost
        self._open, self._outermost = {}, _NONE_OPEN
        try:
            return self._find_problem(module)
        finally:
            self._open, self._outermost = around

    def _find_problem(self, module: str) -> str | None:
        came_from: dict[str, str | None] = {module: None}
        queue = deque([module])
        while queue:
            current = queue.popleft()
            if current in self._problems:
                problem = self._problems[current]
            elif self._is_sound(current):
                problem = None
            else:
                problem, needed = self._direct_needs(current)
                for other in needed:
                    if other not in came_from:
                        came_from[other] = current
                        queue.append(other)
            if problem is not None:
                step: str | None = current
                while step is not None:
                    self._problems[step] = problem
                    step = came_from[step]
                return problem
        self._problems.update(dict.fromkeys(came_from))
        return None

    def _is_sound(self, module: str) -> bool:
        """Return whether, according to the index, a module needs nothing that is missing."""
        package = self.owner(module)
        if package is None or not self._trusts(package):
            return False
        return self.index.problem(module, package, self.environment.release_indexes[package]) is None

    def _trusts(self, package: str) -> bool:
        """Return whether the indexed problems of a release alone also apply next to the other releases."""
        if package not in self._trusted:
            self._trusted[package] = self._find_trusted(package)
        return self._trusted[package]

    def _find_trusted(self, package: str) -> bool:
        facts = self.environment
        if not self.index.concluded or facts.cuda is not None or facts.broken:
            return False
        if facts.provided is not None or facts.foreign is not None:
            return False
        others = dict(facts.release_indexes)
        release_index = others.pop(package)
        pinned = self.index.companions(package, release_index)
        self.index.note(package, release_index)
        if any(others.pop(name, None) != at for name, at in pinned.items()):
            return False
        foreign = set(facts.absent)
        for top, owners in self.index.owners.items():
            if package not in owners and pinned.keys().isdisjoint(owners):
                foreign.discard(top)
            elif top in facts.absent or others.keys() & owners:
                return False  # the modules may come from another release, or from none
        if foreign:
            return False  # what depends on them is not known
        trial = NameResolver(self.index, facts)
        trial._trusted = {
            **self._trusted,
            package: True,
        }  # assume success first: imports may be circular
        asking = self.index.pair_dependent(package, release_index) if others or facts.absent else ()
        return all(trial._succeeds(module, branch) for module, branch in asking)

    def _succeeds(self, module: str, branch: Branch) -> bool:
        """Return whether a module and all modules that it needs can be imported."""
        problem, needed = self._need(module, branch)
        return problem is None and (needed is None or self.problem(needed) is None)

    def present(self, target: str) -> bool | None:
        """Return whether an import of `target` succeeds in this environment; None if it is not known.

        During the search the answer counts as yes: modules that import each other in a circle do so without
        failing. If that turns out wrong, everything that was concluded from it is forgotten.
        """
        if target in self._present:
            return self._present[target]
        if target in self._assumed:
            self._assumed[target] = True
            return self._bound_there(target)
        caches: tuple[dict[Any, Any], ...] = (self._answers, self._problems, self._present)
        sizes = list(map(len, caches))
        self._assumed[target] = False
        around, self._outermost = self._outermost, _NONE_OPEN
        found = self._find_present(target)
        contradicted = self._assumed.pop(target) and found is not True
        if contradicted:
            for cache, size in zip(caches, sizes, strict=True):
                while len(cache) > size:
                    cache.popitem()  # the newest entry
        if self._outermost == _NONE_OPEN and (contradicted or not self._in_circle(target)):
            self._present[target] = found
        self._outermost = min(self._outermost, around)
        return found

    def _find_present(self, target: str) -> bool | None:
        present = self._bound_there(target)
        if present is not True:
            return present
        module, name = split_location(target)
        deepest = f"{module}.{name}" if name and self._is_module(target) else module
        return self.problem(deepest) is None

    def _bound_there(self, target: str) -> bool | None:
        """Return whether a location exists, even if a module on the path to it fails to import."""
        module, name = split_location(target)
        top = module.partition(".")[0]
        if top in self.environment.absent:
            return False
        if self.owner(module) is None:
            if top in self.index.owners:
                return None  # an indexed package whose release is not known
            if top in sys.stdlib_module_names:
                return True
            if self.environment.foreign is not None:
                return self.environment.foreign(target)
            if self.environment.provided is None or top not in self.environment.provided:
                return None if self.environment.provided is None else False
            # The package is installed, but the names and submodules of its release are not indexed.
            return True if target == top else None
        status = self.answer(module, name).status
        return None if status in ("conditional", "dynamic") else status != "missing"

    def _answer(self, module: str, name: str) -> Answer:
        key = (module, name)
        if key in self._answers:
            return self._answers[key]
        if key in self._open:  # a circle of aliases binds nothing, but may end at a submodule
            self._outermost = min(self._outermost, self._open[key])
            package = self.owner(module)
            if package is None:
                return MISSING
            return self._unbound(module, name, package, self.environment.release_indexes[package])
        depth = self._open[key] = len(self._open)
        around, self._outermost = self._outermost, _NONE_OPEN
        answer = self._decide(module, name)
        del self._open[key]
        if self._outermost > depth:
            self._answers[key] = answer
        elif self._outermost < depth:
            around = min(around, self._outermost)
        self._outermost = around
        return answer

    def _in_circle(self, target: str) -> bool:
        """Return whether the answer for an indexed location differs for those that lead to it."""
        place = split_location(target)
        return place not in self._answers and self.owner(place[0]) is not None

    def _decide(self, module: str, name: str) -> Answer:
        package = self.owner(module)
        if package is None:
            return self._foreign(module, name)
        release_index = self.environment.release_indexes[package]
        if not name:
            present = self.index.module(module, package, release_index)
            return _SUBMODULE if present else MISSING
        branches = self.index.branches(module, name, package, release_index)
        if not branches:
            return self._unbound(module, name, package, release_index)
        chosen = self._choose(module, name, branches)
        # `from package import name` tries the submodule when the package does not bind the name (yet).
        if chosen.status == "missing" and self.index.has_submodule(module, name, package, release_index):
            return _SUBMODULE
        return chosen

    def _foreign(self, module: str, name: str) -> Answer:
        """Return the answer for a location outside of the index: present, unless known to be absent."""
        present = self._bound_there(location(module, name))
        if present is False:
            return Answer(status="missing", reason=f"{module.partition('.')[0]} is not installed")
        return Answer(status="defined", kind=None if name else "module")

    def _unbound(self, module: str, name: str, package: str, release_index: int) -> Answer:
        """Return the answer for a name that no statement of the module binds."""
        if self.index.has_submodule(module, name, package, release_index):
            return _SUBMODULE
        row = self.index.module(module, package, release_index)
        if row is not None and row.open:
            return Answer(status="dynamic", always_bound=False)
        return MISSING

    def _choose(self, module: str, name: str, branches: tuple[Branch, ...]) -> Answer:
        """Return the answer of the last branch whose guard is true, or `conditional` if it is not known."""
        if len(branches) == 1 and branches[0].guard == ALWAYS:
            return self._bound(module, branches[0], None)
        undecided: list[Branch] = []
        for branch in reversed(branches):
            truth = evaluate(branch.guard, self._leaf)
            if truth is True and not undecided:
                guard = None if branch.guard == ALWAYS else describe(branch.guard)
                return self._bound(module, branch, guard)
            if truth is not False:
                undecided.append(branch)
            if truth is True:
                break
        package = self.owner(module)
        assert package is not None  # noqa: S101 -- it has the branches
        release_index = self.environment.release_indexes[package]
        if not undecided:
            return self._unbound(module, name, package, release_index)
        bound = [branch.guard for branch in undecided if branch.status != "missing"]
        candidates = [(branch, self._bound(module, branch, None)) for branch in reversed(undecided)]
        branch, best = min(candidates, key=lambda candidate: _PREFERENCE[candidate[1].status])
        return Answer(
            status="conditional",
            kind=best.kind,
            origin=best.origin,
            guard=describe(branch.guard),
            always_bound=one_holds(bound) or self.index.has_submodule(module, name, package, release_index),
            signature=best.signature,
        )

    def _bound(self, module: str, branch: Branch, guard: str | None) -> Answer:
        """Return the answer of one branch: for an alias, the answer of its target."""
        if branch.status in ("defined", "placeholder", "missing"):
            return Answer(
                status=branch.status,
                kind=branch.kind,
                guard=guard,
                reason=None if branch.refusal is None else f"{REFUSES} {branch.refusal}",
                signature=branch.signature,
            )
        if branch.target is None:
            return Answer(status=branch.status, kind=branch.kind, guard=guard)
        target_module, target_name = split_location(branch.target)
        inner = self._answer(target_module, target_name)
        if inner.status == "missing" and target_module == module:
            return Answer(status="defined", kind="value", guard=guard)  # an alias of a removed name
        if inner.status in ("missing", "placeholder", "dynamic", "conditional"):
            reason = inner.reason or (f"{branch.target} is missing" if inner.status == "missing" else None)
            return Answer(
                status=inner.status,
                kind=inner.kind,
                origin=inner.origin or branch.target,
                guard=guard or inner.guard,
                reason=reason,
                always_bound=inner.always_bound,
                signature=inner.signature,
            )
        origin = self._origin(branch.target, inner)
        home = split_location(origin)[0] == module and ":" in origin
        status: Status = "defined" if home else "lazy" if branch.status == "lazy" else "reexported"
        return Answer(
            status=status,
            kind=inner.kind,
            origin=None if home else origin,
            guard=guard,
            signature=inner.signature,
        )

    def _origin(self, target: str, inner: Answer) -> str:
        if inner.origin is not None:
            return inner.origin
        return target.replace(":", ".") if inner.status == "submodule" else target

    def _is_module(self, target: str) -> bool:
        module, name = split_location(target)
        package = self.owner(module)
        if package is None or not name:
            return False
        release_index = self.environment.release_indexes[package]
        if self.index.branches(module, name, package, release_index):
            return False  # a binding of the package hides the submodule
        return self.index.has_submodule(module, name, package, release_index)

    def _direct_needs(self, module: str) -> tuple[str | None, list[str]]:
        """Return the first import of a module that fails, and the indexed modules that it needs."""
        if module in self.environment.broken:
            return f"{module} cannot be imported here: {self.environment.broken[module]}", []
        package = self.owner(module)
        if package is None:
            return None, []
        parent = module.rpartition(".")[0]
        needed = [parent] if parent else []
        for branch in self._imports(module, package):
            problem, other = self._need(module, branch)
            if problem is not None:
                return problem, []
            if other is not None:
                needed.append(other)
        return None, needed

    def _imports(self, module: str, package: str) -> Iterable[Branch]:
        """Return the imports of a module in the release of its package."""
        release_index = self.environment.release_indexes[package]
        return (branch for _, branch in self.index.imports(module, package, release_index))

    def _need(self, module: str, branch: Branch) -> tuple[str | None, str | None]:
        """Return why an import of a module fails, or the module that it needs; neither if it may not run."""
        target = branch.target or ""
        source = split_location(target)[0]
        if source == module or evaluate(branch.guard, self._leaf) is not True:
            return None, None
        if self._bound_there(target) is False:
            return f"{module} imports {target}, which is missing", None
        return None, target.replace(":", ".") if self._is_module(target) else source

    def _leaf(self, leaf: Imports | Condition | Flag) -> bool | None:
        match leaf:
            case Imports(targets, alone):
                return self._all_present(targets, alone=alone)
            case Flag(target):
                return self._truth_of(target)
            case Condition(text):
                function = text.removesuffix("()")
                if function != text and "." in function:
                    module, _, name = function.rpartition(".")
                    truth = self._truth_of(location(module, name))
                    if truth is not None:
                        return truth
                from compat.index.extract.device_predicates import known_truth  # few names need it

                return known_truth(text, cuda=self.environment.cuda)

    def _all_present(self, targets: tuple[str, ...], *, alone: bool) -> bool | None:
        answers = set(map(self.present, targets))
        if False in answers:
            return False
        return None if None in answers or not alone else True

    def _truth_of(self, target: str, depth: int = 0) -> bool | None:
        """Return the value of a top-level flag, or the result of a predicate function without arguments."""
        module, name = split_location(target)
        package = self.owner(module)
        if package is None or depth > _DEEPEST_FLAG:
            return None
        for branch in reversed(
            self.index.branches(module, name, package, self.environment.release_indexes[package])
        ):
            holds = evaluate(branch.guard, self._leaf)
            if holds is None:
                return None
            if holds and branch.truth is not None:
                return evaluate(branch.truth, self._leaf)
            if holds and branch.status == "reexported" and branch.target is not None:
                return self._truth_of(branch.target, depth + 1)
            if holds:
                return None
        return None


_NONE_OPEN = sys.maxsize
"""Deeper than any open location."""

_DEEPEST_FLAG = 8
"""The maximum number of re-exports to follow for a flag; more are a circle."""

_PREFERENCE: Mapping[Status, int] = {
    "defined": 0,
    "reexported": 1,
    "submodule": 2,
    "lazy": 3,
    "conditional": 4,
    "dynamic": 5,
    "placeholder": 6,
    "missing": 7,
}
