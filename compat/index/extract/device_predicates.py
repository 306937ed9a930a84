"""Evaluate device and platform tests of sglang and vllm by the name of the predicate.

Only vocabulary lives here: `is_cuda()` asks for CUDA whatever module defines it this release. Functions whose
body can be read are evaluated from it first; this table is for the leaves and for bodies that are not one
expression.
"""

import re

_CUDA = frozenset({"is_cuda", "is_cuda_alike", "cuda.is_available", "is_cuda_available"})
_OTHER_DEVICES = frozenset(
    {
        "is_hip", "is_rocm", "is_npu", "is_xpu", "is_hpu", "is_tpu", "is_musa", "is_mps", "is_neuron",
        "is_cpu", "npu.is_available", "xpu.is_available", "hpu.is_available", "musa.is_available",
        "mps.is_available", "is_hpu_available", "is_xpu_available",
    }
)  # fmt: skip
"""Predicates of back ends other than CUDA. The indexed Linux x86-64 wheels are CUDA builds."""

_CALL = re.compile(r"(?:^|\.)((?:\w+\.)?\w+)\(\)$")


def known_truth(text: str, *, cuda: bool | None) -> bool | None:
    """Return the value of a test such as `torch.cuda.is_available()` on Linux with a CUDA build, or None.

    Args:
        text: the test, with fully qualified names.
        cuda: whether there is a CUDA device.
    """
    match text:
        case "torch.version.cuda" | "torch.version.cuda is not None":
            return True
        case "torch.version.hip" | "torch.version.hip is not None" | "torch.version.cuda is None":
            return False
        case "torch.version.hip is None":
            return True
    call = _CALL.search(text)
    if call is None:
        return None
    names = {call[1], call[1].rpartition(".")[2]}
    if names & _CUDA:
        return cuda
    return False if names & _OTHER_DEVICES else None
