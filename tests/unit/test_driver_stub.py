"""The stub of the driver's library: what is linked against that loads with it, and meets no device."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from compat.errors import PreparationError
from compat.probe import driver_stub
from doctor_env import compiled

PRIVATE = "int cuMadeUp(int); int cuda_like(void) { return 3; } int ask(void) { return cuMadeUp(1); }"
ASK = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).ask())"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder with a library that asks the driver's one for a function, and some that do not."""
    driver = compiled(tmp_path / "driver", driver_stub.LIBRARY, "int cuMadeUp(int x) { return x; }")
    compiled(tmp_path / "site/one", "_C.abi3.so", PRIVATE, str(driver))
    compiled(
        tmp_path / "site/two", "plain.so", "int cuNotLinked(void); int f(void) { return cuNotLinked(); }"
    )
    (tmp_path / "site/two/driver.c").write_text(
        "void f(void) { CUDA_CHECK(cuCalled (1)); cuda_other(cuValue); cuFileRead();  }"
    )
    (tmp_path / "site/two/damaged.so.1").write_bytes(b"\x7fELF and no more")
    (tmp_path / "site/two/link.so").symlink_to("nowhere")
    return tmp_path / "site"


def asked(library: Path, variables: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", ASK, library],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_linked_against_the_driver_loads_and_is_told_that_there_is_no_device(
    site: Path, tmp_path: Path
) -> None:
    library = site / "one/_C.abi3.so"
    without = asked(library, {})
    assert "libcuda.so.1: cannot open shared object file" in without.stderr
    folder = driver_stub.build([site], tmp_path)
    done = asked(library, {"LD_LIBRARY_PATH": str(folder)})
    assert (done.stdout, done.stderr) == (f"{driver_stub.NO_DEVICE}\n", "")


def test_it_defines_what_is_asked_of_the_driver_and_nothing_else(site: Path, tmp_path: Path) -> None:
    folder = driver_stub.build([site], tmp_path)
    source = (folder / "libcuda.c").read_text()
    assert sorted(line.split()[1] for line in source.splitlines()) == [
        "cuCalled(void)",
        "cuCalled_v2(void)",
        "cuGetExportTable(void)",
        "cuGetProcAddress(void)",
        "cuInit(void)",
        "cuMadeUp(void)",
    ]


def test_files_that_link_to_the_cache_of_an_installer_count(site: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "_C.abi3.so").symlink_to(site / "one/_C.abi3.so")
    assert "cuMadeUp" in (driver_stub.build([linked], tmp_path) / "libcuda.c").read_text()


def test_an_environment_without_compiled_code_gets_one_too(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert (driver_stub.build([tmp_path / "empty"], tmp_path) / driver_stub.LIBRARY).is_file()


def test_without_a_compiler_it_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(PreparationError, match="install a compiler such as gcc, or set CC"):
        driver_stub.build([], tmp_path)


def test_the_compiler_of_the_variable_cc_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own-cc"
    own.write_text("#!/bin/sh\necho first >&2\necho 'disk quota exceeded' >&2\nexit 3\n")
    own.chmod(0o755)
    monkeypatch.setenv("CC", f"{own} -O2")
    assert driver_stub.compiler() == [str(own), "-O2"]
    with pytest.raises(PreparationError, match=r"own-cc .*\(disk quota exceeded\)"):
        driver_stub.build([], tmp_path)


def test_a_compiler_that_cannot_be_started_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own-cc"
    own.write_bytes(b"\x00\x01 no program")
    own.chmod(0o755)
    monkeypatch.setenv("CC", str(own))
    with pytest.raises(PreparationError, match="did not build a stub"):
        driver_stub.build([], tmp_path)


def test_code_that_is_compiled_against_the_driver_is_linked_with_it(site: Path, tmp_path: Path) -> None:
    """As triton does it: found by `-lcuda`, where LD_LIBRARY_PATH says."""
    folder = driver_stub.build([site], tmp_path)
    source = "int cuCalled(int); int ask(void) { return cuCalled(2); }"
    made = compiled(tmp_path / "made", "utils.so", source, "-lcuda", f"-L{folder}")
    assert asked(made, {"LD_LIBRARY_PATH": str(folder)}).stdout == f"{driver_stub.NO_DEVICE}\n"
