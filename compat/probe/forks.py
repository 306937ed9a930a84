"""Examine each module in a forked copy of a process that has imported what all modules share.

An import in a copy costs only what the module itself adds, and no module sees what another one leaves behind.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from compat.errors import PreparationError
from compat.probe.expectation import ModuleExpectation
from compat.probe.probe_process import FORKED, Child, ProbeProcesses, records_of
from compat.probe.probe_records import ModuleFact
from compat.probe.tasks import Seen, Task

JOBS = 2
"""How many copies run at once."""
CLEAN = ("torch",)
"""Modules that every module under test imports and none modifies."""
DEATHS = ("crashed", "exited", "hung")
MAX_SKIPPED = 5
"""The number of names whose lookup may kill a process before their module counts as failed."""


def forked_facts(
    runner: ProbeProcesses, expected: Sequence[ModuleExpectation], common: Mapping[str, Sequence[str]]
) -> Iterator[ModuleFact]:
    """Yield one fact for every module, from copies of processes that have imported what its package shares.

    An unexpected failure is repeated in a copy of a process that has imported torch alone, once for each
    error and place. If the repetition succeeds, all modules with this error are repeated.

    Raises:
        PreparationError: a process died before its first module.
    """
    hopeless = {module.module for module in expected if module.must_fail}
    doubtful: dict[tuple[str, str], list[Seen]] = {}
    for top, modules in groupby(sorted(expected, key=lambda each: each.module), key=_top):
        preload = [each for each in common.get(top, ()) if each not in hopeless]
        for seen in forked(runner, [Task.of(module) for module in modules], (*CLEAN, *preload)):
            if seen.fact.imported or seen.fact.module in hopeless or seen.fact.error.startswith("hung"):
                yield seen.fact
            else:
                doubtful.setdefault((seen.fact.error, seen.fact.where), []).append(seen)
    samples = [group[0] for group in doubtful.values()]
    clean = {seen.fact.module: seen.fact for seen in forked(runner, [each.task for each in samples], CLEAN)}
    again: list[Task] = []
    for first, *others in doubtful.values():
        yield clean[first.fact.module]
        if clean[first.fact.module].imported:
            again += [each.task for each in others]
        else:
            yield from (each.fact for each in others)
    yield from (seen.fact for seen in forked(runner, again, CLEAN))


def forked(runner: ProbeProcesses, tasks: Sequence[Task], preload: Sequence[str]) -> Iterator[Seen]:
    """Yield what is seen of each module in a copy of a process that has imported `preload`.

    What cannot be imported in advance is left out.

    Raises:
        PreparationError: a process died before its first module.
    """
    pool = _ForkPool(runner, {task.module: task for task in tasks}, list(preload))
    while pool.waiting:
        yield from pool.run()
        for task in pool.suspects:  # the whole process died, perhaps of one of these
            lone = _ForkPool(runner, {task.module: task}, pool.preload)
            yield from lone.run()
            if not lone.finished:
                yield Seen(fact=ModuleFact(module=task.module, error=lone.end), task=task, alone=True)
        pool.suspects.clear()


class _ForkPool:
    """The modules that wait for a copy, and the state of those that have one."""

    def __init__(self, runner: ProbeProcesses, waiting: dict[str, Task], preload: list[str]) -> None:
        # The process that forks watches the time itself, so this is for the case that it hangs.
        self._runner = replace(runner, timeout=2 * runner.timeout + 60)
        self._seconds = runner.timeout
        self.waiting = waiting
        self.preload = preload
        self.suspects: list[Task] = []
        """The modules that ran when the process died."""
        self.finished = 0
        self.end = ""
        """How the process died."""
        self._steps: dict[str, str] = {}
        """The running modules, each with the name that is looked up."""
        self._forked: set[str] = set()
        self._loading = ""
        """The module that is imported in advance."""

    def run(self) -> Iterator[Seen]:
        """Start one process, and yield what its copies see until it ends."""
        known, self.finished = len(self.preload), 0
        later: dict[str, Task] = {}
        self._steps, self._forked, self._loading = {}, set(), ""
        tasks = list(self.waiting.values())
        with self._runner.child(tasks, preload=self.preload, jobs=JOBS, seconds=self._seconds) as child:
            yield from self._read(child, later)
        self.end = child.end
        if self._loading:
            self.preload.remove(self._loading)
        self.suspects = [self.waiting.pop(module) for module in self._steps if module in self.waiting]
        if not (later or self.suspects or self.finished) and known == len(self.preload):
            raise PreparationError(f"the probe {child.end} before its first module; see the log")
        self.waiting.update(later)

    def _read(self, child: Child, later: dict[str, Task]) -> Iterator[Seen]:
        for record in records_of(child):
            module = str(record.get("module"))
            if record["event"] == "preload":
                self._loading = module  # the last one is the one that fails
                continue
            if module not in self.waiting:
                continue  # a late record of a copy that was killed
            if record["event"] == "forked":
                self._forked.add(module)
            elif record["event"] != "module":
                self._steps[module] = record.get("name", "")
            else:
                fact = _fact(record)
                if module in self._forked:
                    fact = ModuleFact(module=module, error=FORKED)
                task, step = self.waiting.pop(module), self._steps.pop(module, "")
                if step and fact.error.startswith(DEATHS) and len(task.skip) < MAX_SKIPPED:
                    task.skip[step] = fact.error
                    later[module] = task
                else:
                    self.finished += 1
                    yield Seen(fact=fact, task=task, alone=True)


def can_fork() -> bool:
    """Return whether this system can copy a process."""
    return hasattr(os, "fork")


def _fact(record: dict[str, Any]) -> ModuleFact:
    try:
        fact = ModuleFact.read(record)
        fact.check_types()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        # A module under test can write to the file as well.
        return ModuleFact(module=str(record["module"]), error=f"wrote a record that is not valid ({error})")
    return fact


def _top(expected: ModuleExpectation) -> str:
    return expected.module.partition(".")[0]
