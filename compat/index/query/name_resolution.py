"""What a location is in a given world: which releases are there, which packages are not, CUDA or no CUDA.

Aliases are followed from module to module and from package to package until they end at a definition, a stub,
or outside of what is indexed. Guards are decided from the world's facts; what these leave open stays
`conditional`.
"""

from __future__ import annotations

import sys
from collections import deque
from types import MappingProxyType

from compat._util.named_tuple import NamedTuple
from compat.model.guards import ALWAYS, Condition, Flag, Imports, Not, describe, evaluate
from compat.model.symbols import location, split_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from compat.index.reader import Index
    from compat.index.records import Branch
    from compat.model.guards import Guard
    from compat.model.symbols import Kind, Status


class Facts(NamedTuple):
    """The facts by which guards are decided. What is not stated is unknown."""

    release_indexes: Mapping[str, int] = MappingProxyType({})
    """Indexed package to the index of its release."""
    absent: frozenset[str] = frozenset()
    """Top-level import names that cannot be imported here."""
    provided: Container[str] | None = None
    """All top-level import names that are there, beside the standard library; None when not known."""
    cuda: bool | None = None
    """Whether there is a CUDA device."""
    broken: Mapping[str, str] = MappingProxyType({})
    """Modules that are there and cannot be imported here, with the reason: a driver is missing, say."""
    alone: str | None = None
    """The package that stands here alone, nothing else being stated: then the index tells its problems."""

    def at(self, release_indexes: Mapping[str, int]) -> Facts:
        """Return the same facts with other releases."""
        return Facts(release_indexes, *self[1:])


class Answer(NamedTuple):
    """What a location is in a world."""

    status: Status
    kind: Kind | None = None
    origin: str | None = None
    """Where the object really comes from, when that is elsewhere."""
    guard: str | None = None
    """The condition of a conditional answer, or the branch that was taken when it could be decided."""
    reason: str | None = None
    """Why it is missing, when that is not simply because nothing binds it."""
    always_bound: bool = True
    """Whether it is bound in every branch."""
    signature: int | None = None
    """The number of how it is called: see `Index.signature`."""


MISSING = Answer(status="missing", always_bound=False)
_SUBMODULE = Answer(status="submodule", kind="module")


