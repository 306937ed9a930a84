"""Run the probe in child processes, one after another, so that a crash or hang affects one module only."""

from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from compat.errors import PreparationError
from compat.probe.expectation import ModuleExpectation
from compat.probe.forks import CLEAN, MAX_SKIPPED, can_fork, forked, forked_facts
from compat.probe.probe_process import DAMAGED, FORKED, HUNG, ProbeProcesses, records_of
from compat.probe.probe_records import ModuleFact
from compat.probe.tasks import Seen, Task

CIRCULAR = "circular import"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRunner(ProbeProcesses):
    """Runs the probe with the interpreter of one environment."""

    retries: int | None = None
    """The number of unexpected results that are repeated, each in its own process; None for all of them.
    With a limit, a failure that was confirmed for one module counts for others with the same error."""

    def machine(self) -> dict[str, Any]:
        """Return facts about Python, torch and the GPU, from a child process that imports nothing else.

        Raises:
            PreparationError: the child process failed.
        """
        facts: dict[str, Any] = {}
        with self.child([], machine=True) as child:
            for record in records_of(child):
                if record["event"] == "machine":
                    facts = {key: value for key, value in record.items() if key != "event"}
        if not facts:
            raise PreparationError(
                f"the Python of the environment failed to run the probe ({child.end}); see the log"
            )
        return facts

    def facts(
        self,
        expected: Sequence[ModuleExpectation],
        common: Mapping[str, Sequence[str]] | None = None,
    ) -> Generator[ModuleFact]:
        """Yield one fact for every module, in the order in which the facts become known.

        A result that contradicts the index is repeated in a separate process and replaced by that result,
        since an earlier import in the same process may be its cause. If the import of a whole package has
        failed and `retries` is a limit, one such repetition counts for all modules that fail as a result. If
        a module still fails with a circular import, its names are looked up after other imports. A hang is
        not repeated.

        Args:
            expected: what the index says about each module.
            common: by top-level package, the modules that most of its modules import: with them, each module
                runs in a forked copy of a process that has imported these. Without, or where processes cannot
                fork, the modules share processes.

        Raises:
            PreparationError: a child process died before its first module.
        """
        if common is not None and can_fork():
            yield from forked_facts(self, expected, common)
            return
        # Modules that must fail come last, since a failed import leaves modules in `sys.modules`.
        tasks = [Task.of(module) for module in sorted(expected, key=lambda module: module.must_fail)]
        hopeless = {module.module for module in expected if module.must_fail}
        fine: list[str] = []
        doubtful: list[Seen] = []
        for seen in self._shared(tasks):
            if seen.fact.imported and seen.fact.module not in hopeless:
                fine.append(seen.fact.module)
            elif (
                seen.fact.imported
                or (seen.fact.module not in hopeless and not seen.fact.error.startswith(HUNG))
                or (self.retries is not None and _left_behind(seen.fact))
            ):
                doubtful.append(seen)
                continue
            yield seen.fact
        # A module that was imported although it must fail usually succeeds because of an earlier import. A
        # repetition in forked copies of a clean process is cheap, and a failure there is conclusive.
        surprising = [seen.task for seen in doubtful if seen.fact.imported and seen.fact.module in hopeless]
        refused = {seen.fact.module: seen.fact for seen in forked(self, surprising, CLEAN)}
        confirmed: set[tuple[str, str]] = set()
        ended: dict[str, ModuleFact] = {}
        retried = 0
        for seen in doubtful:
            fact = refused.get(seen.fact.module)
            if fact is not None and not fact.imported:
                yield fact
                continue
            behind = self.retries is not None and _left_behind(seen.fact)
            if behind and _top(seen.fact) in ended:
                yield replace(ended[_top(seen.fact)], module=seen.fact.module)
                continue
            known = (seen.fact.error, seen.fact.where) in confirmed
            if self.retries is not None and (known or retried >= self.retries):
                yield replace(seen.fact, confirmed=known)
                continue
            retried += 1
            fact = self._again(seen, fine)
            confirmed.add((fact.error, fact.where))
            if behind and not fact.imported:
                ended[_top(fact)] = fact
            yield fact

    def _again(self, failed: Seen, fine: Sequence[str]) -> ModuleFact:
        """Return the fact from a separate process; after a circular import, with names found after others."""
        fact = failed.fact if failed.alone else self._last([failed.task])
        if CIRCULAR not in fact.error or not fine:
            return fact
        after_others = self._last([*map(Task, fine), failed.task])
        return replace(fact, names=after_others.names, unlisted=after_others.unlisted)

    def _last(self, tasks: Sequence[Task]) -> ModuleFact:
        *_, seen = self._shared(tasks)
        return seen.fact

    def _shared(self, listed: Sequence[Task]) -> Iterator[Seen]:
        """Run the tasks in order, in as few child processes as possible."""
        tasks = deque(listed)
        while tasks:
            alone, running, step = True, False, ""
            forked = False
            with self.child(tasks) as child:
                for record in records_of(child):
                    child.end = _problem(record, tasks)
                    if child.end:
                        break
                    if record["event"] == "forked":
                        forked = forked or record["module"] == tasks[0].module
                        continue
                    running, step = record["event"] != "module", record.get("name", "")
                    if not running:
                        fact = ModuleFact.read(record)
                        if forked:
                            fact = ModuleFact(module=fact.module, error=FORKED)
                        yield Seen(fact=fact, task=tasks.popleft(), alone=alone)
                        alone = forked = False
            if running and step and len(tasks[0].skip) < MAX_SKIPPED:
                tasks[0].skip[step] = child.end
            elif running:
                fact = ModuleFact(module=tasks[0].module, error=child.end)
                yield Seen(fact=fact, task=tasks.popleft(), alone=alone)
            elif alone and tasks:
                raise PreparationError(f"the probe {child.end} before its first module; see the log")


def _problem(record: Mapping[str, Any], tasks: Sequence[Task]) -> str:
    """Return why a record is not one about the next task, or an empty string if it is."""
    if record["event"] == "forked" and tasks:  # that of an earlier module may come late
        return ""
    if not tasks or record["event"] in {"machine", "done"} or record["module"] != tasks[0].module:
        return f"{DAMAGED}: an unexpected {record['event']!r} of {str(record.get('module'))[:80]!r}"
    if record["event"] == "module":
        try:
            ModuleFact.read(record).check_types()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            return f"{DAMAGED}: {type(error).__name__}: {str(error)[:80]}"
    return ""


def _top(fact: ModuleFact) -> str:
    return fact.module.partition(".")[0]


def _left_behind(fact: ModuleFact) -> bool:
    """Return whether a module failed because the import of its package had failed in the same process.

    Python removes the failed package from `sys.modules` but not its submodules, and a namespace package in it
    then raises a KeyError.
    """
    return fact.error == f"KeyError: {_top(fact)!r}"
