"""`compat pairs --probe` on a small version of the openai clash, with real installations and imports."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from compat.locks.lockfile import Lock
from compat.matrix.judge.compare import IMPORTS, LATE
from compat.matrix.judge.inputs import Shipped
from compat.matrix.model.outcome import Cell, CellOutcome, Disagreement, State
from compat.model.releases import SGLANG, VLLM, Pair, ReleaseMetadata
from compat.pairs import json_output, text_output
from compat.pairs.probe_overrides import _broken, _day, named_in, probe, wants_gpu
from compat.pairs.solve import solve
from compat.probe.expectation import ModuleExpectation, NameExpectation
from compat.requirements.release_requirements import ReleaseRequirements, requirements_of
from compat.uv.client import find_uv
from wheelhouse import Index, build_wheel, serving, uv_sees_only

SGLANG_SOURCE = b"from openai_like import Old\nclass Fp8:\n    def apply(self, x): return x\n"
VLLM_SOURCE = b"import openai_like\nclass Gptq:\n    def apply(self, x): return x\n"


@dataclass(frozen=True)
class Tiny(Shipped):
    """A source with real locks, and with expectations of the test instead of the shipped index."""

    def index_digest(self) -> str:
        return "index"

    def expectations(self, pair: Pair, lock: Lock, *, cuda: bool) -> tuple[ModuleExpectation, ...]:
        assert lock.pair == pair.id
        assert not cuda
        return tuple(
            ModuleExpectation(
                module=module,
                exists=True,
                open=True,
                names=(NameExpectation(name=name, status="defined", kind="class"),),
            )
            for module, name in (("sglang.quant", "Fp8"), ("vllm.quant", "Gptq"))
        )


class Notes:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def advance(self, amount: int = 1) -> None:
        assert amount

    def note(self, message: str) -> None:
        self.lines.append(message)


def publish(index: Index, name: str, version: str, source: bytes, *requires: str, module: str = "") -> None:
    path = f"{module or name}/{'quant' if not module else '__init__'}.py"
    files = {f"{module or name}/__init__.py": b"", path: source}
    index.add(f"{name}-{version}-py3-none-any.whl", build_wheel(name, version, files, requires=requires))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """Publish two releases of a library; the newer lacks a name that a release of the pair imports."""
    with serving() as index:
        publish(index, "sglang", "0.5.21", SGLANG_SOURCE, "openai==2.6.1")
        publish(index, "vllm", "0.31.0", VLLM_SOURCE, "openai==2.25.0")
        publish(index, "openai", "2.6.1", b"class Old: pass\n", module="openai_like")
        publish(index, "openai", "2.25.0", b"class New: pass\n", module="openai_like")
        uv_sees_only(index, tmp_path / "uv", monkeypatch)
        yield index


def needs(package: str, version: str, *requires: str) -> ReleaseRequirements:
    row = ReleaseMetadata(
        version=version, wheel="", sha256="", uploaded=None, requires_python=None, requires_dist=requires
    )
    return requirements_of(canonicalize_name(package), row, "3.11")


@pytest.mark.usefixtures("index")
def test_an_import_that_fails_turns_the_override_it_names(tmp_path: Path) -> None:
    one, other = needs(SGLANG, "0.5.21", "openai==2.6.1"), needs(VLLM, "0.31.0", "openai==2.25.0")
    guess = solve(one, other, "3.11", str(find_uv()), Notes())
    assert list(map(str, guess.overrides)) == ["openai==2.25.0"], "the newer is the first guess"
    notes = Notes()
    found, record = probe(guess, str(find_uv()), str(tmp_path / "envs"), notes, Tiny)
    (override,) = found.overrides
    assert (str(override), override.side) == ("openai==2.6.1", "sglang")
    assert "with openai==2.25.0 an import fails (ImportError: cannot import name 'Old'" in override.reason
    first, last = record
    assert (first.imported, first.flipped) == (False, "openai==2.6.1")
    assert first.problem.startswith("1 module cannot be imported, such as sglang.quant: ImportError")
    assert (last.imported, last.problem, last.modules, last.checked) == (True, "", 2, 2)
    assert any("taking openai==2.6.1" in line for line in notes.lines)
    assert not (tmp_path / "envs" / "probe").exists()


def test_when_neither_side_imports_the_better_is_answered_and_said_to_fail(
    index: Index, tmp_path: Path
) -> None:
    index.projects["vllm"].clear()
    publish(index, "vllm", "0.31.0", b"from openai_like import New\n" + VLLM_SOURCE, "openai==2.25.0")
    one, other = needs(SGLANG, "0.5.21", "openai==2.6.1"), needs(VLLM, "0.31.0", "openai==2.25.0")
    guess = solve(one, other, "3.11", str(find_uv()), Notes())
    found, record = probe(guess, str(find_uv()), str(tmp_path / "envs"), Notes(), Tiny)
    assert list(map(str, found.overrides)) == ["openai==2.25.0"]
    assert len(record) == 2
    assert not record[-1].imported
    assert record[-1].overrides == ("openai==2.25.0",)


NO_DRIVER = b"raise RuntimeError('0 active drivers ([]). There should only be one.')\n"


def test_a_missing_gpu_is_distinguished_from_other_import_errors(index: Index, tmp_path: Path) -> None:
    index.projects["sglang"].clear()
    publish(index, "sglang", "0.5.21", NO_DRIVER, "openai==2.25.0")
    one, other = needs(SGLANG, "0.5.21", "openai==2.25.0"), needs(VLLM, "0.31.0", "openai==2.25.0")
    guess = solve(one, other, "3.11", str(find_uv()), Notes())
    found, (attempt,) = probe(guess, str(find_uv()), str(tmp_path / "envs"), Notes(), Tiny)
    assert found.overrides == ()
    assert (attempt.imported, attempt.problem, attempt.disagreements) == (True, "", 0)
    assert attempt.without_gpu == 1
    assert attempt.without_gpu_why.startswith(
        "1 module cannot be imported without a GPU, such as sglang.quant: RuntimeError: 0 active drivers"
    )
    assert "without a GPU" in text_output.solution(found, [attempt])
    assert '"without_gpu": 1' in json_output.of_solution(found, [attempt])


def test_with_a_gpu_the_same_words_are_a_failure() -> None:
    error = "RuntimeError: 0 active drivers ([]). There should only be one. (triton/driver.py:8)"
    entry = Disagreement(location="sglang.quant", expected=IMPORTS, observed=error)
    outcome = CellOutcome(cell=Cell(pair_id="probe"), state=State.FAILED, reason="x", disagreements=(entry,))
    assert _broken(replace(outcome, machine={"cuda": "False"})) == ([], [entry])
    assert _broken(replace(outcome, machine={"cuda": "True"})) == ([entry], [])


def test_a_circular_import_is_excused_only_where_it_is_not_the_pairs_doing() -> None:
    def broken(*found: Disagreement) -> tuple[list[str], list[str]]:
        outcome = CellOutcome(cell=Cell(pair_id="probe"), state=State.FAILED, reason="x", disagreements=found)
        return tuple([each.location for each in entries] for entries in _broken(outcome))  # type: ignore[return-value]

    circular = (
        "ImportError: cannot import name 'X' (most likely due to a circular import) (p.py) (a/b/q.py:10)"
    )
    linear = Disagreement(location="a.linear", expected=IMPORTS, observed=circular)
    package = Disagreement(
        location="a.b", expected=IMPORTS, observed="RuntimeError: 0 active drivers ([]). (t.py:8)"
    )
    assert broken(linear) == (["a.linear"], [])
    assert broken(replace(linear, observed=circular + LATE)) == ([], [])
    assert broken(linear, package) == ([], ["a.b", "a.linear"])
    elsewhere = replace(linear, observed=circular.replace("a/b/", "a/c/"))
    assert broken(elsewhere, package) == (["a.linear"], ["a.b"])


@pytest.mark.parametrize(
    ("error", "wants"),
    [
        ("ImportError: libcuda.so.1: cannot open shared object file: No such file or directory", True),
        ("RuntimeError: Failed to infer device type (vllm/config.py:3)", True),
        ("ImportError: libcudart.so.12: cannot open shared object file: No such file or directory", False),
        ("ModuleNotFoundError: No module named 'kernels' (sglang/srt/layers/x.py:3)", False),
        ("ImportError: cannot import name 'Old' from 'openai_like' (vllm/x.py:3)", False),
        ("crashed: signal 11 (SIGSEGV)", False),
    ],
)
def test_only_the_driver_and_the_gpu_excuse_a_module(error: str, *, wants: bool) -> None:
    assert wants_gpu(error) is wants


def test_what_has_drifted_since_is_taken_as_of_the_time_of_the_releases(index: Index, tmp_path: Path) -> None:
    """No requirement pins the library, and its newest release lacks a name that this sglang imports."""
    for package, body in (("sglang", SGLANG_SOURCE), ("vllm", VLLM_SOURCE)):
        index.projects[package].clear()
        publish(index, package, "0.5.21" if package == "sglang" else "0.31.0", body, "openai")
    index.projects["openai"][1]["upload-time"] = "2026-06-01T00:00:00.000000Z"
    one, other = (
        replace(needs(package, version, "openai"), uploaded=date(2026, 2, 1))
        for package, version in ((SGLANG, "0.5.21"), (VLLM, "0.31.0"))
    )
    guess = solve(one, other, "3.11", str(find_uv()), Notes())
    assert guess.overrides == ()
    assert _day(guess) == date(2026, 2, 8), "a week for what was mended at once"
    found, record = probe(guess, str(find_uv()), str(tmp_path / "envs"), Notes(), Tiny)
    (override,) = found.overrides
    assert (str(override), override.side) == ("openai==2.6.1", "date")
    assert override.reason.startswith(
        "with openai 2.25.0 an import fails (ImportError: cannot import name 'Old'"
    )
    assert [attempt.imported for attempt in record] == [False, True]


def test_a_package_is_named_by_its_modules_and_files() -> None:
    class Imports:
        imports = {canonicalize_name("openai"): ("openai",), canonicalize_name("vllm"): ("vllm",)}  # noqa: RUF012

    lock: Lock = Imports()  # type: ignore[assignment]
    error = "ImportError: cannot import name 'NamespaceTool' from 'openai.types.responses' (vllm/entry.py:12)"
    assert named_in(error, lock) == {"openai", "vllm"}
    assert named_in("ImportError: cannot import name 'openai_harmony'", lock) == set()
