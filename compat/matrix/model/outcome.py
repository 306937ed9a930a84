"""Cells and their outcomes as values, and reading and writing outcome files."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from compat._util import atomic_write

SCHEMA = 1
OUTCOME = "outcome.json"
"""Name of the outcome file in the report folder of a cell."""
LAYER = "layer:"
"""The beginning of locations of layers."""


class Level(str, Enum):
    """What a cell checks: that the names can be imported, or that the kernels compute correct results."""

    IMPORT = "import"
    GPU = "gpu"


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
    """GPU tests that pytest collected; 0 at the level `import`."""
    tests_passed: int = 0

    def __post_init__(self) -> None:
        if any(type(value) is not int for value in asdict(self).values()):
            raise TypeError("counts must be whole numbers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Numbers of layers that the rehearsal of one package built without a GPU."""

    built: int = 0
    refused: int = 0
    """Layers that the release does not run, by its own checks."""
    broken: int = 0
    """Layers that raised anything else, or got another class than expected; each is a disagreement."""

    def __post_init__(self) -> None:
        if any(type(value) is not int for value in asdict(self).values()):
            raise TypeError("numbers of layers must be whole numbers")

    def __str__(self) -> str:
        return f"{self.built} built, {self.refused} refused, {self.broken} broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """Hexadecimal digests of the inputs of an outcome; it is stale when one of them changes."""

    pair: str = ""
    """Of the pair's entry in `matrix.toml`: releases, Python, expected failures."""
    lock: str = ""
    index: str = ""
    probe: str = ""
    """Of the code that observes and judges."""

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


_UNREADABLE = (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError)
"""Exceptions from reading a file that is not a valid outcome."""


def outcome_path(cell: Cell, reports: Path) -> Path:
    """Return the path of a cell's outcome file below the folder of all reports."""
    return reports / cell.id / OUTCOME


def read_outcome(path: Path, cell: Cell) -> CellOutcome:
    """Return the outcome of `cell` from the file `path`.

    If the file is missing, damaged or about another cell, the result is a failed outcome with that reason:
    an outcome that cannot be read never counts as passed.
    """
    broken = CellOutcome(cell=cell, state=State.FAILED, reason="no outcome")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        outcome = _rebuild(document)
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
    """Return the layers of an outcome; at the level `import`, an outcome without this key is unreadable."""
    layers: dict[str, Any] = (
        document["layers"] if document["level"] == Level.IMPORT.value else document.get("layers", {})
    )
    return layers


def _brief(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no key {error}"
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0]
