"""Test checkpoints: a mix of all schemes against float64, the forms of several quantizers, and errors."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from compat.errors import CheckpointError
from compat.quant.checkpoint.quantization_config import assignment
from compat.quant.linear import MixedPrecisionLinear
from compat.quant.loader import MixedPrecisionLoader
from compat.quant.packing import bit_packing
from compat.quant.packing.packers import dequantize, pack
from compat.quant.schemes import Awq, Fp8, Gptq, Scheme, Unquantized, W8A8Int8
from quant_llama import MIXED, Llama, logits, own_map, write

TOKENS = torch.arange(24).reshape(2, 12) * 7 % 384
LINEARS = list(MIXED)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    directory = tmp_path_factory.mktemp("mixed") / "checkpoint"
    return directory, write(directory, MIXED, own_map(MIXED))


@pytest.fixture
def copy(mixed: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> Path:
    """Return a copy of the checkpoint for a test that damages it."""
    shutil.copytree(mixed[0], tmp_path / "checkpoint")
    broken: Path = tmp_path / "checkpoint"
    return broken


def empty() -> Llama:
    with torch.device("meta"):
        return Llama()


def relative(found: Tensor, right: Tensor) -> float:
    return float((found.double() - right).norm() / right.norm())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_llama_of_all_schemes_agrees_with_float64(
    mixed: tuple[Path, dict[str, Tensor]], dtype: torch.dtype
) -> None:
    directory, tensors = mixed
    model = MixedPrecisionLoader(directory, dtype=dtype).load(empty())
    found = {name: each for name, each in model.named_modules() if isinstance(each, MixedPrecisionLinear)}
    assert {name: layer.scheme for name, layer in found.items()} == dict(MIXED)
    with torch.no_grad():
        out = model(TOKENS)
    # Seven layers round activations to fp8 (2.6e-2 each) or int8; their part of the residual is small.
    assert relative(out, logits(tensors, MIXED, TOKENS)) < 2e-2


def test_the_logits_go_wrong_with_one_wrong_tensor(copy: Path, mixed: tuple[Path, dict[str, Tensor]]) -> None:
    """One scale that is wrong by a factor exceeds the bound of the test above."""
    name = "model.layers.1.mlp.down_proj.weight_scale_inv"
    change(copy, name, lambda tensor: tensor * 4)
    with torch.no_grad():
        out = MixedPrecisionLoader(copy).load(empty())(TOKENS)
    assert relative(out, logits(mixed[1], MIXED, TOKENS)) > 2e-2


class Counted:
    done = 0

    def advance(self, amount: int = 1) -> None:
        self.done += amount

    def note(self, message: str) -> None:
        raise AssertionError(message)


def test_the_observer_advances_for_every_layer(mixed: tuple[Path, dict[str, Tensor]]) -> None:
    observer = Counted()
    model = MixedPrecisionLoader(mixed[0], observer=observer).load(empty())
    assert observer.done == len(MIXED) + len([name for name, _ in model.named_parameters()])


def shard_of(directory: Path, name: str) -> Path:
    listed = json.loads((directory / "model.safetensors.index.json").read_text())["weight_map"]
    return directory / str(listed[name])


def change(directory: Path, name: str, how: Callable[[Tensor], Tensor]) -> None:
    shard = shard_of(directory, name)
    tensors = load_file(shard)
    tensors[name] = how(tensors[name]).contiguous()
    save_file(tensors, shard)


def drop(directory: Path, name: str) -> None:
    shard = shard_of(directory, name)
    tensors = load_file(shard)
    del tensors[name]
    save_file(tensors, shard)
    edit(directory / "model.safetensors.index.json", lambda index: index["weight_map"].pop(name))


def edit(path: Path, how: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    how(content)
    path.write_text(json.dumps(content))


def truncate(directory: Path) -> None:
    shard = directory / "model-00002-of-00003.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])


def cut_header(directory: Path) -> None:
    shard = directory / "model-00002-of-00003.safetensors"
    shard.write_bytes(shard.read_bytes()[:50])


def twice(directory: Path) -> None:
    name = "model.norm.weight"
    others = [path for path in sorted(directory.glob("*.safetensors")) if path != shard_of(directory, name)]
    save_file({**load_file(others[0]), name: torch.ones(256, dtype=torch.bfloat16)}, others[0])


def twin_keys(directory: Path) -> None:
    path = directory / "model.safetensors.index.json"
    first = '{"weight_map": {'
    path.write_text(path.read_text().replace(first, first + '"lm_head.weight": "another.safetensors", '))


def twin_header(directory: Path) -> None:
    shard = directory / "model-00001-of-00003.safetensors"
    content = shard.read_bytes()
    length = int.from_bytes(content[:8], "little")
    name = min(key for key in json.loads(content[8 : 8 + length]) if key != "__metadata__")
    entry = json.dumps({name: json.loads(content[8 : 8 + length])[name]})[1:-1]
    header = content[8 : 8 + length].rstrip().decode()[:-1] + "," + entry + "}"
    shard.write_bytes(len(header).to_bytes(8, "little") + header.encode() + content[8 + length :])


def outside(directory: Path) -> None:
    shutil.copy(directory / "model-00001-of-00003.safetensors", directory.parent / "evil.safetensors")
    moved = {"lm_head.weight": "../evil.safetensors"}
    edit(directory / "model.safetensors.index.json", lambda index: index["weight_map"].update(moved))


def linked(directory: Path) -> None:
    shard = directory / "model-00001-of-00003.safetensors"
    shutil.move(shard, directory.parent / "elsewhere.safetensors")
    shard.symlink_to(directory.parent / "elsewhere.safetensors")


def only_pickle(directory: Path) -> None:
    for path in [*directory.glob("*.safetensors"), directory / "model.safetensors.index.json"]:
        path.unlink()
    (directory / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")


def regroup(directory: Path) -> None:
    name = "model.layers.1.mlp.gate_proj"
    edit(directory / "config.json", lambda c: c["quantization_config"]["modules"][name].update(group_size=64))


def stray(directory: Path) -> None:
    shard = shard_of(directory, "model.norm.weight")
    save_file({"stray": torch.ones(1), **load_file(shard)}, shard)


def rename_scheme(directory: Path) -> None:
    modules = ("quantization_config", "modules")
    edit(directory / "config.json", lambda c: c[modules[0]][modules[1]]["lm_head"].update(scheme="fp4"))


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncate, r"model-00002.*: truncated: \d+ bytes instead of \d+"),
    "truncated-in-header": (cut_header, r"truncated, or not a safetensors file: 50 bytes"),
    "wrong-dtype": (
        lambda path: change(path, "model.layers.0.self_attn.q_proj.weight", lambda t: t.float()),
        r"q_proj.weight is float32, not float8_e4m3fn",
    ),
    "wrong-group-size": (
        regroup,
        r"gate_proj.qzeros has shape \[2, 64\], not \[4, 64\]; .*gate_proj.scales has shape \[2, 512\]",
    ),
    "missing-scale": (
        lambda path: drop(path, "model.layers.0.self_attn.k_proj.weight_scale"),
        r"k_proj.weight_scale is missing",
    ),
    "two-shards": (twice, r"model.norm.weight is in two shards"),
    "twin-keys": (twin_keys, r"index.json: duplicate key 'lm_head.weight'"),
    "twin-keys-in-a-header": (twin_header, r"the header is not valid: duplicate key '.*'"),
    "outside": (outside, r"'../evil.safetensors' points outside"),
    "link-outside": (linked, r"is a link that points outside"),
    "no-shard": (
        lambda path: (path / "model-00003-of-00003.safetensors").unlink(),
        r"00003.*: the shard is missing",
    ),
    "pickle": (only_pickle, r"pytorch_model.bin is a pickle, which is never read"),
    "no-config": (lambda path: (path / "config.json").unlink(), r"config.json: the file is missing"),
    "no-json": (lambda path: (path / "config.json").write_text("{"), r"config.json: Expecting"),
    "unexpected": (
        stray,
        r"stray is unexpected",
    ),
    "unknown-scheme": (
        rename_scheme,
        r"\(mixed\): scheme 'fp4' does not exist; use one of",
    ),
    "unknown-method": (
        lambda path: edit(
            path / "config.json", lambda c: c["quantization_config"].update(quant_method="exl2")
        ),
        r"quant_method 'exl2' is not supported",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_bad_checkpoint_is_one_error_and_nothing_is_loaded(copy: Path, fault: str) -> None:
    spoil, message = BROKEN[fault]
    spoil(copy)
    model = empty()
    with pytest.raises(CheckpointError, match=message) as caught:
        MixedPrecisionLoader(copy).load(model)
    assert "\n" not in str(caught.value)
    assert not any(isinstance(module, MixedPrecisionLinear) for module in model.modules())
    assert all(parameter.is_meta for parameter in model.parameters())


def test_all_faults_are_in_one_report(copy: Path) -> None:
    drop(copy, "model.layers.0.self_attn.k_proj.weight_scale")
    drop(copy, "model.norm.weight")
    change(copy, "model.layers.0.mlp.up_proj.scales", lambda tensor: tensor[:-1])
    with pytest.raises(CheckpointError) as caught:
        MixedPrecisionLoader(copy).load(empty())
    assert len(caught.value.faults) == 3


def test_a_layer_that_fails_late_leaves_the_model_alone(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All headers are valid, but the last layer cannot be loaded, for example because memory runs out."""
    load = MixedPrecisionLinear.load

    def fails(self: MixedPrecisionLinear, tensors: Any) -> None:
        if self.out_features == 384:
            raise MemoryError
        load(self, tensors)

    monkeypatch.setattr(MixedPrecisionLinear, "load", fails)
    model = empty()
    with pytest.raises(MemoryError):
        MixedPrecisionLoader(copy).load(model)
    assert all(parameter.is_meta for parameter in model.parameters())


