"""The rehearsal of a pair: a layer of every scheme is built in its environment, without a GPU.

It shows that a release still has what `compat.quant` asks of it, and takes the arguments that it is given.
The code that builds runs in the pair's environment; here it is started, and what it has written is judged.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from compat._cli.progress import Progress
from compat.errors import OutOfTimeError
from compat.matrix.outcome import LAYER, Disagreement, Layers
from compat.probe.probe_runner import Child, ProbeRunner

MODULE = "compat.quant.backends.rehearsal"
STATES = ("built", "refused", "broken")
DONE = {"event": "done"}
LONGEST = 500
"""Characters of what a package says that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """How the layers of one package came out."""

    package: str
    layers: Layers
    broken: tuple[Disagreement, ...] = ()
    problems: tuple[str, ...] = ()
    """Why it proves nothing, whatever came out; empty when it was complete and something was built."""


def variables(runner: ProbeRunner, code: Path, stub: Path | None) -> dict[str, str]:
    """Return the environment variables with which a rehearsal finds this project and the driver's library.

    Args:
        runner: has the variables of every child.
        code: the folder of the package `compat`. A link to it stands alone on the import path: what is
            installed beside it must not hide what is in the environment.
        stub: the folder of the driver's stub; None where there is a driver.
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
    """Build the layers of one package in a child process, and return what that proves.

    Args:
        package: sglang or vllm.
        runner: runs the children of the cell.
        given: what `variables` returns.
        progress: advanced by one for each layer.

    Raises:
        OutOfTimeError: the cell has to be over.
    """
    results = runner.folder / f"layers-{package}.jsonl"
    # Of a child that a signal ends, the fault handler leaves a traceback in the log.
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
            raise OutOfTimeError(f"the layers of {package} were not all built in time") from None
    return judged(package, records, child.end)


def judged(package: str, records: Iterable[object], end: str) -> Rehearsal:
    """Return what the records of a rehearsal prove.

    Args:
        package: sglang or vllm.
        records: what it has written: one for each layer, and one that says that it is done.
        end: how the process ended that has not said so.
    """
    counts: Counter[str] = Counter()
    broken: list[Disagreement] = []
    problems = [f"the rehearsal of {package} {end}, see the log"] if end else []
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
    """Return the state of a layer, and what there is to say if it is broken; None for no such record."""
    if not isinstance(record, dict):
        return None
    values = [record.get(key) for key in ("state", "scheme", "way", "dtype", "says")]
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < len(values) or texts[0] not in STATES or record.get("package") != package:
        return None
    state, *place, says = texts
    location = LAYER + "/".join((package, *place))
    observed = " ".join(says.split())[:LONGEST] or "nothing that says why"
    return state, Disagreement(location=location, expected="a layer that is built", observed=observed)
