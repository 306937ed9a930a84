"""Cells and their outcomes as values, and reading and writing outcome files."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from compat._util import atomic_write
from compat._util.regular_file import read_regular
from compat.model.releases import Pair

SCHEMA = 1
OUTCOME = "outcome.json"
"""Name of the outcome file in the report folder of a cell."""
LARGEST = 2**63
"""Whole numbers in outcomes are smaller, so that they can be printed as sizes."""
LAYER = "layer:"
"""The beginning of locations of layers."""


class Level(str, Enum):
    """What a cell checks."""

    IMPORT = "import"
    """The names can be imported, and are what the index says."""
    GPU = "gpu"
    """The kernels compute correct results."""
    TESTS = "tests"
    """The tests of the user's own project pass; only pairs with `tests` in `matrix.toml` have this level."""


class State(str, Enum):
    """How a cell ended; only `PASSED` counts as passed."""

    PASSED = "passed"
    FAILED = "failed"
    BLOCKED = "blocked"
    """The environment could not be prepared: unsatisfiable, disk, network."""
    NOT_RUN = "not-run"
    """The machine cannot run it: it has no GPU, for example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One pair at one level."""

    pair_id: str
    level: Level = Level.IMPORT

    @property
    def id(self) -> str:
        """The id of the cell and name of its report folder, such as `seed-import`."""
        return f"{self.pair_id}-{self.level.value}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Disagreement:
    """Something expected that the run time contradicts: mostly an answer of the index."""

    location: str
    """`module`, `module:name` or `layer:package/scheme/way/dtype`."""
    expected: str
    observed: str

    def __post_init__(self) -> None:
        if any(type(value) is not str for value in asdict(self).values()):
            raise TypeError("the texts of a disagreement must be strings")

    @property
    def is_layer(self) -> bool:
        """Whether it concerns a layer and not an answer of the index."""
        return self.location.startswith(LAYER)

    def __str__(self) -> str:
        return f"{self.location}: index: {self.expected}; run time: {self.observed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedFailure:
    """A disagreement that an `expect` entry of `matrix.toml` explains."""

    disagreement: Disagreement
    reason: str
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Numbers of modules, names and tests that a cell compared."""

    modules: int = 0
    refused: int = 0
    """Modules that fail to import, as the index expects."""
    listed: int = 0
    """Names that the index lists; the sum of `checked`, `conditional` and `unchecked`."""
    imported: int = 0
    """Listed names that were bound at run time."""
    checked: int = 0
    """Listed names for which the index has a definite answer, which was compared with the run time."""
    conditional: int = 0
    """Listed names for which it has none: any observation is consistent, none counts as agreement."""
    unchecked: int = 0
    """Listed names of modules that could not be imported."""
    disagreements: int = 0
    expected: int = 0
    """Disagreements that `matrix.toml` explains; not among `disagreements`."""
    tests: int = 0
    """Tests that pytest collected; 0 at the level `import`."""
    tests_passed: int = 0

    def __post_init__(self) -> None:
        for value in asdict(self).values():
            if type(value) is not int or not 0 <= value < LARGEST:
                raise TypeError("counts must be whole numbers from 0 to 2**63 - 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Numbers of layers that the rehearsal of one package built without a GPU."""

    built: int = 0
    refused: int = 0
    """Layers that the release does not run, by its own checks."""
    broken: int = 0
    """Layers that raised anything else, or got another class than expected; each is a disagreement."""

    def __post_init__(self) -> None:
        if any(type(value) is not int or not 0 <= value < LARGEST for value in asdict(self).values()):
            raise TypeError("numbers of layers must be whole numbers from 0 to 2**63 - 1")

    def __str__(self) -> str:
        return f"{self.built} built, {self.refused} refused, {self.broken} broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """Hexadecimal digests of the inputs of an outcome; it is stale when one of them changes."""

    pair: str = ""
    """Of the pair's entry in `matrix.toml`: releases, Python, expected failures."""
    lock: str = ""
    """Of the requirements file, and of the import names in the lock."""
    index: str = ""
    probe: str = ""
    """Of all files that decide the verdict: see `deciding_files`."""

    def __post_init__(self) -> None:
        if any(type(value) is not str for value in asdict(self).values()):
            raise TypeError("digests must be strings")


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOutcome:
    """The result of one cell, with counts, disagreements and the circumstances of the run."""

    cell: Cell
    state: State
    reason: str = ""
    """The reason for the state, in one line; empty only when the cell passed."""
    pair: str = ""
    """The releases of the pair, such as `sglang 0.5.14 + vllm 0.23.0`."""
    counts: Counts = field(default_factory=Counts)
    agreed: Mapping[str, int] = field(default_factory=dict)
    """Numbers of names on which index and run time agree: by status; and under `origin`, `kind` and `guard`,
    of those with an identical origin object, a compared kind, or a guard that had to be evaluated."""
    layers: Mapping[str, Layers] = field(default_factory=dict)
    """The rehearsal of each package, by name; empty at the level `gpu`."""
    disagreements: tuple[Disagreement, ...] = ()
    expected: tuple[ExpectedFailure, ...] = ()
    declared: tuple[str, ...] = ()
    """Differences between an existing environment and the lock that the manifest of its bundle declares."""
    options: tuple[str, ...] = ()
    """Options of the run that its GPU tests got: `--workers 8`, `--results FILE`."""
    digests: Digests = field(default_factory=Digests)
    machine: Mapping[str, str] = field(default_factory=dict)
    """Python, torch, GPU and driver, as the probe reports them."""
    seconds: float = 0.0
    peak_bytes: int = 0
    """Disk space that the environment and the files of the run used."""
    shared_bytes: int = 0
    """Disk space that uv's cache and all environments used together at the end; 0 without a limit."""
    budget_bytes: int = 0
    """The limit for that disk space; 0 for none."""
    started: str = ""
    """UTC, ISO 8601."""

    def __post_init__(self) -> None:
        if (self.state is State.PASSED) != (not self.reason):
            raise ValueError("every state except passed needs a reason, and passed must not have one")

    @property
    def passed(self) -> bool:
        """Whether the cell passed; one that was blocked or not run did not."""
        return self.state is State.PASSED

    def complaint(self, entry: Disagreement) -> str:
        """Return a disagreement as text; it mentions the index only if the index was compared."""
        if self.counts.modules and not entry.is_layer:
            return str(entry)
        return f"{entry.location}: expected: {entry.expected}; found: {entry.observed}"

    def document(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        content = asdict(self)
        del content["cell"]
        cell = {"pair_id": self.cell.pair_id, "level": self.cell.level.value}
        return {"schema": SCHEMA, **cell, **content, "state": self.state.value}

    def write(self, path: Path) -> None:
        """Write the outcome to `path` atomically."""
        atomic_write.write_text(path, json.dumps(self.document(), indent=2, sort_keys=True) + "\n")


_UNREADABLE = (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)
"""Exceptions from reading a file that is not a valid outcome."""


def outcome_path(cell: Cell, reports: Path) -> Path:
    """Return the path of a cell's outcome file below the folder of all reports."""
    return reports / cell.id / OUTCOME


def read_outcome(path: Path, cell: Cell) -> CellOutcome:
    """Return the outcome of `cell` from the file `path`.

    If the file is missing, damaged, about another cell or contradicts itself, the result is a failed outcome
    with that reason: an outcome that cannot be read never counts as passed.
    """
    broken = CellOutcome(cell=cell, state=State.FAILED, reason="no outcome")
    try:
        outcome = _read(path)
    except FileNotFoundError:
        return replace(broken, reason=f"{path.name} does not exist: the cell was not run")
    except _UNREADABLE as error:
        return replace(broken, reason=f"{path.name} cannot be read ({_brief(error)}); run the cell again")
    if outcome.cell != cell:
        return replace(broken, reason=f"{path.name} is about {outcome.cell.id}, not {cell.id}")
    return outcome


def read_any_outcome(folder: Path) -> CellOutcome:
    """Return the outcome in a report folder whose cell is not in the matrix; the file names the cell."""
    path = folder / OUTCOME
    try:
        outcome = _read(path)
    except _UNREADABLE as error:
        cell = Cell(pair_id=folder.name)
        return CellOutcome(
            cell=cell, state=State.FAILED, reason=f"{path.name} cannot be read ({_brief(error)})"
        )
    if outcome.cell.id != folder.name:
        return replace(
            outcome, state=State.FAILED, reason=f"{folder.name} holds the outcome of {outcome.cell.id}"
        )
    return outcome


def another_python(outcome: CellOutcome, python: str) -> str:
    """Return why a passed outcome is not about the Python version `X.Y`, or an empty string if it is.

    The bundle of an existing environment may declare another version.
    """
    found = outcome.machine.get("python", "")
    declared = any(line.startswith("Python ") for line in outcome.declared)
    if not outcome.passed or declared or f"{found}.".startswith(f"{python}."):
        return ""
    return f"the cell ran with Python {found or '(not recorded)'} instead of {python}; run the cell again"


def _read(path: Path) -> CellOutcome:
    outcome = _rebuild(json.loads(read_regular(path), parse_constant=_no_number))
    if outcome.passed and (problem := _contradiction(outcome)):
        raise ValueError(f'the state is "passed", but {problem}')
    return outcome


def levels_of(pair: Pair, levels: Sequence[Level] = tuple(Level)) -> tuple[Level, ...]:
    """Return those levels that a pair has."""
    return tuple(level for level in levels if level is not Level.TESTS or pair.tests)


def _contradiction(outcome: CellOutcome) -> str:
    """Return why an outcome cannot have passed, or an empty string."""
    counts = outcome.counts
    if outcome.cell.level is not Level.IMPORT:
        required = {"tests": counts.tests}
        without_gpu = outcome.cell.level is Level.GPU and outcome.machine.get("cuda") != str(True)
        wrong = {
            "a test has not passed": counts.tests_passed != counts.tests,
            "torch found no GPU": without_gpu,
        }
    else:
        required = {key: getattr(counts, key) for key in ("modules", "listed", "imported", "checked")}
        named = counts.checked + counts.conditional + counts.unchecked
        wrong = {
            "the numbers of names do not add up": counts.listed != named or counts.imported > counts.listed,
            "more modules were refused than compared": counts.refused > counts.modules,
            "no layer was built": not all(layers.built for layers in outcome.layers.values() or [Layers()]),
        }
    wrong |= {f"counts.{key} is 0": not value for key, value in required.items()}
    wrong |= {
        "it has disagreements": bool(counts.disagreements or outcome.disagreements),
        "the number of expected failures is wrong": counts.expected != len(outcome.expected),
    }
    return next((problem for problem, is_so in wrong.items() if is_so), "")


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value < LARGEST:
        raise ValueError(f"{str(value)[:20]} is not a whole number from 0 to 2**63 - 1")
    return value


def _seconds(value: object) -> float:
    if type(value) not in {int, float} or not 0 <= (seconds := float(str(value))) < math.inf:
        raise ValueError(f"seconds: {str(value)[:20]} is not a finite number from 0")
    return seconds


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:20]} is not a string")
    return value


