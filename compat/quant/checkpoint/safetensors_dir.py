"""Read a directory of safetensors shards: headers first, then single tensors; never a pickle."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from compat.errors import CheckpointError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
HEADER_LIMIT = 100_000_000
"""The format's own limit for a header, in bytes."""
LONGEST_NAME = 255
"""Bytes of a file name, on any file system."""
MOST_DIMENSIONS = 64
"""The largest number of dimensions of a tensor in torch."""
MOST_ELEMENTS = 1 << 63
"""Sizes and offsets are smaller."""

DTYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}
"""From safetensors' name of a dtype to torch's name and the bytes of one element."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A tensor as the header of its shard describes it."""

    shard: Path
    shape: tuple[int, ...]
    dtype: str
    """Torch's name of the dtype."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The contents of a checkpoint directory, without the tensor data."""

    directory: Path
    config: Mapping[str, Any]
    """`config.json`; its `quantization_config` may be read from `hf_quant_config.json`."""
    entries: Mapping[str, Entry]

    @classmethod
    def open(cls, directory: Path) -> "Checkpoint":
        """Return the checkpoint in `directory`, after reading its configuration, index and headers.

        Raises:
            CheckpointError: a file is missing, truncated, not safetensors or outside the directory, or has a
                duplicate key.
        """
        config = _json(directory / "config.json")
        separate = directory / "hf_quant_config.json"
        if "quantization_config" not in config and separate.exists():
            config = {**config, "quantization_config": {"quant_method": "modelopt", **_json(separate)}}
        return cls(directory=directory, config=config, entries=_entries(directory))

    def read(self, names: list[str]) -> dict[str, Tensor]:
        """Return the named tensors, on the CPU; each shard is opened once.

        Raises:
            CheckpointError: a shard cannot be read.
        """
        from safetensors import SafetensorError, safe_open

        found: dict[str, Tensor] = {}
        for shard in dict.fromkeys(self.entries[name].shard for name in names):
            in_shard = [name for name in names if self.entries[name].shard == shard]
            try:
                with safe_open(str(shard), framework="pt") as opened:
                    found.update({name: opened.get_tensor(name) for name in in_shard})
            except (OSError, SafetensorError) as error:
                raise CheckpointError(f"{shard}: the shard cannot be read: {error}") from error
        return found


def _entries(directory: Path) -> dict[str, Entry]:
    index = directory / INDEX
    if not index.exists():
        single = directory / SINGLE
        if not single.exists():
            pickled = sorted(path.name for path in directory.glob("*.bin"))
            hint = f"; {pickled[0]} is a pickle, which is never read" if pickled else ""
            raise CheckpointError(f"{directory}: neither {INDEX} nor {SINGLE} exists{hint}")
        return _header(_shard_path(directory, SINGLE))
    listed = _json(index).get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(shard, str) for shard in listed.values()):
        raise CheckpointError(f"{index}: weight_map is not a table from tensors to shards")
    found: dict[str, Entry] = {}
    for shard in dict.fromkeys(listed.values()):
        for name, entry in _header(_shard_path(directory, shard)).items():
            if name in found:
                raise CheckpointError(
                    f"{directory}: {name} is in two shards, {found[name].shard.name} and {shard}"
                )
            found[name] = entry
    for name, shard in listed.items():
        if name not in found or found[name].shard.name != Path(shard).name:
            raise CheckpointError(f"{index}: weight_map places {name} in {shard}, which does not contain it")
    return found


def _shard_path(directory: Path, shard: str) -> Path:
    """Return the path of a shard, which must be a file in the directory.

    A link into `blobs` beside `snapshots` is valid as well; the Hugging Face cache stores its files there.
    """
    path = directory / shard
    if not shard.isprintable() or len(shard.encode()) > LONGEST_NAME:
        raise CheckpointError(f"{directory}: shard {shard[:80]!r} is not the name of a file")
    if Path(shard).name != shard or shard in ("", ".", ".."):
        raise CheckpointError(f"{directory}: shard {shard!r} points outside the directory")
    home = directory.resolve()
    homes = [home, *([home.parent.parent / "blobs"] if home.parent.name == "snapshots" else [])]
    if path.resolve().parent not in homes:
        raise CheckpointError(f"{directory}: shard {shard!r} is a link that points outside the directory")
    if not path.is_file():
        raise CheckpointError(f"{path}: the shard is missing")
    return path


def _header(shard: Path) -> dict[str, Entry]:
    """Return the tensors that the header of a shard lists, after checking the length of the file."""
    size = shard.stat().st_size
    with shard.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, HEADER_LIMIT):
            raise CheckpointError(
                f"{shard}: truncated, or not a safetensors file: {size} bytes do not contain its header"
            )
        text = file.read(length)
    try:
        header = json.loads(text, object_pairs_hook=_without_duplicates)
        described = {name: entry for name, entry in header.items() if name != "__metadata__"}
        found = {name: _entry(shard, entry) for name, entry in described.items()}
        end = max((entry["data_offsets"][1] for entry in described.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise CheckpointError(f"{shard}: the header is not valid: {error}") from error
    if 8 + length + end != size:
        raise CheckpointError(f"{shard}: truncated: {size} bytes instead of {8 + length + end}")
    return found


def _entry(shard: Path, described: Mapping[str, Any]) -> Entry:
    dtype, size = DTYPES.get(described["dtype"], (str(described["dtype"]), 0))
    begin, end = described["data_offsets"]
    shape = described["shape"]
    if len(shape) > MOST_DIMENSIONS:
        raise ValueError(f"a shape has {len(shape)} dimensions, more than {MOST_DIMENSIONS}")
    if not all(type(number) is int and 0 <= number < MOST_ELEMENTS for number in (begin, end, *shape)):
        raise ValueError("shapes and offsets must be integers from 0 to 2**63")
    count = math.prod(shape)
    if size and end - begin != count * size:
        raise ValueError(f"{end - begin} bytes are not a {dtype} tensor of shape {shape}")
    return Entry(shard=shard, shape=tuple(shape), dtype=dtype)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_duplicates)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: the file is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: the file does not contain a JSON object")
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"duplicate key {key!r}")
        found[key] = value
    return found
