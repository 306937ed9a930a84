"""Drive the probe: one child process after the other, so that a crash or hang costs one module only."""

import json
import os
import subprocess
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from compat._util.subprocesses import how_ended, kill_group
from compat.errors import OutOfTimeError, PreparationError
from compat.probe.expectation import ModuleExpectation
from compat.probe.probe_records import ModuleFact

PROBE = Path(__file__).with_name("probe.py")
TASK = "task.json"
HUNG = "hung"
CLEAN = ("torch",)
"""What every module under test imports first, and none of them changes."""
CIRCULAR = "circular import"
LOOK_EVERY = 0.05
"""Seconds between two looks at the records of a child."""
MAX_SKIPPED = 5
"""Names of one module whose look-up may kill the child before the module itself is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRunner:
    """Runs the probe with one environment's Python."""

    python: Path
    folder: Path
    """An existing, private folder for tasks, records, and whatever the packages write."""
    log: BinaryIO
    """Takes all that the children print."""
    timeout: float
    """Seconds without progress after which a child hangs."""
    until: float = float("inf")
    """The value of `time.monotonic()` at which the cell has to be over."""
    variables: Mapping[str, str] = field(default_factory=lambda: child_variables(os.environ))
    probe: tuple[str | Path, ...] = ("-I", PROBE)
    """How Python is told to run the probe; isolated, so that nothing outside of the environment counts."""
    retries: int | None = None
    """How many doubtful modules are tried once more, each in a child of its own; None: all of them. With a
    limit, a failure that was confirmed for one module is believed of others that fail alike."""
    room: int = 256_000_000
    """Bytes that one child may add to the log: a flood must not fill the disk."""

    def machine(self) -> dict[str, Any]:
        """Return what a first, tiny child tells about Python, torch and the GPU.

        Raises:
            PreparationError: that child did not get so far.
        """
        facts: dict[str, Any] = {}
        with self._child([], machine=True) as child:
            for record in _records(child):
                if record["event"] == "machine":
                    facts = {key: value for key, value in record.items() if key != "event"}
        if not facts:
            raise PreparationError(
                f"the environment's Python tells nothing about itself ({child.end}), see the log"
            )
        return facts

    def facts(self, expected: Sequence[ModuleExpectation]) -> Generator[ModuleFact]:
        """Yield one fact for every module, in the order in which they become known.

        A module of which the index says otherwise is tried once more in a child of its own, and that answer
        counts: what was seen may be an earlier module's doing. Where the import of a whole package has ended
        and there is a limit, the first such answer counts for all that show what was left behind. Of a module
        that stumbles over a circular import even so, the names are looked up after the others. A hang is not
        tried again.

        Raises:
            PreparationError: a child died before its first module.
        """
        # What must fail comes last: a failed import leaves modules behind that spoil the child for others.
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
        # That such a module was imported is mostly an earlier one's doing. A look into copies of a clean
        # process is cheap; what fails in there has failed.
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
        """Return the fact from a child of the module's own; its names perhaps from one that has others."""
        fact = failed.fact if failed.alone else self._last([failed.task])
        if CIRCULAR not in fact.error or not fine:
            return fact
        after_others = self._last([*map(_Task, fine), failed.task])
        return replace(fact, names=after_others.names, unlisted=after_others.unlisted)

    def _last(self, tasks: Sequence["_Task"]) -> ModuleFact:
        *_, seen = self._shared(tasks)
        return seen.fact

    def _shared(self, listed: Sequence["_Task"], preload: Sequence[str] = ()) -> Iterator["_Seen"]:
        """Work the tasks off in order, with as few children as it takes.

        With `preload` each module gets a copy of its own of a process that has imported those modules only.
        """
        tasks = deque(listed)
        while tasks:
            alone, running, step = True, False, ""
            with self._child(tasks, preload=preload) as child:
                for record in _records(child):
                    running, step = record["event"] != "module", record.get("name", "")
                    if not running:
                        yield _Seen(fact=ModuleFact.read(record), task=tasks.popleft(), alone=alone)
                        alone = False
            if running and step and len(tasks[0].skip) < MAX_SKIPPED:
                tasks[0].skip[step] = child.end
            elif running:
                fact = ModuleFact(module=tasks[0].module, error=child.end)
                yield _Seen(fact=fact, task=tasks.popleft(), alone=alone)
            elif alone and tasks:
                raise PreparationError(f"the probe {child.end} before its first module, see the log")

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
    """One module to look at, and the names in it that must not be touched again."""

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
    """Whether its child had imported no other module of the index before."""


class Child:
    """A process of the environment, followed by the lines that it writes into a file.

    It has a process group and a HOME of its own, and is gone when the block ends.

    Args:
        runner: interpreter, folder, log and limits.
        arguments: what the interpreter is told to run.
        records: the file; what it holds already is removed.
        variables: environment variables beside the runner's.
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
        self.end = ""
        """How the process ended when nobody stopped listening before."""

    def __enter__(self) -> "Child":  # noqa: PYI034 -- typing.Self is newer than Python 3.10
        work = self.runner.folder / "work"
        home = self.runner.folder / "home"
        for folder in (work, home):
            folder.mkdir(exist_ok=True)
        path = f"{self.runner.python.parent}{os.pathsep}{self.variables.get('PATH', os.defpath)}"
        self.process = subprocess.Popen(
            self.command,
            cwd=work,
            env={**self.variables, "HOME": str(home), "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=self.runner.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        kill_group(self.process)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines as they appear; returns when the process is over, dead or out of time.

        Raises:
            OutOfTimeError: the cell has to be over.
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
                    raise OutOfTimeError("the modules were not all imported in time")
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
    """Yield the probe's records as they appear; returns when it says that it is done, or is no more."""
    for line in child.lines():
        record = json.loads(line)
        if record["event"] == "done":
            return
        yield record


def child_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables for a child: the user's, less what would change what is looked at.

    Switches of the two packages and of Python itself stay behind, so that two machines answer alike; the
    level of vllm's log is no such switch. Caches go to the child's own HOME. Nothing is asked of a model hub.
    """
    dropped = ("PYTHON", "SGLANG_", "SGL_", "VLLM_", "XDG_", "VIRTUAL_ENV")
    kept = {
        name: value
        for name, value in environ.items()
        if name == "VLLM_LOGGING_LEVEL" or not name.startswith(dropped)
    }
    return kept | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}


def _top(fact: ModuleFact) -> str:
    return fact.module.partition(".")[0]


def _left_behind(fact: ModuleFact) -> bool:
    """Return whether a module stumbled over its package, whose import had ended before in the same process.

    Python takes the package out of `sys.modules` and leaves what is inside; namespace packages then miss it.
    """
    return fact.error == f"KeyError: {_top(fact)!r}"


def _whole_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines that are complete; the start of one is left for the next time."""
    while True:
        position = stream.tell()
        line = stream.readline()
        if not line.endswith(b"\n"):
            stream.seek(position)
            return
        yield line
