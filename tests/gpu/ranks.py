"""Compare parallel layers with float64, in one of the two processes that `test_gpu_parallel.py` starts."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from gpu_cases import ideal_bound, uneven

from compat.errors import CompatError, SchemeUnavailable
from compat.quant.backends import process_setup, reference
from compat.quant.backends.package_layer import Parallel
from compat.quant.linear import MixedPrecisionLinear
from compat.quant.loader import MixedPrecisionLoader
from compat.quant.packing.packers import pack
from compat.quant.schemes import Awq, BlockInt8, Fp8, Gptq, Scheme, Unquantized, W8A8Int8
from quant_llama import MIXED, PARALLEL, Llama, logits, own_map, that_runs, write

SCHEMES: tuple[Scheme, ...] = (
    Unquantized(),
    Fp8(granularity="tensor"),
    Fp8(granularity="channel"),
    Fp8(granularity="block"),
    Gptq(),
    Gptq(desc_act=True),
    Awq(),
    BlockInt8(),
    W8A8Int8(),
)
LLAMA_BOUND = 3e-2
"""The bound for the logits, the same as on one GPU."""
KINDS: tuple[Parallel, ...] = ("column", "row")
N, K, ROWS, SIZE = 1024, 1024, 17, 2


def main(back_end: Any) -> list[dict[str, Any]]:
    """Return the error of this rank relative to float64, for each scheme and kind of parallel layer."""
    rank = int(os.environ["RANK"])
    torch.cuda.set_device(rank)
    found = []
    for scheme in SCHEMES:
        for kind in KINDS:
            torch.manual_seed(int(sys.argv[2]))  # both ranks need the same numbers
            tensors = pack(scheme, uneven(N, K), dtype=torch.bfloat16)
            tensors["bias"] = torch.randn(N).to(torch.bfloat16)
            x = torch.randn(ROWS, K).to(torch.bfloat16)
            entry: dict[str, Any] = {"scheme": scheme.label, "parallel": kind, "rank": rank}
            entry["bound"] = ideal_bound(scheme, back_end, torch.bfloat16)
            try:
                layer = MixedPrecisionLinear(
                    scheme,
                    K,
                    N,
                    bias=True,
                    backend=back_end,
                    device=f"cuda:{rank}",
                    parallel=kind,
                )
                layer.load(tensors)
            except SchemeUnavailable as error:
                refusal = {"reason": str(error), "evidence": list(error.diagnosis.evidence)}
                found.append({**entry, "outcome": "refused", **refusal})
                continue
            whole = dict(tensors)
            right = reference.forward(
                scheme, whole, x, whole.pop("bias"), accumulate=torch.float64, quantize_activations=False
            )
            width = (K if kind == "row" else N) // SIZE
            if kind == "row":
                x = x[:, rank * width : (rank + 1) * width]
            else:
                right = right[:, rank * width : (rank + 1) * width]
            out = layer(x.to(f"cuda:{rank}")).cpu().double()
            off = float((out - right).norm() / right.norm())
            found.append(
                {**entry, "outcome": "ran", "method": layer.method, "kernel": layer.kernel, "error": off}
            )
    return found


def that_runs_divided(back_end: Any) -> dict[str, Scheme]:
    """Return the small Llama's schemes for two ranks; vllm cannot divide reordered GPTQ inputs over ranks."""
    found = that_runs(MIXED, back_end, str(process_setup.installed(back_end)))
    for name, scheme in found.items():
        if back_end == "vllm" and "self_attn.o_proj" in name and isinstance(scheme, Gptq) and scheme.desc_act:
            found[name] = Gptq()
    return found


def llama(back_end: Any) -> dict[str, Any]:
    """Return the error of the small Llama's logits relative to float64, with its layers on two ranks."""
    rank = int(os.environ["RANK"])
    entry: dict[str, Any] = {"scheme": "llama", "parallel": "both", "rank": rank, "bound": LLAMA_BOUND}
    schemes = that_runs_divided(back_end)
    with tempfile.TemporaryDirectory() as made:
        tensors = write(Path(made) / "checkpoint", schemes, own_map(schemes), seed=int(sys.argv[2]))
        tokens = torch.arange(24).reshape(2, 12) * 7 % 384
        right = logits(tensors, schemes, tokens)
        with torch.device("meta"):
            model = Llama()
        try:
            MixedPrecisionLoader(
                Path(made) / "checkpoint",
                backend=back_end,
                dtype=torch.float16,
                device=f"cuda:{rank}",
                parallel=PARALLEL,
            ).load(model)
        except CompatError as error:
            return {**entry, "outcome": "refused", "reason": str(error)}
    with torch.no_grad():
        out = model(tokens.to(f"cuda:{rank}")).cpu().double()
    return {**entry, "outcome": "ran", "error": float((out - right).norm() / right.norm())}


if __name__ == "__main__":
    print("RESULT " + json.dumps([*main(sys.argv[1]), llama(sys.argv[1])]), flush=True)
