"""Run the probe in child processes, one after another, so that a crash or hang affects one module only."""

import json
import os
import subprocess
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from compat._util.orphans import orphans_ended
from compat._util.subprocesses import how_ended, running
from compat.errors import OutOfTimeError, PreparationError
from compat.probe.expectation import ModuleExpectation
from compat.probe.probe_records import ModuleFact

PROBE = Path(__file__).with_name("probe.py")
TASK = "task.json"
HUNG = "hung"
DAMAGED = "wrote a line that is not a record of the probe"
FORKED = "forked during the import, and the copy of the process went on after it"
EVENTS = ("machine", "start", "step", "module", "forked", "done")
CLEAN = ("torch",)
"""Modules that every module under test imports and none modifies."""
CIRCULAR = "circular import"
LOOK_EVERY = 0.05
"""Seconds between two reads of a child's records."""
MAX_SKIPPED = 5
"""The number of names whose lookup may kill a child process before their module counts as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRunner:
    """Runs the probe with the interpreter of one environment."""

    python: Path
    folder: Path
    """An existing private folder for tasks, records, and files that the packages write."""
    log: BinaryIO
    """The file for the output of child processes."""
    timeout: float
    """Seconds without progress after which a child process counts as hung."""
    until: float = float("inf")
    """The value of `time.monotonic()` at which the probe is aborted."""
    variables: Mapping[str, str] = field(default_factory=lambda: child_variables(os.environ))
    probe: tuple[str | Path, ...] = ("-I", PROBE)
    """The arguments of the interpreter; by default, it is isolated from anything outside the environment."""
    retries: int | None = None
    """The number of unexpected results that are repeated, each in its own process; None for all of them.
    With a limit, a failure that was confirmed for one module counts for others with the same error."""
    room: int = 256_000_000
    """Bytes that one child process may add to the log, so that it cannot fill the disk."""

    def machine(self) -> dict[str, Any]:
        """Return facts about Python, torch and the GPU, from a child process that imports nothing else.

        Raises:
            PreparationError: the child process failed.
        """
        facts: dict[str, Any] = {}
        with self._child([], machine=True) as child:
            for record in _records(child):
                if record["event"] == "machine":
                    facts = {key: value for key, value in record.items() if key != "event"}
        if not facts:
            raise PreparationError(
                f"the Python of the environment failed to run the probe ({child.end}); see the log"
            )
        return facts

    def facts(self, expected: Sequence[ModuleExpectation]) -> Generator[ModuleFact]:
        """Yield one fact for every module, in the order in which the facts become known.

        A result that contradicts the index is repeated in a separate process and replaced by that result,
        since an earlier import in the same process may be its cause. If the import of a whole package has
        failed and `retries` is a limit, one such repetition counts for all modules that fail as a result. If
        a module still fails with a circular import, its names are looked up after other imports. A hang is
        not repeated.

        Raises:
            PreparationError: a child process died before its first module.
        """
        # Modules that must fail come last, since a failed import leaves modules in `sys.modules`.
        tasks = [_Task.of(module) for module in sorted(expected, key=lambda module: module.must_fail)]
        hopeless = {module.module for module in expected if module.must_fail}
        fine: list[str] = []
        doubtful: list[_Seen] = []
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
        refused = {seen.fact.module: seen.fact for seen in self._shared(surprising, CLEAN)}
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

    def _again(self, failed: "_Seen", fine: Sequence[str]) -> ModuleFact:
        """Return the fact from a separate process; after a circular import, with names found after others."""
        fact = failed.fact if failed.alone else self._last([failed.task])
        if CIRCULAR not in fact.error or not fine:
            return fact
        after_others = self._last([*map(_Task, fine), failed.task])
        return replace(fact, names=after_others.names, unlisted=after_others.unlisted)

    def _last(self, tasks: Sequence["_Task"]) -> ModuleFact:
        *_, seen = self._shared(tasks)
        return seen.fact

    def _shared(self, listed: Sequence["_Task"], preload: Sequence[str] = ()) -> Iterator["_Seen"]:
        """Run the tasks in order, in as few child processes as possible.

        With `preload`, each module runs in a forked copy of a process that has imported only those modules.
        """
        tasks = deque(listed)
        while tasks:
            alone, running, step = True, False, ""
            forked = False
            with self._child(tasks, preload=preload) as child:
                for record in _records(child):
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
                        yield _Seen(fact=fact, task=tasks.popleft(), alone=alone)
                        alone = forked = False
            if running and step and len(tasks[0].skip) < MAX_SKIPPED:
                tasks[0].skip[step] = child.end
            elif running:
                fact = ModuleFact(module=tasks[0].module, error=child.end)
                yield _Seen(fact=fact, task=tasks.popleft(), alone=alone)
            elif alone and tasks:
                raise PreparationError(f"the probe {child.end} before its first module; see the log")

    def _child(
        self, tasks: Iterable["_Task"], *, machine: bool = False, preload: Sequence[str] = ()
    ) -> "Child":
        records, task = self.folder / "records.jsonl", self.folder / TASK
        document = {
            "records": str(records),
            "machine": machine,
            "room": self.room,
            "preload": list(preload),
            "modules": [each.document() for each in tasks],
        }
        task.write_text(json.dumps(document), encoding="utf-8")
        return Child(self, (*self.probe, task), records)


@dataclass(slots=True)
class _Task:
    """One module to examine, and its names whose lookup has killed a process."""

    module: str
    names: list[dict[str, str | None]] = field(default_factory=list)
    skip: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, expected: ModuleExpectation) -> "_Task":
        names = [{"name": name.name, "origin": name.origin} for name in expected.names]
        return cls(module=expected.module, names=names)

    def document(self) -> dict[str, Any]:
        return {"module": self.module, "names": self.names, "skip": self.skip}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    fact: ModuleFact
    task: _Task
    alone: bool
    """Whether it was the first module in its process."""


class Child:
    """A child process and the lines that it writes to a file; killed with its process group at the end.

    The process has its own HOME and an empty current folder.

    Args:
        runner: interpreter, folder, log and limits.
        arguments: arguments of the interpreter.
        records: the file, which is emptied first.
        variables: environment variables in addition to the runner's.
    """

    def __init__(
        self,
        runner: ProbeRunner,
        arguments: Sequence[str | Path],
        records: Path,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.runner = runner
        self.command = [runner.python, *arguments]
        self.path = records
        self.path.write_bytes(b"")
        self.variables = {**runner.variables, **variables}
        self._stack = ExitStack()
        self.end = ""
        """How the process ended, if it ended before its reader stopped reading."""

    def __enter__(self) -> "Child":  # noqa: PYI034 -- typing.Self is newer than Python 3.10
        work = self.runner.folder / "work"
        home = self.runner.folder / "home"
        for folder in (work, home):
            folder.mkdir(exist_ok=True)
        path = f"{self.runner.python.parent}{os.pathsep}{self.variables.get('PATH', os.defpath)}"
        command = running(
            self.command,
            stdout=self.runner.log,
            variables={**self.variables, "HOME": str(home), "PATH": path},
            folder=work,
        )
        self._stack.enter_context(orphans_ended())
        self.process = self._stack.enter_context(command)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def lines(self) -> Iterator[bytes]:
        """Yield complete lines as they appear, until the process has finished, died or timed out.

        Raises:
            OutOfTimeError: the time of the runner is over.
        """
        deadline = time.monotonic() + self.runner.timeout
        with self.path.open("rb") as stream:
            while True:
                over = self._over()
                for line in _whole_lines(stream):
                    deadline = time.monotonic() + self.runner.timeout
                    yield line
                if over:
                    self.end = how_ended(self.process.returncode)
                    return
                if time.monotonic() > self.runner.until:
                    raise OutOfTimeError("not all modules were imported in time")
                if time.monotonic() > deadline:
                    self.end = f"{HUNG} after {self.runner.timeout:g} s"
                    return

    def _over(self) -> bool:
        try:
            self.process.wait(LOOK_EVERY)
        except subprocess.TimeoutExpired:
            return False
        return True


def _records(child: Child) -> Iterator[dict[str, Any]]:
    """Yield the records of the probe as they appear, until it has finished, died or timed out."""
    for line in child.lines():
        record = _record(line)
        if record is None:
            child.end = f"{DAMAGED}: {line[:80]!r}"
            return
        if record["event"] == "done":
            return
        yield record


def child_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables for a child process: the user's, without those that change imports.

    Variables of the two packages and of Python are removed, so that the results do not depend on the machine;
    only the log level of vllm stays. Caches go to the HOME of the child process, and model hubs are offline.
    """
    dropped = ("PYTHON", "SGLANG_", "SGL_", "VLLM_", "XDG_", "VIRTUAL_ENV")
    kept = {
        name: value
        for name, value in environ.items()
        if name == "VLLM_LOGGING_LEVEL" or not name.startswith(dropped)
    }
    return kept | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}


def _record(line: bytes) -> dict[str, Any] | None:
    """Return a record of the probe, or None for a line that it cannot have written."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("event") not in EVENTS:
        return None
    texts = [record.get("name", ""), "" if record["event"] in {"machine", "done"} else record.get("module")]
    return record if all(isinstance(text, str) for text in texts) else None


def _problem(record: Mapping[str, Any], tasks: Sequence["_Task"]) -> str:
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


def _whole_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the complete lines, and leave an incomplete one for the next call."""
    while True:
        position = stream.tell()
        line = stream.readline()
        if not line.endswith(b"\n"):
            stream.seek(position)
            return
        yield line
