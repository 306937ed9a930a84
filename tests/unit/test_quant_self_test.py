"""Test the self-test that every layer of a package must pass when it is loaded."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest
import torch

from compat.errors import SchemeUnavailable
from compat.quant.backends import reference, self_test
from compat.quant.backends.package_layer import LayerSpec
from compat.quant.backends.self_test import slices, verify
from compat.quant.packing.packers import pack
from compat.quant.packing.sharding import Shard, cut
from compat.quant.schemes import Fp8, Gptq, Scheme
from quant_cases import SCHEMES

IDS = [scheme.label for scheme in SCHEMES]


def spec(scheme: Scheme) -> LayerSpec:
    return LayerSpec(
        package="vllm",
        scheme=scheme,
        out_features=64,
        in_features=256,
        bias=False,
        dtype=torch.float16,
        device=torch.device("cpu"),
        prefix="layer",
        parallel=None,
        quantization=None,
    )


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
def test_a_kernel_that_computes_the_scheme_passes_its_self_test(scheme: Scheme) -> None:
    tensors = pack(scheme, torch.randn(64, 256))
    verify(lambda x: reference.forward(scheme, tensors, x).half(), tensors, spec(scheme))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda right: right * 1.2, "off by 0.2"),
        (lambda right: torch.full_like(right, torch.nan), "off by nan"),
        (lambda right: right.flip(-1), "off by 1"),
        (lambda right: right if len(right) == 1 else torch.zeros_like(right), "with 64 rows it is off by 1"),
    ],
    ids=["scale", "unwritten", "order", "many-rows"],
)
def test_a_kernel_with_a_wrong_result_is_refused(
    spoil: Callable[[torch.Tensor], torch.Tensor], message: str
) -> None:
    tensors = pack(Gptq(), torch.randn(64, 256))
    with pytest.raises(SchemeUnavailable, match=message) as caught:
        verify(lambda x: spoil(reference.forward(Gptq(), tensors, x)), tensors, spec(Gptq()))
    assert "computes a wrong result" in caught.value.diagnosis.evidence[0]


def test_a_kernel_that_refuses_is_quoted() -> None:
    def refuses(_x: torch.Tensor) -> torch.Tensor:
        raise AssertionError("K must be a multiple of 128\nand more")

    with pytest.raises(SchemeUnavailable, match=r"AssertionError: K must be a multiple of 128$") as caught:
        verify(refuses, pack(Gptq(), torch.randn(64, 256)), spec(Gptq()))
    assert caught.value.diagnosis.package == "vllm"


@pytest.mark.parametrize("kind", ["column", "row"])
def test_a_rank_tests_its_own_part(kind: Literal["column", "row"]) -> None:
    """When reordered inputs are divided over ranks, each rank needs the scales of all groups."""
    scheme = Gptq(group_size=32, desc_act=True)
    weight = torch.randn(64, 256) * torch.exp(torch.randn(8)).repeat_interleave(32)
    tensors = {**pack(scheme, weight), "bias": torch.ones(64)}
    shard = Shard(kind=kind, rank=1, size=2)
    part = cut(scheme, tensors, (64, 256), shard)
    bias = part.pop("bias") if kind == "column" else part.pop("bias") * 0
    verify(lambda x: reference.forward(scheme, part, x, bias).half(), tensors, spec(scheme), shard)
    confused = {**part, "scales": part["scales"].roll(1, 0)}
    with pytest.raises(SchemeUnavailable, match=f"part 2 of 2, {kind} parallel"):
        verify(lambda x: reference.forward(scheme, confused, x, bias), tensors, spec(scheme), shard)


def test_mixed_up_scales_of_groups_are_found() -> None:
    """Random weights of one size have nearly equal scales, so a wrong one is off by a few hundredths only."""
    tensors = pack(Gptq(group_size=32), torch.randn(64, 256))
    scales = tensors["scales"].clone()
    scales[:, :3] = scales[:, :3].roll(1, 0)  # 0.03 to 0.08: too little for the bound of rounded activations
    confused = {**tensors, "scales": scales}
    with pytest.raises(SchemeUnavailable, match=r"off by 0\.\d+$"):
        verify(
            lambda x: reference.forward(Gptq(group_size=32), confused, x),
            tensors,
            spec(Gptq(group_size=32)),
        )


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
def test_a_large_layer_is_tested_some_outputs_at_a_time(
    scheme: Scheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_test, "WEIGHTS", 16 * 256)
    tensors = {**pack(scheme, torch.randn(512, 256)), "bias": torch.randn(512)}
    parts = list(slices(scheme, tensors, (512, 256)))
    assert len(parts) == (4 if scheme.label.endswith("block-dynamic") or scheme.kind == "block_int8" else 32)
    assert torch.equal(torch.cat([part["bias"] for part in parts]), tensors["bias"])
    large = replace(spec(scheme), out_features=512, bias=True)
    bias = tensors["bias"]
    weights = {name: tensor for name, tensor in tensors.items() if name != "bias"}
    verify(lambda x: reference.forward(scheme, weights, x, bias).half(), tensors, large)

    def last_is_wrong(x: torch.Tensor) -> torch.Tensor:
        out = reference.forward(scheme, weights, x, bias)
        out[:, -16:] = 0
        return out

    with pytest.raises(SchemeUnavailable, match="computes a wrong result"):
        verify(last_is_wrong, tensors, large)


def test_a_layer_that_cannot_be_cut_is_tested_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "WEIGHTS", 1)
    scheme = Fp8(granularity="block")  # blocks of 128, and 200 outputs
    tensors = pack(scheme, torch.randn(200, 256))
    assert [part["weight"].shape for part in slices(scheme, tensors, (200, 256))] == [(200, 256)]
