"""Test that schemes are plain values without torch, and their shapes, errors and labels."""

import subprocess
import sys
from typing import Any

import pytest

from compat.errors import UsageError
from compat.quant.schemes import KINDS, Awq, BlockInt8, Fp8, Gptq, Scheme, W8A8Int8
from quant_cases import SCHEMES


def shapes(scheme: Scheme, out_features: int, in_features: int) -> dict[str, tuple[int, ...]]:
    return {spec.name: spec.shape for spec in scheme.tensors(out_features, in_features)}


def test_schemes_do_not_import_torch() -> None:
    code = "import compat.quant.schemes, compat.quant.backends.adapters, sys; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"


def test_the_shapes_of_gptq_are_those_of_its_checkpoints() -> None:
    """The first shapes are those of a projection of 11008 x 4096 in a Llama-2-7B in GPTQ."""
    assert shapes(Gptq(), 11008, 4096) == {
        "qweight": (512, 11008),
        "qzeros": (32, 1376),
        "scales": (32, 11008),
        "g_idx": (4096,),
    }
    assert shapes(Gptq(bits=8, group_size=-1), 64, 128) == {
        "qweight": (32, 64),
        "qzeros": (1, 16),
        "scales": (1, 64),
        "g_idx": (128,),
    }


def test_the_shapes_of_awq_are_those_of_its_checkpoints() -> None:
    assert shapes(Awq(), 11008, 4096) == {
        "qweight": (4096, 1376),
        "qzeros": (32, 1376),
        "scales": (32, 11008),
    }


def test_a_size_that_is_not_a_multiple_of_the_block_has_one_more_block() -> None:
    for scheme in (Fp8(granularity="block"), BlockInt8()):
        assert shapes(scheme, 576, 7168)["weight_scale_inv"] == (5, 56)  # kv_a_proj of DeepSeek-V3


def test_only_a_static_activation_has_a_scale() -> None:
    assert "input_scale" in shapes(Fp8(activation="static"), 8, 8)
    assert "input_scale" not in shapes(Fp8(), 8, 8)
    assert shapes(W8A8Int8(), 8, 16) == {"weight": (8, 16), "weight_scale": (8, 1)}


def test_every_value_has_a_label_of_its_own() -> None:
    assert len({scheme.label for scheme in SCHEMES}) == len(set(SCHEMES)) == len(SCHEMES)
    assert {type(scheme) for scheme in SCHEMES} == set(KINDS.values())


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Gptq, {"bits": 3}, "bits is 3"),
        (Gptq, {"group_size": 0}, "group_size 0"),
        (Gptq, {"group_size": 12}, "multiple of 8"),
        (Gptq, {"group_size": "128"}, "is not an integer; use -1 or a positive multiple of 8"),
        (Gptq, {"group_size": True}, "is not an integer; use -1 or a positive multiple of 8"),
        (Awq, {"bits": 8}, "bits is 8"),
        (Awq, {"group_size": -2}, "group_size -2"),
        (Fp8, {"granularity": "row"}, "'tensor', 'channel', 'block'"),
        (Fp8, {"granularity": "block", "activation": "static"}, "no static"),
    ],
)
def test_a_value_that_no_format_has_is_refused(
    kind: type[Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        kind(**settings)


@pytest.mark.parametrize(
    ("scheme", "shape", "message"),
    [
        (Gptq(), (64, 100), "in_features is 100"),
        (Gptq(), (60, 128), "out_features is 60"),
        (Awq(), (60, 128), "out_features is 60"),
        (Awq(group_size=64), (64, 96), "in_features is 96, which is not a positive multiple of 64"),
        (Gptq(group_size=-1), (64, 0), "in_features is 0"),
    ],
)
def test_a_weight_that_the_format_cannot_hold_is_refused(
    scheme: Scheme, shape: tuple[int, int], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        scheme.tensors(*shape)
