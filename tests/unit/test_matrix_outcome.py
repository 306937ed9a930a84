import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from compat.matrix.model.outcome import (
    Cell,
    CellOutcome,
    Counts,
    Digests,
    Disagreement,
    ExpectedFailure,
    Layers,
    Level,
    State,
    read_any_outcome,
    read_outcome,
)

CELL = Cell(pair_id="torch-2.8")
DISAGREEMENT = Disagreement(location="m:f", expected="defined function", observed="None")
FAILED = CellOutcome(
    cell=CELL,
    state=State.FAILED,
    reason="1 disagreements",
    pair="sglang 0.5.5.post3 + vllm 0.11.0",
    counts=Counts(modules=2, listed=9, imported=8, checked=7, conditional=2, disagreements=1, expected=1),
    layers={"sglang": Layers(built=33, refused=6, broken=1), "vllm": Layers(built=31)},
    disagreements=(DISAGREEMENT,),
    expected=(ExpectedFailure(disagreement=DISAGREEMENT, reason="why", link="somewhere"),),
    digests=Digests(pair="a", lock="b", index="c", probe="d"),
    machine={"python": "3.11.7", "driver": ""},
    seconds=12.5,
    peak_bytes=9_100_000_000,
    started="2026-11-23T06:00:00+00:00",
)


PASSED = CellOutcome(
    cell=CELL,
    state=State.PASSED,
    counts=Counts(modules=2, listed=9, imported=8, checked=7, conditional=2),
    layers={"vllm": Layers(built=3, refused=1)},
)
PASSED_ON_GPU = replace(
    PASSED,
    cell=Cell(pair_id="torch-2.8", level=Level.GPU),
    counts=Counts(tests=3, tests_passed=3),
    layers={},
    machine={"cuda": "True"},
)


@pytest.mark.parametrize("level", Level)
def test_the_file_names_the_cell_of_an_unknown_folder(level: Level, tmp_path: Path) -> None:
    """The level does not come from the id, since a pair may be called `x-gpu`."""
    cell = Cell(pair_id="x-gpu", level=level)
    outcome = replace({Level.IMPORT: PASSED}.get(level, PASSED_ON_GPU), cell=cell)
    outcome.write(tmp_path / cell.id / "outcome.json")
    assert read_any_outcome(tmp_path / cell.id) == outcome
    outcome.write(tmp_path / "other" / "outcome.json")
    moved = read_any_outcome(tmp_path / "other")
    assert (moved.state, moved.reason) == (State.FAILED, f"other holds the outcome of {cell.id}")


@pytest.mark.parametrize("content", ["{", pytest.param("[" * 100_000, id="nested")])
def test_a_broken_file_of_an_unknown_cell_has_failed(tmp_path: Path, content: str) -> None:
    (tmp_path / "outcome.json").write_text(content)
    broken = read_any_outcome(tmp_path)
    assert (broken.state, broken.cell.pair_id) == (State.FAILED, tmp_path.name)
    assert broken.reason.startswith("outcome.json cannot be read")


@pytest.mark.parametrize("outcome", [FAILED, PASSED])
def test_an_outcome_survives_its_file(outcome: CellOutcome, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "outcome.json"
    outcome.write(path)
    assert read_outcome(path, CELL) == outcome
    assert json.loads(path.read_text())["schema"] == 1
    again = tmp_path / "again.json"
    read_outcome(path, CELL).write(again)
    assert again.read_bytes() == path.read_bytes()


def test_only_a_passed_outcome_may_lack_a_reason() -> None:
    for state in set(State) - {State.PASSED}:
        with pytest.raises(ValueError, match="reason"):
            CellOutcome(cell=CELL, state=state)
    with pytest.raises(ValueError, match="reason"):
        CellOutcome(cell=CELL, state=State.PASSED, reason="because")


def test_a_missing_file_did_not_pass(tmp_path: Path) -> None:
    outcome = read_outcome(tmp_path / "outcome.json", CELL)
    assert outcome.state is State.FAILED
    assert "was not run" in outcome.reason


def test_a_file_cut_short_anywhere_did_not_pass(tmp_path: Path) -> None:
    path = tmp_path / "outcome.json"
    PASSED.write(path)
    whole = path.read_bytes()
    for length in range(len(whole) - 2):  # the last two are the closing brace and the end of the line
        path.write_bytes(whole[:length])
        assert not read_outcome(path, CELL).passed, length


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"schema": 2}, "schema 2"),
        ({"state": "skipped"}, "skipped"),
        ({"state": "passed"}, "reason"),
        ({"counts": {"modules": "many"}}, "whole numbers"),
        ({"counts": {"surprise": 1}}, "surprise"),
        ({"layers": {"sglang": {"built": "all"}}}, "whole numbers"),
        ({"layers": {"sglang": {"skipped": 1}}}, "skipped"),
        ({"layers": [1]}, "cannot be read"),
        ({"digests": {"lock": 1}}, "digests must be strings"),
        ({"disagreements": [{"location": "m"}]}, "cannot be read"),
        ({"pair_id": "seed"}, "is about seed-import"),
        ({"extra": 1}, "extra"),
        ({"peak_bytes": 1e999}, "Infinity is not a number"),
        ({"peak_bytes": -1}, "-1 is not a whole number"),
        ({"shared_bytes": 10**400}, "is not a whole number"),
        ({"seconds": float("nan")}, "NaN is not a number"),
        ({"seconds": 10**400}, "is not a finite number"),
        ({"seconds": True}, "is not a finite number"),
        ({"agreed": {"kind": 1.5}}, "is not a whole number"),
        ({"counts": {"modules": -1}}, "whole numbers"),
        ({"counts": {"modules": 2**63}}, "whole numbers"),
        ({"reason": 5}, "5 is not a string"),
        ({"disagreements": [{"location": "m", "expected": 1, "observed": "x"}]}, "must be strings"),
    ],
)
def test_a_wrong_document_did_not_pass(change: dict[str, object], word: str, tmp_path: Path) -> None:
    path = tmp_path / "outcome.json"
    path.write_text(json.dumps({**FAILED.document(), **change}))
    outcome = read_outcome(path, CELL)
    assert outcome.state is State.FAILED
    assert word in outcome.reason
    assert "\n" not in outcome.reason