def test_tied_embeddings_need_no_head(tmp_path: Path) -> None:
    plain = dict.fromkeys(LINEARS, Unquantized())
    write(tmp_path, plain, {"quant_method": "mixed", "modules": {}})
    drop(tmp_path, "lm_head.weight")
    edit(tmp_path / "config.json", lambda config: config.update(tie_word_embeddings=True))
    model = MixedPrecisionLoader(tmp_path).load(empty())
    assert torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)


def schemes_by(config: dict[str, Any]) -> dict[str, Scheme]:
    find = assignment(config)
    return {name: find(name).scheme for name in LINEARS}


def load_and_compare(directory: Path, schemes: dict[str, Scheme], tensors: dict[str, Tensor]) -> None:
    with torch.no_grad():
        out = MixedPrecisionLoader(directory).load(empty())(TOKENS)
    assert relative(out, logits(tensors, schemes, TOKENS)) < 2e-2


def test_dynamic_of_gptqmodel(tmp_path: Path) -> None:
    config = {
        "quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True,
        "dynamic": {
            r"-:.*\.v_proj": {},
            r"+:.*\.layers\.1\..*": {"bits": 8, "group_size": 64},
            r".*\.o_proj": {"bits": 8},
        },
    }  # fmt: skip
    schemes = schemes_by(config)
    assert schemes["model.layers.1.self_attn.v_proj"] == schemes["lm_head"] == Unquantized()
    assert schemes["model.layers.1.mlp.up_proj"] == Gptq(bits=8, group_size=64)
    assert schemes["model.layers.0.self_attn.o_proj"] == Gptq(bits=8)
    assert schemes["model.layers.0.mlp.up_proj"] == Gptq()
    load_and_compare(tmp_path, schemes, write(tmp_path, schemes, config))


