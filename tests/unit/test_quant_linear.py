"""Test the layer on the reference back end against float64, its errors, and its parts on several ranks."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook

from compat.errors import SchemeUnavailable, UsageError
from compat.quant.backends import reference, torch_compile
from compat.quant.backends.package_layer import check_names, copy_borrowed
from compat.quant.linear import MixedPrecisionLinear
from compat.quant.packing.packers import dequantize, pack
from compat.quant.packing.sharding import Shard, cut
from compat.quant.schemes import Awq, BlockInt8, Fp8, Gptq, Scheme, Unquantized, W8A8Int8
from quant_cases import SCHEMES

IDS = [scheme.label for scheme in SCHEMES]

ACTIVATION_ERROR = {
    "fp8": 4e-2,  # e4m3: 2**-4 at most, about 2.6e-2 on average over a normal distribution
    "w8a8": 1.2e-2,  # a step is peak / 127, and the peak of 256 normal numbers lies near 3 sigma
    "block": 1.2e-2,
}
ROUNDING = {torch.float16: 2**-11, torch.bfloat16: 2**-8, torch.float32: 1e-6}
"""The rounding of the result; the error of float32 accumulation over 256 terms is far smaller."""


def relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm())


def seeded(request: pytest.FixtureRequest) -> torch.Generator:
    seed = torch.seed() % 2**32
    print(f"seed {seed} of {request.node.name}")
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
@pytest.mark.parametrize("dtype", list(ROUNDING), ids=str)
@pytest.mark.parametrize("bias", [False, True])
def test_the_reference_agrees_with_float64(
    request: pytest.FixtureRequest,
    scheme: Scheme,
    dtype: torch.dtype,
    bias: bool,  # noqa: FBT001
) -> None:
    source = seeded(request)
    weight = torch.randn(64, 256, generator=source)
    added = torch.randn(64, generator=source) if bias else None
    layer = MixedPrecisionLinear.from_float(scheme, weight, added, dtype=dtype)
    x = torch.randn(7, 3, 256, generator=source).to(dtype)
    out = layer(x)
    assert out.dtype == dtype
    assert out.shape == (7, 3, 64)
    stored = dequantize(scheme, dict(layer.named_buffers()), torch.float64)
    exact = x.double() @ stored.T + (0 if added is None else added.to(dtype).double())
    kind = next((bound for start, bound in ACTIVATION_ERROR.items() if scheme.label.startswith(start)), 0.0)
    static = 0.06 if scheme.label.endswith("static") else 0.0  # scale 1: small inputs are subnormal in e4m3
    assert relative(out, exact) <= kind + static + ROUNDING[dtype]


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
def test_a_row_does_not_depend_on_the_other_rows(scheme: Scheme) -> None:
    """Leading shapes, strides and the number of rows do not change the result."""
    layer = MixedPrecisionLinear.from_float(scheme, torch.randn(64, 256), dtype=torch.float32)
    x = torch.randn(6, 256)
    whole = layer(x)
    for view in (x[None], x.unflatten(0, (2, 3)), x[:, None], torch.stack([x, x], 2)[..., 0]):
        torch.testing.assert_close(layer(view).flatten(0, -2), whole, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(layer(x[2]), whole[2], rtol=1e-5, atol=1e-4)
    assert layer(x[:0]).shape == (0, 64)


def test_a_static_activation_is_clipped_at_its_scale() -> None:
    scheme = Fp8(activation="static")
    tensors = pack(scheme, torch.eye(16), input_scale=0.5)
    x = torch.full((1, 16), 1000.0)
    assert reference.forward(scheme, tensors, x).max() == pytest.approx(448 * 0.5)


def test_a_group_of_activations_has_its_own_scale() -> None:
    """A large value in one group of 128 inputs does not make the other groups less exact."""
    scheme = BlockInt8()
    x = torch.ones(1, 256)
    x[0, 0] = 1e4
    rounded = reference.activation(scheme, {}, x)
    assert rounded[0, 128:].tolist() == pytest.approx([1.0] * 128)
    assert rounded[0, 1].item() == 0  # 1 is less than half a step of 1e4 / 127


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
@pytest.mark.parametrize("kind", ["column", "row"])
def test_the_parts_make_the_whole(scheme: Scheme, kind: str) -> None:
    """Activations are not rounded here, since their scale per token depends on the inputs of a rank."""
    shape = (256, 512)
    tensors = pack(scheme, torch.randn(shape))
    if kind == "row" and getattr(scheme, "group_size", 0) == -1 and isinstance(scheme, Awq):
        with pytest.raises(UsageError, match="only after a multiple of 512"):
            cut(scheme, tensors, shape, Shard(kind="row", rank=0, size=2))
        return
    x = torch.randn(4, 512, dtype=torch.float64)
    whole = x @ dequantize(scheme, tensors, torch.float64).T
    parts = []
    for rank in range(2):
        shard = Shard(kind="column" if kind == "column" else "row", rank=rank, size=2)
        weight = dequantize(scheme, cut(scheme, tensors, shape, shard), torch.float64)
        assert tuple(weight.shape) == shard.features(*shape)
        parts.append((x if kind == "column" else x[:, 256 * rank : 256 * rank + 256]) @ weight.T)
    torch.testing.assert_close(torch.cat(parts, 1) if kind == "column" else parts[0] + parts[1], whole)


def test_a_part_that_begins_inside_a_block_is_refused() -> None:
    scheme = Fp8(granularity="block")
    with pytest.raises(UsageError, match="multiple of 128"):
        cut(scheme, pack(scheme, torch.randn(192, 128)), (192, 128), Shard(kind="column", rank=0, size=2))
    with pytest.raises(UsageError, match="cannot be divided"):
        Shard(kind="row", rank=0, size=2).features(8, 9)


RANKS = """
import sys, torch, torch.distributed as dist
from compat.quant.linear import MixedPrecisionLinear
from compat.quant.packing.packers import pack
from compat.quant.schemes import Gptq
from compat.quant.packing.sharding import Shard

rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
torch.manual_seed(5)
tensors = {**pack(Gptq(desc_act=True), torch.randn(64, 256)), "bias": torch.randn(64)}
x = torch.randn(3, 256)
def made(**options):
    layer = MixedPrecisionLinear(Gptq(desc_act=True), 256, 64, bias=True, dtype=torch.float32, **options)
    layer.load(tensors)
    return layer
whole = made()(x)
row = made(parallel="row", shard=Shard(kind="row", rank=rank, size=2))(x[:, 128 * rank:128 * rank + 128])
torch.testing.assert_close(row, whole, rtol=1e-5, atol=1e-4)
column = made(parallel="column", shard=Shard(kind="column", rank=rank, size=2))(x)
torch.testing.assert_close(column, whole[:, 32 * rank:32 * rank + 32], rtol=1e-5, atol=1e-4)
print("agreed")
"""


def test_two_ranks_agree_with_one(tmp_path: Path) -> None:
    """Two processes exchange their parts over gloo."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", RANKS, str(rank), str(tmp_path / "ranks")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for child in children:
            out, err = child.communicate(timeout=400)
            assert out == "agreed\n", err
    finally:
        for child in children:
            child.kill()


def test_a_layer_is_used_and_filled_in_order() -> None:
    layer = MixedPrecisionLinear(W8A8Int8(), 16, 8, bias=True)
    with pytest.raises(UsageError, match="no weights yet; call load first"):
        layer(torch.zeros(1, 16))
    tensors = pack(W8A8Int8(), torch.randn(8, 16))
    with pytest.raises(UsageError, match="bias is missing"):
        layer.load(tensors)
    layer.load({**tensors, "bias": torch.zeros(8)})
    with pytest.raises(UsageError, match=r"built for torch\.bfloat16"):
        layer(torch.zeros(1, 16))
    with pytest.raises(UsageError, match="already loaded"):
        layer.load(tensors)
    assert (layer.method, layer.kernel) == ("reference", "torch.matmul")
    assert "w8a8-int8" in repr(layer)


def test_invalid_arguments_are_errors_when_a_layer_is_built() -> None:
    with pytest.raises(UsageError, match="in_features is 100"):
        MixedPrecisionLinear(Gptq(), 100, 64)
    with pytest.raises(
        UsageError, match="backend 'triton' does not exist; use one of reference, sglang, vllm"
    ):
        MixedPrecisionLinear(Unquantized(), 8, 8, backend="triton")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"needs a `shard` of the same kind"):
        MixedPrecisionLinear(Unquantized(), 8, 8, parallel="row")


