"""Test that the logits of a small Llama whose layers mix all schemes agree with float64 on a back end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu_cases import cases, refused_in_advance

from compat.errors import SchemeUnavailable
from compat.quant.backends import process_setup
from compat.quant.backends.adapters import candidates
from compat.quant.backends.required_symbols import Package
from compat.quant.linear import MixedPrecisionLinear
from compat.quant.loader import MixedPrecisionLoader
from compat.quant.schemes import Scheme, W8A8Int8
from quant_llama import MIXED, Llama, logits, own_map, that_runs, write

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore")]

TOKENS = torch.arange(24).reshape(2, 12) * 7 % 384


def that_dtype(back_end: Package, scheme: Scheme, dtype: torch.dtype) -> Scheme:
    """Return the scheme, or W8A8 where the release runs the scheme in another dtype only."""
    first = next(case for case in cases() if case.back_end == back_end and case.default)
    adapters = candidates(back_end, str(process_setup.installed(back_end)), scheme)
    case = replace(first, scheme=scheme, quantization=adapters[0].name, dtype=dtype)
    return W8A8Int8() if refused_in_advance(case) else scheme


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_a_llama_of_all_schemes_agrees_with_float64(
    back_end: Package,
    dtype: torch.dtype,
    record: dict[str, Any],
    tmp_path: Path,
) -> None:
    schemes = that_runs(MIXED, back_end, str(process_setup.installed(back_end)))
    schemes = {name: that_dtype(back_end, scheme, dtype) for name, scheme in schemes.items()}
    tensors = write(tmp_path / "checkpoint", schemes, own_map(schemes), seed=record["seed"])
    with torch.device("meta"):
        model = Llama()
    record.update(back_end=back_end, dtype=str(dtype).removeprefix("torch."))
    try:
        MixedPrecisionLoader(tmp_path / "checkpoint", backend=back_end, dtype=dtype).load(model)
    except SchemeUnavailable as refused:
        record.update(outcome="refused", reason=str(refused), evidence=list(refused.diagnosis.evidence))
        raise
    layers = {name: each for name, each in model.named_modules() if isinstance(each, MixedPrecisionLinear)}
    record["layers"] = {
        name: f"{layer.scheme.label}: {layer.method}, {layer.kernel}" for name, layer in layers.items()
    }
    with torch.no_grad():
        out = model(TOKENS.cuda()).cpu().double()
    right = logits(tensors, schemes, TOKENS)
    record["error"] = float((out - right).norm() / right.norm())
    assert torch.isfinite(out).all()
    assert (
        record["error"] < 3e-2
    )  # 2e-2 on the reference back end; bfloat16 rounds between all operations here