@pytest.mark.parametrize("packing", ["auto_round:auto_gptq", "auto_round:auto_awq"])
def test_extra_config_of_auto_round(tmp_path: Path, packing: str) -> None:
    config = {
        "quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True, "packing_format": packing,
        "extra_config": {
            "model.layers.0.mlp.up_proj": {"bits": 16, "data_type": "float"},
            r"model\.layers\.1\.self_attn\..*": {"group_size": 64},
        },
    }  # fmt: skip
    schemes = schemes_by(config)
    base: type[Gptq | Awq] = Awq if "awq" in packing else Gptq
    assert type(schemes["model.layers.0.mlp.down_proj"]) is base
    assert schemes["model.layers.0.mlp.up_proj"] == schemes["lm_head"] == Unquantized()
    assert getattr(schemes["model.layers.1.self_attn.q_proj"], "group_size", None) == 64
    load_and_compare(tmp_path, schemes, write(tmp_path, schemes, config))


def test_quantized_layers_of_modelopt(tmp_path: Path) -> None:
    layers = {name: {"quant_algo": "FP8"} for name in LINEARS if "layers.0" in name}
    config = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    schemes = schemes_by(config)
    assert schemes["model.layers.0.mlp.up_proj"] == Fp8(activation="static")
    assert schemes["model.layers.1.mlp.up_proj"] == Unquantized()
    tensors = write(tmp_path, schemes, config)
    whole = json.loads((tmp_path / "config.json").read_text())
    inner = whole.pop("quantization_config")
    (tmp_path / "config.json").write_text(json.dumps(whole))
    inner.pop("quant_method")
    (tmp_path / "hf_quant_config.json").write_text(json.dumps({"quantization": inner}))
    load_and_compare(tmp_path, schemes, tensors)


