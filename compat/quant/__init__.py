"""Quantized linear layers on the kernels of sglang or vllm: schemes, packers, a layer, a checkpoint loader.

`compat.quant.schemes`, the table of adapters and the readers of `quantization_config` work without torch;
everything else needs `compat[quant]`.
"""
