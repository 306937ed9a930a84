"""A small Llama in plain torch, and its checkpoints with random weights in any mix of schemes."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from compat.quant.backends.adapters import candidates
from compat.quant.backends.required_symbols import Package
from compat.quant.packing.packers import pack
from compat.quant.schemes import Awq, BlockInt8, Fp8, Gptq, Scheme, Unquantized, W8A8Int8

SIZES: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 384,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
}

MIXED: Mapping[str, Scheme] = {
    "model.layers.0.self_attn.q_proj": Fp8(granularity="tensor", activation="static"),
    "model.layers.0.self_attn.k_proj": Fp8(granularity="channel"),
    "model.layers.0.self_attn.v_proj": Unquantized(),
    "model.layers.0.self_attn.o_proj": Gptq(desc_act=True),
    "model.layers.0.mlp.gate_proj": Gptq(bits=8),
    "model.layers.0.mlp.up_proj": Awq(group_size=64),
    "model.layers.0.mlp.down_proj": Fp8(granularity="block"),
    "model.layers.1.self_attn.q_proj": W8A8Int8(),
    "model.layers.1.self_attn.k_proj": Awq(),
    "model.layers.1.self_attn.v_proj": Gptq(group_size=-1),
    "model.layers.1.self_attn.o_proj": Fp8(),
    "model.layers.1.mlp.gate_proj": Gptq(),
    "model.layers.1.mlp.up_proj": W8A8Int8(),
    "model.layers.1.mlp.down_proj": BlockInt8(),
    "lm_head": Unquantized(),
}
"""A scheme for each layer, covering all schemes; `that_runs` replaces those that a release cannot run."""


class Norm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return scaled.to(x.dtype) * self.weight


class Attention(nn.Module):
    def __init__(self, c: Mapping[str, Any]) -> None:
        super().__init__()
        self.heads, self.kv = c["num_attention_heads"], c["num_key_value_heads"]
        self.size, self.theta = c["hidden_size"] // self.heads, c["rope_theta"]
        self.q_proj = nn.Linear(c["hidden_size"], self.heads * self.size, bias=False)
        self.k_proj = nn.Linear(c["hidden_size"], self.kv * self.size, bias=False)
        self.v_proj = nn.Linear(c["hidden_size"], self.kv * self.size, bias=True)
        self.o_proj = nn.Linear(self.heads * self.size, c["hidden_size"], bias=False)

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        q, k, v = (
            projection(x).unflatten(-1, (-1, self.size)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = (self.rotated(part, length) for part in (q, k))
        k, v = (part.repeat_interleave(self.heads // self.kv, 1) for part in (k, v))
        with sdpa_kernel(SDPBackend.MATH):  # no library of attention kernels needs to be there
            out = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(out.transpose(1, 2).flatten(2))

    def rotated(self, x: Tensor, length: int) -> Tensor:
        half = self.size // 2
        frequency = self.theta ** (-torch.arange(half, device=x.device) / half)
        angle = torch.arange(length, device=x.device)[:, None] * frequency
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Mlp(nn.Module):
    def __init__(self, c: Mapping[str, Any]) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(c["hidden_size"], c["intermediate_size"], bias=False)
        self.up_proj = nn.Linear(c["hidden_size"], c["intermediate_size"], bias=False)
        self.down_proj = nn.Linear(c["intermediate_size"], c["hidden_size"], bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, c: Mapping[str, Any]) -> None:
        super().__init__()
        self.self_attn, self.mlp = Attention(c), Mlp(c)
        self.input_layernorm = Norm(c["hidden_size"], c["rms_norm_eps"])
        self.post_attention_layernorm = Norm(c["hidden_size"], c["rms_norm_eps"])

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, c: Mapping[str, Any]) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Block(c) for _ in range(c["num_hidden_layers"]))
        self.norm = Norm(c["hidden_size"], c["rms_norm_eps"])


class Llama(nn.Module):
    """A Llama whose modules have the names of `LlamaForCausalLM` checkpoints."""

    def __init__(self, c: Mapping[str, Any] = SIZES) -> None:
        super().__init__()
        self.model = Body(c)
        self.lm_head = nn.Linear(c["hidden_size"], c["vocab_size"], bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            x = layer(x)
        return self.lm_head(self.model.norm(x))


def that_runs(schemes: Mapping[str, Scheme], package: Package, version: str) -> dict[str, Scheme]:
    """Return the schemes, with each that the release cannot run replaced by one that it can."""
    return {
        name: scheme if candidates(package, version, scheme) else _replacement(scheme)
        for name, scheme in schemes.items()
    }


def _replacement(scheme: Scheme) -> Scheme:
    return dataclasses.replace(scheme, desc_act=False) if isinstance(scheme, Gptq) else W8A8Int8()


def own_map(schemes: Mapping[str, Scheme]) -> dict[str, Any]:
    """Return a `quantization_config` in this project's own form for the schemes."""
    modules = {name: {"scheme": scheme.kind, **_settings(scheme)} for name, scheme in schemes.items()}
    return {"quant_method": "mixed", "modules": modules}


