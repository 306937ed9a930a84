"""Cells and their outcomes: what was run, how it ended and why, as a value that survives a file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from compat._util import atomic_write

SCHEMA = 1
OUTCOME = "outcome.json"
"""The file in a cell's report folder that holds its outcome."""
LAYER = "layer:"
"""What the locations of layers begin with."""


class Level(str, Enum):
    """How deep a cell goes: are the names there, or do the kernels compute the right thing."""

    IMPORT = "import"
    GPU = "gpu"


class State(str, Enum):
    """How a cell ended; only `PASSED` counts as passed."""

    PASSED = "passed"
    FAILED = "failed"
    BLOCKED = "blocked"
    """The environment could not be prepared: unsatisfiable, disk, network."""
    NOT_RUN = "not-run"
    """There was nothing to run it on, such as no GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One pair at one level."""

    pair_id: str
    level: Level = Level.IMPORT

    @property
    def id(self) -> str:
        """The canonical id, which is also the name of the cell's report folder: `seed-import`."""
        return f"{self.pair_id}-{self.level.value}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Disagreement:
    """Something expected that the run time contradicts: mostly an answer of the index."""

    location: str
    """`module`, `module:name` or `layer:package/scheme/way/dtype`."""
    expected: str
    observed: str

    @property
    def is_layer(self) -> bool:
        """Whether it is about a layer, of which the index says nothing."""
        return self.location.startswith(LAYER)

    def __str__(self) -> str:
        return f"{self.location}: the index says {self.expected}; really it is {self.observed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedFailure:
    """A disagreement that `matrix.toml` knows."""

    disagreement: Disagreement
    reason: str
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much a cell compared."""

    modules: int = 0
    refused: int = 0
    """Modules of which the index says that they are missing or cannot be imported, and that really fail."""
    listed: int = 0
    """Names that the index lists; the sum of `checked`, `conditional` and `unchecked`."""
    imported: int = 0
    """Listed names that were really bound."""
    checked: int = 0
    """Listed names for which the index commits itself, compared with the run time."""
    conditional: int = 0
    """Listed names for which it does not: any answer fits, none counts as agreement."""
    unchecked: int = 0
    """Listed names of modules that did not import."""
    disagreements: int = 0
    expected: int = 0
    """Disagreements that `matrix.toml` explains; not among `disagreements`."""
    tests: int = 0
    """Tests on the GPU that were collected; 0 at the level `import`."""
    tests_passed: int = 0

    def __post_init__(self) -> None:
        if any(type(value) is not int for value in asdict(self).values()):
            raise TypeError("counts are whole numbers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """How the layers of one package came out that were built without a GPU."""

    built: int = 0
    refused: int = 0
    """Layers of which the release says that it does not run them."""
    broken: int = 0
    """Layers for which the release lacks what is asked of it, or does not take it; each is a disagreement."""

    def __post_init__(self) -> None:
        if any(type(value) is not int for value in asdict(self).values()):
            raise TypeError("numbers of layers are whole numbers")

    def __str__(self) -> str:
        return f"{self.built} built, {self.refused} refused, {self.broken} broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """What an outcome depends on, as hex digests; when all are equal, a new run can tell nothing new."""

    pair: str = ""
    """The pair's entry in `matrix.toml`: releases, Python, expected failures."""
    lock: str = ""
    index: str = ""
    probe: str = ""
    """The code that looks and judges."""

    def __post_init__(self) -> None:
        if any(type(value) is not str for value in asdict(self).values()):
            raise TypeError("digests are text")


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOutcome:
    """How a cell ended."""

    cell: Cell
    state: State
    reason: str = ""
    """Why, in one line; empty only when it passed."""
    pair: str = ""
    """The pair as people say it."""
    counts: Counts = field(default_factory=Counts)
    agreed: Mapping[str, int] = field(default_factory=dict)
    """Names on which index and run time agree: by status, and those whose `origin` was the very same object,
    whose `kind` was compared, whose `guard` had been decided."""
    layers: Mapping[str, Layers] = field(default_factory=dict)
    """By package: sglang, vllm; empty at the level `gpu`."""
    disagreements: tuple[Disagreement, ...] = ()
    expected: tuple[ExpectedFailure, ...] = ()
    declared: tuple[str, ...] = ()
    """In what an environment that was there already is not its lock, as its bundle declares."""
    digests: Digests = field(default_factory=Digests)
    machine: Mapping[str, str] = field(default_factory=dict)
    """Python, torch, GPU and driver, as the probe found them."""
    seconds: float = 0.0
    peak_bytes: int = 0
    """What the environment with everything written during the run took on the disk."""
    shared_bytes: int = 0
    """What uv's cache and all environments took together at its end; 0 where no budget was to be kept."""
    budget_bytes: int = 0
    """What they were allowed to take; 0 for no limit."""
    started: str = ""
    """UTC, ISO 8601."""

    def __post_init__(self) -> None:
        if (self.state is State.PASSED) != (not self.reason):
            raise ValueError("every state but passed has a reason")

    @property
    def passed(self) -> bool:
        """Whether the cell passed; a skip or a blocked cell did not."""
        return self.state is State.PASSED

    def complaint(self, entry: Disagreement) -> str:
        """Return one of the disagreements in words; without modules it is not the index that was wrong."""
        if self.counts.modules and not entry.is_layer:
            return str(entry)
        return f"{entry.location}: {entry.expected} expected, {entry.observed} found"

    def document(self) -> dict[str, Any]:
        """Return the outcome as plain JSON values."""
        content = asdict(self)
        del content["cell"]
        cell = {"pair_id": self.cell.pair_id, "level": self.cell.level.value}
        return {"schema": SCHEMA, **cell, **content, "state": self.state.value}

    def write(self, path: Path) -> None:
        """Write the outcome to `path` in one step."""
        atomic_write.write_text(path, json.dumps(self.document(), indent=2, sort_keys=True) + "\n")


