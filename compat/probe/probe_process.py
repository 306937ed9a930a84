"""Child processes that run the probe in another environment, and the records that they write."""

import json
import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from compat._util.orphans import orphans_ended
from compat._util.subprocesses import how_ended, running
from compat.errors import OutOfTimeError
from compat.probe.tasks import Task

PROBE = Path(__file__).with_name("probe.py")
TASK = "task.json"
HUNG = "hung"
DAMAGED = "wrote a line that is not a record of the probe"
FORKED = "forked during the import, and the copy of the process went on after it"
EVENTS = ("machine", "preload", "start", "step", "module", "forked", "done")
LOOK_EVERY = 0.05
"""Seconds between two reads of a child's records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeProcesses:
    """Starts the probe with the interpreter of one environment."""

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
    room: int = 256_000_000
    """Bytes that one child process may add to the log, so that it cannot fill the disk."""

    def child(self, tasks: Iterable[Task], *, machine: bool = False, **forks: Any) -> "Child":
        """Return a child process that runs the probe on some modules.

        Args:
            tasks: the modules.
            machine: whether to record facts about the machine first.
            forks: `preload`, `jobs` and `seconds` for modules in forked copies.
        """
        records, task = self.folder / "records.jsonl", self.folder / TASK
        document = {
            "records": str(records),
            "machine": machine,
            "room": self.room,
            "modules": [each.document() for each in tasks],
            **forks,
        }
        task.write_text(json.dumps(document), encoding="utf-8")
        return Child(self, (*self.probe, task), records)


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
        runner: ProbeProcesses,
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


def records_of(child: Child) -> Iterator[dict[str, Any]]:
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


def _whole_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the complete lines, and leave an incomplete one for the next call."""
    while True:
        position = stream.tell()
        line = stream.readline()
        if not line.endswith(b"\n"):
            stream.seek(position)
            return
        yield line