def _settings(scheme: Any) -> dict[str, Any]:
    return dataclasses.asdict(scheme)


def write(
    directory: Path,
    schemes: Mapping[str, Scheme],
    config: Mapping[str, Any],
    *,
    seed: int = 0,
    rename: Callable[[str, dict[str, Tensor]], dict[str, Tensor]] = lambda _name, tensors: tensors,
    shards: int = 3,
) -> dict[str, Tensor]:
    """Write a checkpoint of the small Llama, and return its tensors.

    Args:
        directory: the folder to create.
        schemes: from the names of the linear layers to their schemes.
        config: the `quantization_config`.
        seed: the seed of the weights.
        rename: from the name of a layer and its tensors to the tensors that a format stores.
        shards: the number of files.
    """
    torch.manual_seed(seed)
    model, tensors = Llama(), {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            packed = pack(schemes[name], module.weight.detach(), dtype=torch.bfloat16, input_scale=0.03)
            if module.bias is not None:
                packed["bias"] = module.bias.detach().to(torch.bfloat16)
            tensors.update({f"{name}.{last}": tensor for last, tensor in rename(name, packed).items()})
    for name, parameter in model.named_parameters():
        if "norm" in name or "embed" in name:
            tensors[name] = parameter.detach().to(torch.bfloat16)
    directory.mkdir(parents=True, exist_ok=True)
    listed = {}
    for part in range(shards):
        shard = f"model-{part + 1:05}-of-{shards:05}.safetensors"
        names = sorted(tensors)[part::shards]
        save_file({name: tensors[name].contiguous() for name in names}, directory / shard)
        listed.update(dict.fromkeys(names, shard))
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listed}))
    (directory / "config.json").write_text(json.dumps({**SIZES, "quantization_config": dict(config)}))
    return tensors


def logits(tensors: Mapping[str, Tensor], schemes: Mapping[str, Scheme], tokens: Tensor) -> Tensor:
    """Return the logits in float64 with the weights of a checkpoint, without rounding activations."""
    from compat.quant.packing.packers import dequantize

    model = Llama().double()
    state = {}
    for name in model.state_dict():
        layer, _, last = name.rpartition(".")
        if layer in schemes and last == "weight":
            stored = {
                key.rpartition(".")[2]: value for key, value in tensors.items() if key.startswith(f"{layer}.")
            }
            stored.pop("bias", None)
            state[name] = dequantize(schemes[layer], stored, torch.float64)
        else:
            state[name] = tensors[name].double()
    model.load_state_dict(state)
    with torch.no_grad():
        return model(tokens)


PARALLEL: Mapping[str, Any] = {
    **dict.fromkeys(("*.q_proj", "*.k_proj", "*.v_proj", "*.gate_proj", "*.up_proj"), "column"),
    **dict.fromkeys(("*.o_proj", "*.down_proj"), "row"),
}
"""How layers are divided over ranks: heads and the inner features of the MLP by outputs, then by inputs."""