def _rebuild(document: dict[str, Any]) -> CellOutcome:
    if document["schema"] != SCHEMA:
        raise ValueError(f"schema {document['schema']}, this version reads {SCHEMA}")
    content = {key: value for key, value in document.items() if key not in {"schema", "pair_id", "level"}}
    content["cell"] = Cell(pair_id=document["pair_id"], level=Level(document["level"]))
    content["state"] = State(document["state"])
    content |= {key: _text(document[key]) for key in ("reason", "pair", "started")}
    content["counts"] = Counts(**document["counts"])
    content["layers"] = {str(key): Layers(**value) for key, value in _layers(document).items()}
    content["digests"] = Digests(**document["digests"])
    content["disagreements"] = tuple(Disagreement(**entry) for entry in document["disagreements"])
    content["expected"] = tuple(
        ExpectedFailure(**entry | {"disagreement": Disagreement(**entry["disagreement"])})
        for entry in document["expected"]
    )
    for key in ("declared", "options"):
        content[key] = tuple(map(str, document.get(key, ())))
    content["agreed"] = {str(key): _whole(value) for key, value in document["agreed"].items()}
    content["seconds"] = _seconds(document["seconds"])
    content["peak_bytes"] = _whole(document["peak_bytes"])
    for key in ("shared_bytes", "budget_bytes"):
        content[key] = _whole(document.get(key, 0))
    content["machine"] = {str(key): str(value) for key, value in document["machine"].items()}
    return CellOutcome(**content)


def _layers(document: dict[str, Any]) -> dict[str, Any]:
    """Return the layers of an outcome; at the level `import`, an outcome without this key is unreadable."""
    layers: dict[str, Any] = (
        document["layers"] if document["level"] == Level.IMPORT.value else document.get("layers", {})
    )
    return layers


def _brief(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no key {error}"
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0]
