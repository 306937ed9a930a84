"""What the configuration class of each quantization method reads, for a checkpoint with one scheme."""

from collections.abc import Mapping
from typing import Any

from compat.quant.schemes import Awq, Fp8, Gptq, Scheme

Settings = Mapping[str, Any]
"""The `quantization_config` that a package's configuration class reads, for a checkpoint with one scheme."""


def fp8(scheme: Fp8, _prefix: str) -> Settings:
    """Return the settings of `Fp8Config`."""
    blocks = {"weight_block_size": [128, 128]} if scheme.granularity == "block" else {}
    return {"quant_method": "fp8", "activation_scheme": scheme.activation, **blocks}


def compressed_tensors(scheme: Scheme, _prefix: str) -> Settings:
    """Return the settings of `CompressedTensorsConfig`: FP8 by channel, or INT8 by channel and token."""
    static = isinstance(scheme, Fp8) and scheme.activation == "static"
    kind, form = ("float", "float-quantized") if isinstance(scheme, Fp8) else ("int", "int-quantized")
    common = {"num_bits": 8, "type": kind, "symmetric": True}
    weights = {**common, "strategy": "channel", "dynamic": False}
    inputs = {**common, "strategy": "tensor" if static else "token", "dynamic": not static}
    group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs, "format": form}
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": [],
    }


def gptq(scheme: Gptq, prefix: str) -> Settings:
    """Return the settings of the GPTQ classes for one layer, whose name is `prefix`."""
    return {
        "quant_method": "gptq",
        "bits": scheme.bits,
        "group_size": scheme.group_size,
        "desc_act": scheme.desc_act,
        "sym": scheme.sym,
        "lm_head": False,
        # Without this key vllm (seen in 0.23.0) treats every layer as unquantized; its own loader derives the
        # key from the checkpoint.
        "modules_in_block_to_quantize": [prefix],
    }


def awq(scheme: Awq, _prefix: str) -> Settings:
    """Return the settings of the AWQ classes."""
    return {
        "quant_method": "awq",
        "bits": scheme.bits,
        "group_size": scheme.group_size,
        "zero_point": scheme.zero_point,
        "version": "gemm",
    }


def w8a8_fp8(_scheme: Scheme, _prefix: str) -> Settings:
    """Return the settings of `W8A8Fp8Config`."""
    return {"quant_method": "w8a8_fp8"}


def block_int8(_scheme: Scheme, _prefix: str) -> Settings:
    """Return the settings of `BlockInt8Config`."""
    return {
        "quant_method": "blockwise_int8",
        "activation_scheme": "dynamic",
        "weight_block_size": [128, 128],
    }


def w8a8_int8(_scheme: Scheme, _prefix: str) -> Settings:
    """Return the settings of `W8A8Int8Config`."""
    return {"quant_method": "w8a8_int8", "is_dynamic": True}
