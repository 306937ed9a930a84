"""The check of GPU code, in libraries of the layout that nvcc writes, against the GPUs of a machine."""

import json
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from compat.doctor.cli import main
from compat.doctor.native.fatbin import Code, code
from compat.errors import IntegrityError
from doctor_env import BASE, DRIVER, Env, compiled

MADE = Path(__file__).resolve().parents[1] / "corpus" / "doctor" / "empty.fatbin"
ALL = frozenset(
    {
        Code((8, 0)),
        Code((9, 0)),
        Code((9, 0), "a"),
        Code((10, 0), "f"),
        Code((12, 0), ptx=True),
    }
)


def library(folder: Path, name: str, content: bytes) -> Path:
    """Return a shared library with GPU code in the section in which nvcc puts it."""
    held = folder / f"{name}.fatbin"
    folder.mkdir(parents=True, exist_ok=True)
    held.write_bytes(content)
    section = f'__asm__(".section .nv_fatbin,\\"a\\"\\n.balign 8\\n.incbin \\"{held}\\"\\n.previous");'
    return compiled(folder, name, f"{section}\nint one(void) {{ return 1; }}\n")


def entries(*wanted: int) -> bytes:
    """Return a container with some of its entries, in the order in which nvcc writes them."""
    content = MADE.read_bytes()
    kept, at = [], 16
    while at < len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        size += int.from_bytes(content[at + 8 : at + 16], "little")
        kept.append(content[at : at + size])
        at += size
    body = b"".join(kept[number] for number in wanted)
    return content[:8] + len(body).to_bytes(8, "little") + body


def test_what_nvcc_has_made_is_read(tmp_path: Path) -> None:
    assert code(library(tmp_path, "all.so", MADE.read_bytes())) == ALL
    assert sorted(map(str, ALL)) == ["compute_120", "sm_100f", "sm_80", "sm_90", "sm_90a"]


def test_containers_follow_one_another_with_padding_between(tmp_path: Path) -> None:
    """A library has one container for each source file."""
    content = entries(0) + bytes(24) + entries(1, 2)
    assert code(library(tmp_path, "two.so", content)) == {Code((8, 0)), Code((9, 0)), Code((9, 0), "a")}


def test_a_library_without_gpu_code_has_none(tmp_path: Path) -> None:
    assert code(compiled(tmp_path, "none.so", "int one(void) { return 1; }")) == frozenset()


def test_damage_is_reported_or_harmless(tmp_path: Path) -> None:
    good = library(tmp_path, "all.so", MADE.read_bytes()).read_bytes()
    start = good.index(MADE.read_bytes()[:8])
    seed = time.time_ns()
    print(f"seed {seed}")
    source = random.Random(seed)  # noqa: S311 -- no secret
    target = tmp_path / "damaged.so"
    for _ in range(300):
        damaged = bytearray(good[: source.randrange(len(good))] if source.random() < 0.3 else good)
        for _ in range(source.randrange(1, 6)):
            where = source.randrange(start, start + 200) if source.random() < 0.7 else source.randrange(64)
            if where < len(damaged):
                damaged[where] = source.randrange(256)
        target.write_bytes(damaged)
        with suppress(IntegrityError):
            code(target)


def test_a_header_without_length_is_damage(tmp_path: Path) -> None:
    content = bytearray(MADE.read_bytes())
    content[6:16] = (0).to_bytes(2, "little") + (16).to_bytes(8, "little")
    with pytest.raises(IntegrityError, match=r"empty\.so: its GPU code cannot be read"):
        code(library(tmp_path, "empty.so", bytes(content)))


@pytest.mark.parametrize(
    ("text", "runs", "fails"),
    [
        (Code((8, 0)), [(8, 0), (8, 6), (8, 9)], [(7, 5), (9, 0), (12, 0)]),
        (Code((8, 6)), [(8, 6), (8, 9)], [(8, 0), (9, 0)]),
        (Code((9, 0), "a"), [(9, 0)], [(8, 9), (10, 0), (12, 0)]),
        (Code((10, 0), "f"), [(10, 0), (10, 3)], [(9, 0), (12, 0)]),
        (Code((12, 0), "a"), [(12, 0)], [(12, 1)]),
        (Code((8, 0), ptx=True), [(8, 0), (9, 0), (12, 0)], [(7, 5)]),
        (Code((9, 0), "a", ptx=True), [(9, 0)], [(10, 0)]),
    ],
    ids=str,
)
def test_which_gpu_runs_what(text: Code, runs: list[tuple[int, int]], fails: list[tuple[int, int]]) -> None:
    assert [gpu for gpu in [*runs, *fails] if text.runs_on(gpu)] == runs


def examined(
    env: Env, capability: tuple[int, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    """Return the document of an environment on a machine with one GPU."""
    driver = DRIVER.replace("what == 75 ? 9 : 1", f"what == 75 ? {capability[0]} : {capability[1]}")
    folder = env.site.parent / "driver"
    compiled(folder, "libcuda.so.1", driver)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
    main(["--python", str(env.python), "--format", "json", "--no-imports"])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Env:
    monkeypatch.setenv("COMPAT_CACHE_DIR", str(tmp_path / "cache"))
    made = Env(tmp_path / "env")
    version = "cuda: Optional[str] = '12.4'\n"
    made.add("torch", "2.7.1", {"torch/__init__.py": "", "torch/version.py": version})
    made.add("vllm", "99.0", BASE)
    for name, content in (("_C.abi3.so", entries(0, 1)), ("_fa3_C.abi3.so", entries(2))):
        library(made.site / "vllm", name, content)
        with (made.site / "vllm-99.0.dist-info/RECORD").open("a") as record:
            record.write(f"vllm/{name},,\n")
    return made


@pytest.mark.parametrize("capability", [(8, 6), (9, 0)], ids=str)
def test_code_for_the_gpu_is_no_finding(
    env: Env, capability: tuple[int, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A single file with code for other GPUs only is a note."""
    document = examined(env, capability, monkeypatch, capsys)
    assert document["findings"] == []
    told = "_fa3_C.abi3.so of vllm: no code for Made Up 100 (compute capability 8.6), only for other GPUs"
    assert document["notes"] == ([told] if capability == (8, 6) else [])


def test_a_gpu_that_nothing_is_built_for_is_a_finding(
    env: Env, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = examined(env, (12, 0), monkeypatch, capsys)
    (finding,) = document["findings"]
    assert (finding["cause"], finding["package"], finding["version"]) == ("abi_mismatch", "vllm", "99.0")
    held = "_C.abi3.so, _fa3_C.abi3.so of vllm 99.0 have code for sm_80, sm_90, sm_90a"
    assert finding["evidence"] == [
        f"{held}; the GPU is Made Up 100 (compute capability 12.0)",
        "its kernels fail with “no kernel image is available for execution on the device”",
    ]
    assert "Install a build of vllm for compute capability 12.0" in finding["fix"]["text"]


def test_a_library_that_cannot_be_read_is_a_note(
    env: Env, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (env.site / "vllm" / "_C.abi3.so").write_bytes(b"\x7fELF, not quite")
    document = examined(env, (9, 0), monkeypatch, capsys)
    assert document["findings"] == []
    (note,) = document["notes"]
    assert "_C.abi3.so: cannot be read as a shared library" in note