@pytest.mark.parametrize("package", ["sglang", "vllm"])
def test_a_package_that_is_not_installed_is_a_diagnosis(package: str) -> None:
    """The unit tests run where neither package is installed, so a layer on them is refused."""
    with pytest.raises(SchemeUnavailable, match=f"{package} is not installed") as caught:
        MixedPrecisionLinear(Gptq(), 128, 64, backend=package)  # type: ignore[arg-type]
    assert caught.value.diagnosis.cause == "package_missing"
    assert caught.value.diagnosis.fix.command == f"pip install {package}"


def test_a_layer_copies_parameters_that_its_package_only_borrowed() -> None:
    """A view by address alone, as compiled code may return it, is invalid once its tensor is freed."""
    layer = torch.nn.Module()
    before = torch.arange(6.0)
    address = (ctypes.c_float * 6).from_address(before.data_ptr())
    layer.borrowed = torch.nn.Parameter(torch.frombuffer(address, dtype=torch.float32), requires_grad=False)
    layer.shared = torch.nn.Parameter(before.view(2, 3), requires_grad=False)
    copy_borrowed(layer, {"borrowed": before, "shared": before})
    before.zero_()
    assert layer.borrowed.tolist() == [0, 1, 2, 3, 4, 5]
    assert layer.shared.data_ptr() == before.data_ptr()


def test_torch_compile_calls_an_opaque_function_without_tracing_it() -> None:
    calls = []

    def run(x: torch.Tensor) -> torch.Tensor:
        calls.append(x.tolist())  # a graph cannot contain this
        return torch.cat([x, x.sin()], 1)

    hidden = torch_compile.opaque(run, 16)
    x = torch.randn(3, 8)
    right = torch.cat([x, x.sin()], 1) + 1
    torch.testing.assert_close(hidden(x) + 1, right)
    compiled = torch.compile(lambda inputs: hidden(inputs) + 1, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), right)
    assert calls == [x.tolist()] * 2


def test_a_plain_call_is_short_and_hooks_are_still_called() -> None:
    layer = MixedPrecisionLinear.from_float(Gptq(), torch.randn(64, 256))
    x = torch.randn(3, 256, dtype=torch.bfloat16)
    right = layer(x)
    seen: list[str] = []
    for register, name in (
        (layer.register_forward_hook, "hook"),
        (layer.register_forward_pre_hook, "pre-hook"),
        (register_module_forward_hook, "hook of all"),
    ):
        handle = register(lambda *_args, name=name: seen.append(name))
        torch.testing.assert_close(layer(x), right)
        handle.remove()
    assert seen == ["hook", "pre-hook", "hook of all"]
    object.__setattr__(layer, "forward", None)  # a plain call does not use it
    torch.testing.assert_close(layer(x), right)


def test_torch_compile_sees_through_a_layer() -> None:
    layer = MixedPrecisionLinear.from_float(Gptq(), torch.randn(64, 256))
    x = torch.randn(3, 256, dtype=torch.bfloat16)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), layer(x))
    torch.testing.assert_close(compiled(x[None]), layer(x)[None])


@pytest.mark.parametrize("scheme", [Gptq(), Gptq(group_size=-1), Gptq(group_size=32, sym=False)])
def test_a_layer_without_g_idx_accepts_groups_in_order(scheme: Gptq) -> None:
    """Since 0.30, vllm's GPTQ layers have no `g_idx`."""
    tensors = pack(scheme, torch.randn(64, 256), dtype=torch.float16)
    parameters = {name: tensor for name, tensor in tensors.items() if name != "g_idx"}
    check_names(parameters, tensors)


def test_a_tensor_without_a_parameter_is_an_error() -> None:
    tensors = pack(Gptq(desc_act=True), torch.randn(64, 256), dtype=torch.float16)
    parameters = {name: tensor for name, tensor in tensors.items() if name != "g_idx"}
    with pytest.raises(ValueError, match=r"the layer has .*, the checkpoint .*g_idx"):
        check_names(parameters, tensors)
    tensors["g_idx"] = torch.arange(256, dtype=torch.int32) // 128
    check_names(parameters, tensors)
    with pytest.raises(ValueError, match="bias"):
        check_names(parameters, {**tensors, "bias": torch.zeros(64)})
    with pytest.raises(ValueError, match="scales"):
        check_names({**parameters, "other": tensors["scales"]}, tensors)