_UNREADABLE = (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError)
"""What reading a file raises that is no outcome."""


def outcome_path(cell: Cell, reports: Path) -> Path:
    """Return where the outcome of a cell is kept, in the folder of all reports."""
    return reports / cell.id / OUTCOME


def read_outcome(path: Path, cell: Cell) -> CellOutcome:
    """Return the outcome of `cell` that `path` holds.

    A file that is missing, cut short or about another cell is a failed outcome, whose reason says so: nothing
    that could not be read ever counts as passed.
    """
    broken = CellOutcome(cell=cell, state=State.FAILED, reason="no outcome")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        outcome = _rebuild(document)
    except FileNotFoundError:
        return replace(broken, reason=f"there is no {path.name}: the cell was not run")
    except _UNREADABLE as error:
        return replace(broken, reason=f"{path.name} cannot be read ({_brief(error)}): run the cell again")
    if outcome.cell != cell:
        return replace(broken, reason=f"{path.name} is about {outcome.cell.id}, not {cell.id}")
    return outcome


def read_any_outcome(folder: Path) -> CellOutcome:
    """Return the outcome in a report folder of which no cell is known; the file says what it is about."""
    path = folder / OUTCOME
    try:
        outcome = _rebuild(json.loads(path.read_text(encoding="utf-8")))
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


def _rebuild(document: dict[str, Any]) -> CellOutcome:
    if document["schema"] != SCHEMA:
        raise ValueError(f"schema {document['schema']}, this version reads {SCHEMA}")
    content = {key: value for key, value in document.items() if key not in {"schema", "pair_id", "level"}}
    content["cell"] = Cell(pair_id=document["pair_id"], level=Level(document["level"]))
    content["state"] = State(document["state"])
    content["counts"] = Counts(**document["counts"])
    content["layers"] = {str(key): Layers(**value) for key, value in _layers(document).items()}
    content["digests"] = Digests(**document["digests"])
    content["disagreements"] = tuple(Disagreement(**entry) for entry in document["disagreements"])
    content["expected"] = tuple(
        ExpectedFailure(**entry | {"disagreement": Disagreement(**entry["disagreement"])})
        for entry in document["expected"]
    )
    content["declared"] = tuple(map(str, document.get("declared", ())))
    content["agreed"] = {str(key): int(value) for key, value in document["agreed"].items()}
    content["seconds"] = float(document["seconds"])
    content["peak_bytes"] = int(document["peak_bytes"])
    for key in ("shared_bytes", "budget_bytes"):
        content[key] = int(document.get(key, 0))
    content["machine"] = {str(key): str(value) for key, value in document["machine"].items()}
    return CellOutcome(**content)


def _layers(document: dict[str, Any]) -> dict[str, Any]:
    """Return what an outcome says of layers; at the level `import` one that says nothing proves nothing."""
    layers: dict[str, Any] = (
        document["layers"] if document["level"] == Level.IMPORT.value else document.get("layers", {})
    )
    return layers


def _brief(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no key {error}"
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0]