class NameResolver:
    """Answers questions about locations in one environment; answers are remembered."""

    def __init__(self, index: Index, environment: Facts) -> None:
        self.index = index
        self.environment = environment
        self._answers: dict[tuple[str, str], Answer] = {}
        self._problems: dict[str, str | None] = {}
        self._present: dict[str, bool | None] = {}
        self._owners: dict[str, str | None] = {}
        self._trusted: dict[str, bool] = {}

    def owner(self, module: str) -> str | None:
        """Return the indexed package that a module belongs to and whose release is known, or None."""
        top = module.partition(".")[0]
        if top not in self._owners:
            owners = self.index.owners.get(top, ())
            self._owners[top] = next(
                (name for name in owners if name in self.environment.release_indexes), None
            )
        return self._owners[top]

    def answer(self, module: str, name: str) -> Answer:
        """Return what `module:name` is, or what the module itself is when the name is empty."""
        return self._answer(module, name, frozenset())

    def problem(self, module: str) -> str | None:
        """Return why importing a module must fail here, or None when nothing known speaks against it.

        Every import that the module, its parents, and the modules these need make without an open guard must
        succeed. Circular imports are no problem by themselves.
        """
        alone = self.environment.alone
        if alone is not None and self.owner(module) == alone:
            return self.index.problem(module, alone, self.environment.release_indexes[alone])
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
        """Return whether the index tells that nothing which a module needs is missing."""
        package = self.owner(module)
        if package is None or not self._trusts(package):
            return False
        return self.index.problem(module, package, self.environment.release_indexes[package]) is None

    def _trusts(self, package: str) -> bool:
        """Return whether what the index tells of a release by itself holds beside the other releases here."""
        if package not in self._trusted:
            self._trusted[package] = self._find_trusted(package)
        return self._trusted[package]

    def _find_trusted(self, package: str) -> bool:
        facts = self.environment
        if not self.index.concluded or facts.provided is not None or facts.cuda is not None or facts.broken:
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
                return False  # these modules may be those of another one, or of none
        if foreign:
            return False  # nothing is known of what depends on them
        trial = NameResolver(self.index, facts)
        trial._trusted = {
            **self._trusted,
            package: True,
        }  # what is to be shown is assumed: imports go in circles
        asking = self.index.pair_dependent(package, release_index) if others or facts.absent else ()
        return all(trial._succeeds(module, branch) for module, branch in asking)

    def _succeeds(self, module: str, branch: Branch) -> bool:
        """Return whether nothing is wrong with an import of a module, and with what it needs."""
        problem, needed = self._need(module, branch)
        return problem is None and (needed is None or self.problem(needed) is None)

    def present(self, target: str) -> bool | None:
        """Return whether an import of `target` succeeds here; None when that is not known.

        While the answer is being found it is taken to be yes: modules that import each other in a circle do
        so without failing.
        """
        if target not in self._present:
            self._present[target] = True
            self._present[target] = self._find_present(target)
        return self._present[target]

    def _find_present(self, target: str) -> bool | None:
        there = self._bound_there(target)
        if there is not True:
            return there
        module, name = split_location(target)
        deepest = f"{module}.{name}" if name and self._is_module(target) else module
        return self.problem(deepest) is None

    def _bound_there(self, target: str) -> bool | None:
        """Return whether a location exists, whatever becomes of the modules on the way to it."""
        module, name = split_location(target)
        top = module.partition(".")[0]
        if top in self.environment.absent:
            return False
        if self.owner(module) is None:
            if top in self.index.owners:
                return None  # an indexed package whose release is not known
            if top in sys.stdlib_module_names:
                return True
            if self.environment.provided is None or top not in self.environment.provided:
                return None if self.environment.provided is None else False
            # Installed is not all: which names and submodules that release has is not indexed.
            return True if target == top else None
        status = self.answer(module, name).status
        return None if status in ("conditional", "dynamic") else status != "missing"

    def _answer(self, module: str, name: str, seen: frozenset[tuple[str, str]]) -> Answer:
        key = (module, name)
        if key in seen:  # a circle of names for each other binds nothing, but may end at a submodule
            package = self.owner(module)
            return (
                self._unbound(module, name, package, self.environment.release_indexes[package])
                if package
                else MISSING
            )
        if key not in self._answers:
            answer = self._decide(module, name, seen | {key})
            if seen:
                return answer  # what a circle of aliases makes of it is not the whole answer
            self._answers[key] = answer
        return self._answers[key]

    def _decide(self, module: str, name: str, seen: frozenset[tuple[str, str]]) -> Answer:
        package = self.owner(module)
        if package is None:
            return self._foreign(module, name)
        release_index = self.environment.release_indexes[package]
        if not name:
            there = self.index.module(module, package, release_index)
            return _SUBMODULE if there else MISSING
        branches = self.index.branches(module, name, package, release_index)
        if not branches:
            return self._unbound(module, name, package, release_index)
        chosen = self._choose(module, name, branches, seen)
        # `from package import name` tries the submodule when the package does not bind the name (yet).
        if chosen.status == "missing" and self.index.has_submodule(module, name, package, release_index):
            return _SUBMODULE
        return chosen

    def _foreign(self, module: str, name: str) -> Answer:
        """Return the answer for what is not indexed: it is taken to be there unless it is known not to be."""
        there = self._bound_there(location(module, name))
        if there is False:
            return Answer(status="missing", reason=f"{module.partition('.')[0]} is not installed")
        return Answer(status="defined", kind=None if name else "module")

    def _unbound(self, module: str, name: str, package: str, release_index: int) -> Answer:
        """Return what a name is that no statement of the module binds."""
        if self.index.has_submodule(module, name, package, release_index):
            return _SUBMODULE
        row = self.index.module(module, package, release_index)
        if row is not None and row.open:
            return Answer(status="dynamic", always_bound=False)
        return MISSING

    def _choose(
        self, module: str, name: str, branches: tuple[Branch, ...], seen: frozenset[tuple[str, str]]
    ) -> Answer:
        """Return the answer of the last branch whose guard holds, or `conditional` when that is not known."""
        if len(branches) == 1 and branches[0].guard == ALWAYS:
            return self._bound(module, branches[0], None, seen)
        undecided: list[Branch] = []
        for branch in reversed(branches):
            truth = evaluate(branch.guard, self._leaf)
            if truth is True and not undecided:
                guard = None if branch.guard == ALWAYS else describe(branch.guard)
                return self._bound(module, branch, guard, seen)
            if truth is not False:
                undecided.append(branch)
            if truth is True:
                break
        package = self.owner(module)
        assert package is not None  # noqa: S101 -- it has the branches
        release_index = self.environment.release_indexes[package]
        if not undecided:
            return self._unbound(module, name, package, release_index)
        candidates = [(branch, self._bound(module, branch, None, seen)) for branch in reversed(undecided)]
        branch, best = min(candidates, key=lambda candidate: _PREFERENCE[candidate[1].status])
        return Answer(
            status="conditional",
            kind=best.kind,
            origin=best.origin,
            guard=describe(branch.guard),
            always_bound=_covers(undecided) or self.index.has_submodule(module, name, package, release_index),
            signature=best.signature,
        )

    def _bound(
        self, module: str, branch: Branch, guard: str | None, seen: frozenset[tuple[str, str]]
    ) -> Answer:
        """Return the answer of one branch: its own, or that of what it is another name for."""
        if branch.status in ("defined", "placeholder", "missing"):
            return Answer(status=branch.status, kind=branch.kind, guard=guard, signature=branch.signature)
        if branch.target is None:
            return Answer(status=branch.status, kind=branch.kind, guard=guard)
        target_module, target_name = split_location(branch.target)
        inner = self._answer(target_module, target_name, seen)
        if inner.status == "missing" and target_module == module:
            return Answer(
                status="defined", kind="value", guard=guard
            )  # another name for what was removed since
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
            return False  # what the package binds itself hides the submodule
        return self.index.has_submodule(module, name, package, release_index)

    def _direct_needs(self, module: str) -> tuple[str | None, list[str]]:
        """Return the first import of a module that must fail, and the indexed modules that it needs."""
        if module in self.environment.broken:
            return f"{module} cannot be imported here: {self.environment.broken[module]}", []
        package = self.owner(module)
        if package is None:
            return None, []
        parent = module.rpartition(".")[0]
        needed = [parent] if parent else []
        for _, branch in self.index.imports(module, package, self.environment.release_indexes[package]):
            problem, other = self._need(module, branch)
            if problem is not None:
                return problem, []
            if other is not None:
                needed.append(other)
        return None, needed

    def _need(self, module: str, branch: Branch) -> tuple[str | None, str | None]:
        """Return why an import of a module must fail, or what module it needs; neither if it may not run."""
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
        """Return the truth of a top-level flag, or of what a predicate function without arguments answers."""
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


_DEEPEST_FLAG = 8
"""Re-exports of a flag that are followed; more is a circle."""

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


def _covers(branches: list[Branch]) -> bool:
    """Return whether one of the branches runs whatever happens.

    True for a branch without guard, for the two sides of one test, and for a `try` with its handler: the name
    is bound by the first n imports of the body, or, when any of the body's imports fails, by the handler.
    """
    guards = [branch.guard for branch in branches if branch.status != "missing"]
    return ALWAYS in guards or any(_complement(left, right) for left in guards for right in guards)


def _complement(left: Guard, right: Guard) -> bool:
    if not isinstance(right, Not):
        return False
    other = right.guard
    if isinstance(left, Imports) and isinstance(other, Imports):
        return other.targets[: len(left.targets)] == left.targets
    return left == other