def test_an_algorithm_that_no_scheme_holds_is_named() -> None:
    layers = {"model.layers.0.mlp.up_proj": {"quant_algo": "NVFP4"}}
    with pytest.raises(CheckpointError, match="up_proj: quant_algo 'NVFP4' is not supported"):
        assignment({"quant_method": "modelopt", "quantized_layers": layers})


def packed(_name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return GPTQ and block tensors in the layout of compressed-tensors."""
    if "qweight" in tensors:
        values = bit_packing.unpack(tensors["qweight"], 4, 0).T
        return {
            "weight_packed": bit_packing.pack(values, 4, 1),
            "weight_scale": tensors["scales"].T,
            "weight_shape": torch.tensor(values.shape),
        }
    if "weight_scale_inv" in tensors:
        return {"weight": tensors["weight"], "weight_scale": tensors["weight_scale_inv"]}
    return tensors


def test_config_groups_of_compressed_tensors(tmp_path: Path) -> None:
    float8 = {"num_bits": 8, "type": "float", "symmetric": True}
    int8 = {"num_bits": 8, "type": "int", "symmetric": True}
    token = {"strategy": "token", "dynamic": True}
    groups = {
        "attention": {
            "targets": [r"re:.*self_attn\..*"],
            "format": "float-quantized",
            "weights": {**float8, "strategy": "channel", "dynamic": False},
            "input_activations": {**float8, **token},
        },
        "block": {
            "targets": ["model.layers.1.mlp.down_proj"],
            "format": "float-quantized",
            "weights": {**float8, "strategy": "block", "block_structure": [128, 128], "dynamic": False},
            "input_activations": {**float8, "strategy": "group", "dynamic": True},
        },
        "integers": {
            "targets": [r"re:.*layers\.0\.mlp\.up_proj"],
            "format": "int-quantized",
            "weights": {**int8, "strategy": "channel", "dynamic": False},
            "input_activations": {**int8, **token},
        },
        "rest": {
            "targets": ["Linear"],
            "format": "pack-quantized",
            "weights": {
                "num_bits": 4,
                "type": "int",
                "symmetric": True,
                "strategy": "group",
                "group_size": 64,
            },
        },
    }
    config = {"quant_method": "compressed-tensors", "config_groups": groups, "ignore": ["lm_head"]}
    schemes = schemes_by(config)
    assert schemes["model.layers.0.self_attn.q_proj"] == Fp8(granularity="channel")
    assert schemes["model.layers.1.mlp.down_proj"] == Fp8(granularity="block")
    assert schemes["model.layers.0.mlp.up_proj"] == W8A8Int8()
    assert schemes["model.layers.0.mlp.gate_proj"] == Gptq(group_size=64)
    assert schemes["lm_head"] == Unquantized()
    write(tmp_path, schemes, config, rename=packed)
    own = write(tmp_path / "own", schemes, {"quant_method": "mixed", "modules": {}})
    load_and_compare(tmp_path, schemes, own)


def test_tensors_are_packed_as_compressed_tensors_defines() -> None:
    """By their definition, values plus 8 are packed along K in 4 bits each, the first in the lowest bits."""
    from compat.quant.checkpoint.compressed_tensors import translate
    from compat.quant.checkpoint.quantization_config import Assigned

    weight = torch.randn(16, 128)
    tensors = packed("x", pack(Gptq(group_size=64), weight))
    value = (int(tensors["weight_packed"][3, 2]) >> 4 * 5 & 15) - 8
    assigned = Assigned(scheme=Gptq(group_size=64), layout="compressed-packed")
    found = dequantize(assigned.scheme, translate(assigned, tensors))
    assert found[3, 21].item() == pytest.approx(value * float(tensors["weight_scale"][3, 0]))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"quant_method": "gptq", "bits": 3, "group_size": 128}, "bits is 3"),
        ({"quant_method": "gptq", "group_size": 128}, "'bits' is missing"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "checkpoint_format": "gptq_v2"}, "gptq_v2"),
        (
            {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemv"},
            "gemv",
        ),
        ({"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [64, 64]}, "64, 64"),
        (
            {"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": {"+:(": {}}},
            "dynamic|unterminated",
        ),
    ],
)
def test_a_configuration_that_is_not_supported_is_an_error(config: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        assignment(config)("model.layers.0.mlp.up_proj")
