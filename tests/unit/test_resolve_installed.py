"""Installed releases outside of the index are read from their files, and never imported."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
IMPORTED = "raise SystemExit('imported')\n"


def distribution(
    site: Path, name: str, version: str, files: Mapping[str, str], *, listed: bool = True
) -> None:
    """Write an installed distribution as an installer does; an unlisted one is editable."""
    for path, source in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(source)
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files) if listed else "x.pth,,\n")


def resolve(tmp_path: Path, *argv: str) -> tuple[int, str, str]:
    """Run the command in a child that sees the distributions of `tmp_path`/site."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(ROOT)]),
        "COMPAT_CACHE_DIR": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "compat.resolve", *argv],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def results(tmp_path: Path, *argv: str) -> list[dict[str, Any]]:
    code, out, err = resolve(tmp_path, *argv, "--format", "json")
    assert code in (0, 1), err
    found: list[dict[str, Any]] = json.loads(out)["results"]
    return found


@pytest.fixture(params=["listed", "editable"])
def nightly(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    files = {
        "vllm/__init__.py": IMPORTED,
        "vllm/new/__init__.py": "from .linear import Method",
        "vllm/new/linear.py": "import torch\nclass Method:\n    def apply(self, x): ...",
        "vllm/_C.abi3.so": "",
    }
    distribution(tmp_path / "site", "vllm", "99.0.dev1+local", files, listed=request.param == "listed")
    return tmp_path


def test_a_nightly_is_read_from_its_files(nightly: Path) -> None:
    (found,) = results(nightly, "Method", "--signature")
    assert (found["package"], found["version"], found["source"]) == ("vllm", "99.0.dev1+local", "installed")
    assert (found["status"], found["module"]) == ("reexported", "vllm.new")
    assert found["signature"] == {"apply": "(self, x)"}
    code, out, err = resolve(nightly, "vllm.old.Method")
    assert code == 1
    assert "from vllm.new import Method" in out
    assert err.count("\n") == 1
    assert "the index does not contain vllm 99.0.dev1+local" in err


def test_what_is_kept_follows_the_files(nightly: Path) -> None:
    assert results(nightly, "Method")[0]["status"] == "reexported"
    kept = sorted((nightly / "cache").glob("installed-*.sqlite"))
    results(nightly, "Method")
    assert sorted((nightly / "cache").glob("installed-*.sqlite")) == kept
    assert results(nightly, "Other")[0]["status"] == "missing"
    (nightly / "site/vllm/new/linear.py").write_text("class Method: pass\nclass Other: pass")
    assert results(nightly, "Other")[0]["status"] == "defined"


def test_a_pair_is_read_as_one(tmp_path: Path) -> None:
    site = tmp_path / "site"
    guarded = "try:\n    from vllm.a import Thing\nexcept ImportError:\n    Thing = None"
    distribution(site, "sglang", "0.4.7", {"sglang/__init__.py": IMPORTED, "sglang/b.py": guarded})
    distribution(site, "vllm", "99.0", {"vllm/__init__.py": IMPORTED, "vllm/a.py": "class Thing: pass"})
    found = {each["package"]: each for each in results(tmp_path, "Thing")}
    assert (found["sglang"]["status"], found["sglang"]["origin"]) == ("reexported", "vllm.a:Thing")
    assert {each["source"] for each in found.values()} == {"installed"}


def test_known_releases_come_from_the_index(tmp_path: Path) -> None:
    distribution(tmp_path / "site", "vllm", "0.9.0.1", {"vllm/__init__.py": IMPORTED})
    (found,) = results(tmp_path, "vllm.model_executor.layers.linear.LinearBase")
    assert (found["source"], found["status"]) == ("index", "defined")


def test_an_install_without_files_is_told_in_one_line(tmp_path: Path) -> None:
    distribution(tmp_path / "site", "vllm", "99.0", {}, listed=False)
    code, out, err = resolve(tmp_path, "Method")
    assert (code, out) == (4, "")
    assert err == "compat: error: vllm has metadata but no files; reinstall it\n"
