"""Headers of safetensors shards: each is read or refused in one line, with bounded work."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.errors import CheckpointError
from compat.quant.checkpoint.safetensors_dir import Checkpoint
from counting import calls


def checkpoint(folder: Path, header: bytes, data: bytes = b"") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    shard = len(header).to_bytes(8, "little") + header + data
    (folder / "model.safetensors").write_bytes(shard)
    return folder


def entry(**changes: Any) -> bytes:
    return json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}).encode()


def test_a_header_is_read(tmp_path: Path) -> None:
    (found,) = Checkpoint.open(checkpoint(tmp_path, entry(), b"x" * 8)).entries.values()
    assert (found.shape, found.dtype) == ((2,), "float32")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (entry(shape=[2] * 500_000), "a shape has 500000 dimensions, more than 64"),
        (entry(shape=[10**4000]), "shapes and offsets must be integers"),
        (entry(shape=[-1, -2]), "shapes and offsets must be integers"),
        (entry(shape=[True, 2]), "shapes and offsets must be integers"),
        (entry(shape=["a"]), "shapes and offsets must be integers"),
        (entry(shape=5), "the header is not valid"),
        (entry(data_offsets=[0, 1e999]), "shapes and offsets must be integers"),
        (entry(data_offsets=[-8, 0]), "shapes and offsets must be integers"),
        (entry(data_offsets=[0]), "the header is not valid"),
        (entry(dtype=[]), "the header is not valid"),
        (b'{"a":' + b"[" * 200_000, "the header is not valid"),
        (b"[]", "the header is not valid"),
        (b"\xff", "the header is not valid"),
    ],
    ids=range(13),
)
def test_a_header_that_cannot_be_true_is_one_line(tmp_path: Path, header: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        Checkpoint.open(checkpoint(tmp_path, header, b"x" * 8))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
@pytest.mark.parametrize("content", [b"[" * 200_000, b"\xff", b"{", b"[]"])
def test_another_file_that_is_not_valid_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    checkpoint(tmp_path, entry(), b"x" * 8)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        Checkpoint.open(tmp_path)


@pytest.mark.parametrize("name", ["a\0b", "n" * 5000, "", "\ud800"])
def test_a_shard_whose_name_no_file_has_is_one_line(tmp_path: Path, name: str) -> None:
    checkpoint(tmp_path, entry(), b"x" * 8)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(CheckpointError, match="shard"):
        Checkpoint.open(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "model.safetensors.index.json"])
def test_a_folder_in_the_place_of_a_file_is_one_line(tmp_path: Path, name: str) -> None:
    checkpoint(tmp_path, entry(), b"x" * 8)
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).mkdir()
    with pytest.raises(CheckpointError, match=name):
        Checkpoint.open(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "U8", "odd"]) | JSON,
        "shape": st.lists(st.integers(-1, 3)) | JSON,
        "data_offsets": st.tuples(st.integers(-1, 9), st.integers(-1, 9)) | JSON,
    },
)


@settings(deadline=None)
@given(
    st.dictionaries(st.text(max_size=3), ENTRY | JSON, max_size=3).map(json.dumps).map(str.encode)
    | st.binary()
)
def test_any_header_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, header: bytes) -> None:
    folder = checkpoint(tmp_path_factory.getbasetemp() / "any", header, b"x" * 8)
    try:
        found = Checkpoint.open(folder).entries
    except CheckpointError:
        return
    assert all(each.shape == tuple(map(int, each.shape)) for each in found.values())


def test_the_work_grows_with_the_length_of_the_header(tmp_path: Path) -> None:
    def work(tensors: int) -> int:
        header = json.dumps(
            {str(n): {"dtype": "U8", "shape": [1] * 60, "data_offsets": [0, 1]} for n in range(tensors)}
        )
        folder = checkpoint(tmp_path, header.encode(), b"x")
        return calls(lambda: Checkpoint.open(folder))

    work(1)
    assert work(400) < 4.2 * work(100) + 200
