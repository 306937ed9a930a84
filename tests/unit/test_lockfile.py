"""Writing and reading lock files, and refusing files that differ from what the command writes."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from compat.errors import UsageError
from compat.locks.lockfile import Inputs, LockedPackage, Pinned, parse_requirements, read_lock, write_lock
from compat.matrix.config import read_matrix
from compat.model.releases import Pair

ROOT = Path(__file__).parents[2]

PAIR = Pair(
    id="seed",
    python="3.11",
    sglang=Version("0.4.7"),
    sglang_extras=("srt",),
    vllm=Version("0.9.0.1"),
    overrides=MappingProxyType(
        {"torch": "==2.7.1", "llguidance": ">=1.7,<1.8", "cuda-tile": "; python_version < '3'"}
    ),
)

OVERRIDES = 'cuda-tile; python_version < "3", llguidance<1.8,>=1.7, torch==2.7.1'

PACKAGES = {
    canonicalize_name("vllm"): LockedPackage(
        pin=Pinned(version=Version("0.9.0.1"), hashes=(f"sha256:{'b' * 64}", f"sha256:{'a' * 64}")),
        imports=("vllm",),
        download_bytes=300,
        installed_bytes=900,
    ),
    canonicalize_name("flashinfer-python"): LockedPackage(
        pin=Pinned(version=Version("0.2.5"), hashes=(f"sha256:{'c' * 64}",)),
        imports=("flashinfer",),
        download_bytes=0,
        installed_bytes=0,
        guessed=True,
    ),
}

TEXT = f"""\
# Pair seed: sglang 0.4.7[srt] + vllm 0.9.0.1, Python 3.11, Linux x86-64.
# Written by `python -m compat.pairs lock seed`; do not edit.
flashinfer-python==0.2.5 \\
    --hash=sha256:{"c" * 64}
vllm==0.9.0.1 \\
    --hash=sha256:{"a" * 64} \\
    --hash=sha256:{"b" * 64}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_lock(PAIR, PACKAGES, tmp_path)
    return tmp_path


def test_what_is_written_is_read_back(folder: Path) -> None:
    lock = read_lock("seed", folder)
    assert lock.pair == "seed"
    assert lock.packages == {"flashinfer-python": Version("0.2.5"), "vllm": Version("0.9.0.1")}
    assert lock.imports == {"flashinfer-python": ("flashinfer",), "vllm": ("vllm",)}
    assert (lock.download_bytes, lock.installed_bytes) == (300, 900)
    assert lock.requirements == folder / "seed.txt"
    assert lock.digest == hashlib.sha256(TEXT.encode()).hexdigest()
    assert lock.inputs == Inputs.of(PAIR)
    assert lock.inputs.overrides == (
        'cuda-tile; python_version < "3"',
        "llguidance<1.8,>=1.7",
        "torch==2.7.1",
    )
    assert lock.inputs.differences(Inputs.of(PAIR)) == []


def test_the_files_are_canonical(folder: Path) -> None:
    assert (folder / "seed.txt").read_text() == TEXT
    text = (folder / "seed.json").read_text()
    document = json.loads(text)
    assert text == json.dumps(document, indent=1, sort_keys=True) + "\n"
    assert document["packages"]["flashinfer-python"]["guessed"] is True
    assert "guessed" not in document["packages"]["vllm"]
    before = {path: path.read_bytes() for path in folder.iterdir()}
    write_lock(PAIR, dict(reversed(PACKAGES.items())), folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        (replace(PAIR, python="3.12"), ["python: 3.11 in the lock, 3.12 in the matrix"]),
        (
            replace(PAIR, vllm=None, sglang_extras=()),
            ["requirements: sglang[srt]==0.4.7, vllm==0.9.0.1 in the lock, sglang==0.4.7 in the matrix"],
        ),
        (
            replace(PAIR, overrides=MappingProxyType({"torch": "==2.7.1"})),
            [f"overrides: {OVERRIDES} in the lock, torch==2.7.1 in the matrix"],
        ),
        (
            replace(PAIR, overrides=MappingProxyType({})),
            [f"overrides: {OVERRIDES} in the lock, none in the matrix"],
        ),
    ],
)
def test_a_changed_pair_makes_the_lock_stale(folder: Path, changed: Pair, lines: list[str]) -> None:
    assert read_lock("seed", folder).inputs.differences(Inputs.of(changed)) == lines