ENTRY = {"location": "m:f", "expected": "defined function", "observed": "None"}


@pytest.mark.parametrize(
    ("outcome", "change", "word"),
    [
        (PASSED, {"disagreements": [ENTRY]}, "it has disagreements"),
        (PASSED, {"counts": {"disagreements": 1}}, "it has disagreements"),
        (PASSED, {"counts": {"imported": 0}}, "counts.imported is 0"),
        (PASSED, {"counts": {"checked": 0, "conditional": 9}}, "counts.checked is 0"),
        (PASSED, {"counts": {"modules": 0}}, "counts.modules is 0"),
        (PASSED, {"counts": {"listed": 10}}, "the numbers of names do not add up"),
        (PASSED, {"counts": {"imported": 10}}, "the numbers of names do not add up"),
        (PASSED, {"counts": {"refused": 3}}, "more modules were refused than compared"),
        (PASSED, {"counts": {"expected": 1}}, "the number of expected failures is wrong"),
        (PASSED, {"expected": [{"disagreement": ENTRY, "reason": "r", "link": ""}]}, "expected failures"),
        (PASSED, {"layers": {}}, "no layer was built"),
        (PASSED, {"layers": {"vllm": asdict(Layers(refused=3))}}, "no layer was built"),
        (PASSED, {"layers": {"vllm": {"built": -1}}}, "whole numbers"),
        (PASSED_ON_GPU, {"counts": {"tests": 0, "tests_passed": 0}}, "counts.tests is 0"),
        (PASSED_ON_GPU, {"counts": {"tests_passed": 2}}, "a test has not passed"),
        (PASSED_ON_GPU, {"machine": {"cuda": "False"}}, "torch found no GPU"),
        (PASSED_ON_GPU, {"machine": {}}, "torch found no GPU"),
    ],
)
def test_an_outcome_that_contradicts_itself_did_not_pass(
    outcome: CellOutcome, change: dict[str, dict[str, int]], word: str, tmp_path: Path
) -> None:
    path = tmp_path / outcome.cell.id / "outcome.json"
    outcome.write(path)
    assert read_outcome(path, outcome.cell).passed
    if "counts" in change:
        change = change | {"counts": asdict(outcome.counts) | change["counts"]}
    path.write_text(json.dumps({**outcome.document(), **change}))
    for read in (read_outcome(path, outcome.cell), read_any_outcome(path.parent)):
        assert read.state is State.FAILED
        assert word in read.reason
        assert "\n" not in read.reason


@pytest.mark.parametrize("outcome", [PASSED, PASSED_ON_GPU])
def test_no_counts_at_all_did_not_pass(outcome: CellOutcome, tmp_path: Path) -> None:
    path = tmp_path / "outcome.json"
    path.write_text(json.dumps({**outcome.document(), "counts": {}}))
    assert "is 0" in read_outcome(path, outcome.cell).reason


def test_an_outcome_without_rehearsals_did_not_pass(tmp_path: Path) -> None:
    path = tmp_path / "outcome.json"
    document = PASSED.document()
    del document["layers"]
    path.write_text(json.dumps(document))
    outcome = read_outcome(path, CELL)
    assert (outcome.state, outcome.reason) == (
        State.FAILED,
        "outcome.json cannot be read (no key 'layers'); run the cell again",
    )
    document = PASSED_ON_GPU.document()
    del document["layers"]
    path.write_text(json.dumps(document))
    assert read_outcome(path, PASSED_ON_GPU.cell).passed, "its tests build layers themselves"


def test_what_is_said_of_a_layer_is_not_said_of_the_index() -> None:
    broken = Disagreement(
        location="layer:vllm/awq4-g128/awq/float16", expected="a layer", observed="TypeError"
    )
    assert FAILED.complaint(broken) == f"{broken.location}: expected: a layer; found: TypeError"
    assert FAILED.complaint(DISAGREEMENT).startswith("m:f: index: ")
