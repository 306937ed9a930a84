"""Rehearse a pair: build a layer of every scheme in its environment, without a GPU.

A rehearsal shows that a release still has every function that `compat.quant` calls, and accepts its
arguments. `compat.quant.backends.rehearsal` builds the layers, in the environment of the pair; this module
starts it and judges its results.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from compat._cli.progress import Progress
from compat.errors import OutOfTimeError
from compat.matrix.model.outcome import LAYER, Disagreement, Layers
from compat.probe.probe_process import Child
from compat.probe.probe_runner import ProbeRunner

MODULE = "compat.quant.backends.rehearsal"
STATES = ("built", "refused", "broken")
DONE = {"event": "done"}
LONGEST = 500
"""Most characters of an error message that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """The result of the rehearsal of one package."""

    package: str
    layers: Layers
    broken: tuple[Disagreement, ...] = ()
    problems: tuple[str, ...] = ()
    """Why the rehearsal is no proof; empty if it completed and built at least one layer."""


def variables(runner: ProbeRunner, code: Path, stub: Path | None) -> dict[str, str]:
    """Return the environment variables with which a rehearsal finds this project and the driver library.

    Args:
        runner: the runner of the cell, with the variables of all its child processes.
        code: the folder of the package `compat`. The import path gets a folder that contains only a link to
            it, so that packages installed beside it do not hide those of the environment.
        stub: the folder of the driver's stub; None on a machine with a driver.
    """
    path = runner.folder / "code"
    path.mkdir(exist_ok=True)
    link = path / "compat"
    link.unlink(missing_ok=True)
    link.symlink_to(code.resolve(), target_is_directory=True)
    folders = {"PYTHONPATH": path} | ({} if stub is None else {"LD_LIBRARY_PATH": stub})
    return {
        name: os.pathsep.join(filter(None, (str(folder), runner.variables.get(name))))
        for name, folder in folders.items()
    }


def rehearse(package: str, runner: ProbeRunner, given: Mapping[str, str], progress: Progress) -> Rehearsal:
    """Build the layers of one package in a child process, and return the result.

    Args:
        package: sglang or vllm.
        runner: the runner of the cell.
        given: the result of `variables`.
        progress: advances by one for each layer.

    Raises:
        OutOfTimeError: the time of the cell is over.
    """
    results = runner.folder / f"layers-{package}.jsonl"
    # When a signal kills the process, the fault handler writes a traceback to the log.
    arguments = ("-X", "faulthandler", "-m", MODULE, package, results, str(runner.room))
    records: list[object] = []
    with Child(runner, arguments, results, given) as child:
        try:
            for line in child.lines():
                records.append(_read(line))
                if records[-1] == DONE:
                    break
                progress.advance()
        except OutOfTimeError:
            raise OutOfTimeError(f"not all layers of {package} were built in time") from None
    return judged(package, records, child.end)


def judged(package: str, records: Iterable[object], end: str) -> Rehearsal:
    """Return the result of a rehearsal from its records.

    Args:
        package: sglang or vllm.
        records: one for each layer, and a last one that marks the end; None for an unreadable line.
        end: how the process ended, if it ended without the last record.
    """
    counts: Counter[str] = Counter()
    broken: list[Disagreement] = []
    problems = [f"the rehearsal of {package} {end}; see the log"] if end else []
    for number, record in enumerate((each for each in records if each != DONE), start=1):
        layer = _layer(package, record)
        if layer is None:
            problems.append(f"record {number} of the rehearsal of {package} cannot be read")
            continue
        state, found = layer
        counts[state] += 1
        if state == "broken":
            broken.append(found)
    if not counts["built"]:
        problems.append(f"no layer of {package} could be built")
    return Rehearsal(
        package=package,
        layers=Layers(**{state: counts[state] for state in STATES}),
        broken=tuple(broken),
        problems=tuple(problems),
    )


def _read(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _layer(package: str, record: object) -> tuple[str, Disagreement] | None:
    """Return the state of a layer, and the disagreement if it is broken; None for an invalid record."""
    if not isinstance(record, dict):
        return None
    values = [record.get(key) for key in ("state", "scheme", "way", "dtype", "says")]
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < len(values) or texts[0] not in STATES or record.get("package") != package:
        return None
    state, *place, says = texts
    location = LAYER + "/".join((package, *place))
    observed = " ".join(says.split())[:LONGEST] or "no reason"
    return state, Disagreement(location=location, expected="a layer that is built", observed=observed)