def test_an_override_that_is_no_specifier_is_named() -> None:
    pair = replace(PAIR, overrides=MappingProxyType({"torch": "2.7.1"}))
    with pytest.raises(UsageError, match=r"pair\.seed\.overrides\.torch: '2\.7\.1' is not a valid specifier"):
        Inputs.of(pair)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (f"==0.2.5 \\\n    --hash=sha256:{'c' * 64}", "==0.2.5", "flashinfer-python has no sha256 hash"),
        ("sha256:" + "c" * 64, "md5:" + "c" * 32, "flashinfer-python has no sha256 hash"),
        ("sha256:" + "c" * 64, "sha256:" + "c" * 63, "flashinfer-python has no sha256 hash"),
        (
            "vllm==",
            "--index-url https://somewhere.test/\nvllm==",
            "'--index-url': a lock must not contain options or URLs",
        ),
        (
            "vllm==0.9.0.1",
            "vllm @ https://somewhere.test/vllm.whl",
            "'vllm': a lock must not contain options or URLs",
        ),
        ("vllm==0.9.0.1", "vllm>=0.9.0.1", "vllm is not pinned to one version"),
        ("vllm==0.9.0.1", "vllm==0.9.*", "vllm is not pinned to one version"),
        ("vllm==0.9.0.1", "vllm", "vllm is not pinned to one version"),
        ("vllm==0.9.0.1", "vllm[x]==0.9.0.1", "a lock must not contain markers or extras"),
        (
            "vllm==0.9.0.1",
            "vllm==0.9.0.1 ; python_version > '3'",
            "a lock must not contain markers or extras",
        ),
        ("vllm==0.9.0.1", "v llm", "'v llm' is not a valid requirement"),
        ("vllm==0.9.0.1", "flashinfer.python==0.2.5", "flashinfer-python is listed twice"),
        ("vllm==0.9.0.1", "vllm==0.9.1", "do not agree on vllm"),
        ("vllm==0.9.0.1", "vlm==0.9.0.1", "do not agree on vllm"),
    ],
)
def test_an_edited_requirements_file_is_refused(folder: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    (folder / "seed.txt").write_text(TEXT.replace(old, new))
    with pytest.raises(UsageError) as caught:
        read_lock("seed", folder)
    assert message in str(caught.value)
    assert str(folder / "seed.txt") in str(caught.value)
    assert str(caught.value).endswith('; run "python -m compat.pairs lock seed"')


def _set(*keys: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("pair", value="other"), "is for another pair"),
        (_set("schema", value=2), "is for another pair or was written by another version of this program"),
        (_set("download_bytes", value=1), "the totals differ from the sums over the packages"),
        (_set("packages", "vllm", "version", value="0.9.1"), "do not agree on vllm"),
        (_set("packages", "vllm", "version", value="new"), "is not a valid lock"),
        (_set("packages", "extra", value={"version": "1", "imports": []}), "do not agree on extra"),
        (_set("packages", "vllm", value={}), "is not a valid lock"),
        (_set("packages", "vllm", value=None), "is not a valid lock"),
        (_set("packages", value=[]), "is not a valid lock"),
        (_set("inputs", value={}), "is not a valid lock"),
    ],
)
def test_an_edited_json_file_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    path = folder / "seed.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=message) as caught:
        read_lock("seed", folder)
    assert str(caught.value).endswith('; run "python -m compat.pairs lock seed"')


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", pytest.param(b"[" * 100_000, id="nested")])
def test_a_json_file_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / "seed.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"seed\.json is not a valid lock"):
        read_lock("seed", folder)


@pytest.mark.parametrize("name", ["seed.txt", "seed.json"])
def test_a_missing_file_is_named_with_the_command(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(UsageError) as caught:
        read_lock("seed", folder)
    assert str(caught.value) == f'{folder / name} does not exist; run "python -m compat.pairs lock seed"'


def test_an_interruption_between_the_files_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vllm = canonicalize_name("vllm")
    newer = {
        **PACKAGES,
        vllm: replace(PACKAGES[vllm], pin=replace(PACKAGES[vllm].pin, version=Version("0.9.2"))),
    }

    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        from compat._util import atomic_write

        true_write = atomic_write.write_text
        patched.setattr(
            atomic_write,
            "write_text",
            lambda path, text: interrupt() if path.suffix == ".json" else true_write(path, text),
        )
        with pytest.raises(KeyboardInterrupt):
            write_lock(PAIR, newer, folder)
    with pytest.raises(UsageError, match="do not agree on vllm"):
        read_lock("seed", folder)


def test_requirements_may_be_written_in_one_line() -> None:
    digest = f"sha256:{'0' * 64}"
    parsed = parse_requirements(f"Some_Thing==1.0+cpu --hash={digest} --hash={digest}\n\n# end\n", "here")
    assert parsed == {"some-thing": Pinned(version=Version("1.0+cpu"), hashes=(digest, digest))}


@pytest.mark.parametrize("pair", read_matrix(ROOT / "matrix.toml").pairs, ids=lambda pair: pair.id)
def test_the_lock_of_each_pair_is_there_and_up_to_date(pair: Pair) -> None:
    lock = read_lock(pair.id, ROOT / "locks")
    assert lock.inputs.differences(Inputs.of(pair)) == []
    for release in pair.releases:
        assert lock.packages[release.package] == release.version
        assert release.package in lock.imports[release.package]
    assert lock.installed_bytes > lock.download_bytes > 1e9


def test_no_lock_is_left_over() -> None:
    ids = read_matrix(ROOT / "matrix.toml").ids
    assert {path.name for path in (ROOT / "locks").iterdir()} == {
        f"{i}.{s}" for i in ids for s in ("txt", "json")
    }
