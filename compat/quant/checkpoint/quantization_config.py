"""Read the scheme of each linear layer from `quantization_config`, in the forms of several quantizers.

Nothing here needs torch.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from compat.errors import CheckpointError, UsageError
from compat.quant.schemes import KINDS, Awq, BlockInt8, Fp8, Gptq, Scheme, Unquantized, W8A8Int8

Layout = Literal["own", "compressed-block", "compressed-packed"]
"""How tensors are named and packed: as the scheme defines, or as compressed-tensors does where it differs."""
Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """The scheme and layout in which a checkpoint stores one linear layer."""

    scheme: Scheme
    layout: Layout = "own"


Assignment = Callable[[str], Assigned]
"""A function from the full name of a linear layer, such as `model.layers.0.mlp.down_proj`."""

PLAIN = Assigned(scheme=Unquantized())


def assignment(config: Config | None) -> Assignment:
    """Return a function from layer names to schemes, read from a checkpoint's `quantization_config`.

    It supports this project's own map (`quant_method` "mixed": `modules` from pattern to scheme, the first
    match counts), `config_groups` of compressed-tensors, `quantized_layers` of ModelOpt, `extra_config` of
    AutoRound, `dynamic` of GPTQModel, and GPTQ, AWQ, FP8 and blockwise INT8 checkpoints with one scheme.

    Raises:
        CheckpointError: the configuration has another form, or names a format that no scheme here supports.
    """
    if config is None:
        return lambda _name: PLAIN
    method = str(config.get("quant_method", "")).lower()
    if "modelopt" in method or "quantized_layers" in config:
        method = "modelopt"
    readers: dict[str, Callable[[Config], Assignment]] = {
        "mixed": _own,
        "compressed-tensors": _compressed,
        "modelopt": _modelopt,
        "auto-round": _auto_round,
        "gptq": _gptq,
        "awq": _awq,
        "fp8": _fp8,
        "blockwise_int8": _block_int8,
        "w8a8_int8": lambda config: _uniform(config, W8A8Int8()),
    }
    if method not in readers:
        known = ", ".join(readers)
        raise CheckpointError(
            f"quantization_config: quant_method {method!r} is not supported; supported are {known}"
        )
    try:
        return readers[method](config)
    except (UsageError, KeyError, TypeError, ValueError, AttributeError, re.error) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
        raise CheckpointError(f"quantization_config ({method}): {what}") from error


def scheme_of(settings: Config) -> Scheme:
    """Return the scheme that an entry of this project's own map describes: `{"scheme": "gptq", "bits": 8}`.

    Raises:
        UsageError: the scheme or one of its settings is not valid.
    """
    arguments = dict(settings)
    kind = arguments.pop("scheme", None)
    if kind not in KINDS:
        raise UsageError(f"scheme {kind!r} does not exist; use one of {', '.join(KINDS)}")
    try:
        return KINDS[kind](**arguments)
    except TypeError as error:
        raise UsageError(
            f"scheme {kind!r} does not have all of these settings: {', '.join(sorted(arguments))}"
        ) from error


def _own(config: Config) -> Assignment:
    rules = [(pattern, Assigned(scheme=scheme_of(entry))) for pattern, entry in config["modules"].items()]

    def find(name: str) -> Assigned:
        return next((assigned for pattern, assigned in rules if fnmatchcase(name, pattern)), PLAIN)

    return find


def _uniform(config: Config, scheme: Scheme) -> Assignment:
    """Return one scheme for all layers except the head and those whose name contains an ignored part."""
    ignored = [
        str(name)
        for key in ("ignored_layers", "modules_to_not_convert", "ignore")
        for name in config.get(key) or ()
    ]
    assigned = Assigned(scheme=scheme)
    return lambda name: PLAIN if _is_head(name) or any(part in name for part in ignored) else assigned


def _is_head(name: str) -> bool:
    return name.rpartition(".")[2] == "lm_head"


def _fp8(config: Config) -> Assignment:
    blocks = config.get("weight_block_size")
    if blocks is not None and list(blocks) != [128, 128]:
        raise UsageError(f"weight_block_size {blocks} is not supported; use [128, 128]")
    granularity: Literal["block", "tensor"] = "block" if blocks else "tensor"
    return _uniform(config, Fp8(granularity=granularity, activation=config["activation_scheme"]))


def _block_int8(config: Config) -> Assignment:
    if list(config["weight_block_size"]) != [128, 128]:
        raise UsageError(f"weight_block_size {config['weight_block_size']} is not supported; use [128, 128]")
    return _uniform(config, BlockInt8())


def _awq(config: Config) -> Assignment:
    if str(config.get("version", "gemm")).lower() != "gemm":
        raise UsageError(f"version {config['version']!r} is not supported; use 'gemm'")
    bits = config["bits"] if "bits" in config else config["w_bit"]
    size = config["group_size"] if "group_size" in config else config["q_group_size"]
    return _uniform(config, Awq(bits=bits, group_size=size, zero_point=bool(config["zero_point"])))


def _gptq(config: Config) -> Assignment:
    """Read GPTQModel's `dynamic`: `+:REGEX` changes settings, `-:REGEX` excludes; the first match counts."""
    form = config.get("checkpoint_format") or "gptq"
    if form != "gptq":
        raise UsageError(f"checkpoint_format {form!r} is not supported; use 'gptq' (v1)")
    rules = list((config.get("dynamic") or {}).items())

    def find(name: str) -> Assigned:
        settings = dict(config)
        if _is_head(name) and not config.get("lm_head"):
            return PLAIN
        for pattern, override in rules:
            if re.match(pattern.removeprefix("+:").removeprefix("-:"), name):
                if pattern.startswith("-:"):
                    return PLAIN
                settings.update(override)
                break
        return Assigned(scheme=_gptq_scheme(settings))

    find("probe")  # raises on invalid settings now, not at the first layer
    return find


def _gptq_scheme(settings: Config) -> Gptq:
    return Gptq(
        bits=settings["bits"],
        group_size=settings["group_size"],
        desc_act=bool(settings.get("desc_act", False)),
        sym=bool(settings.get("sym", True)),
    )


def _auto_round(config: Config) -> Assignment:
    """Read AutoRound's `extra_config`: settings by name or regex; 16 bits means unquantized."""
    packing = str(config.get("packing_format") or config.get("backend") or "auto_round:auto_gptq").lower()
    as_awq = "awq" in packing
    if not as_awq and "gptq" not in packing and packing != "auto_round":
        raise UsageError(f"packing_format {packing!r} is not supported; use auto_gptq or auto_awq")
    extra = config.get("extra_config") or {}

    def find(name: str) -> Assigned:
        rule = extra.get(name)
        if rule is None:
            rule = next((entry for pattern, entry in extra.items() if re.fullmatch(pattern, name)), None)
        if rule is None and _is_head(name):
            return PLAIN
        settings = {**config, **(rule or {})}
        if settings["bits"] >= 16:
            return PLAIN
        if settings.get("data_type", "int") != "int":
            raise CheckpointError(f"{name}: data_type {settings['data_type']!r} is not supported; use 'int'")
        if as_awq:
            zero = not settings.get("sym", True)
            return Assigned(
                scheme=Awq(bits=settings["bits"], group_size=settings["group_size"], zero_point=zero)
            )
        return Assigned(scheme=_gptq_scheme({**settings, "desc_act": False}))

    find("probe")
    return find


def _modelopt(config: Config) -> Assignment:
    """Read ModelOpt's `quantized_layers`, from name to algorithm; other layers are unquantized."""
    inner = config.get("quantization", config)
    known: dict[str, Callable[[Config], Scheme]] = {
        "FP8": lambda _entry: Fp8(granularity="tensor", activation="static"),
        "FP8_PER_CHANNEL_PER_TOKEN": lambda _entry: Fp8(granularity="channel"),
        "W8A8_INT8": lambda _entry: W8A8Int8(),
    }
    layers = {}
    for name, entry in inner["quantized_layers"].items():
        algorithm = str(entry["quant_algo"]).upper()
        if algorithm not in known:
            raise UsageError(
                f"{name}: quant_algo {algorithm!r} is not supported; use one of {', '.join(known)}"
            )
        layers[name] = Assigned(scheme=known[algorithm](entry))
    return lambda name: layers.get(name, PLAIN)


def _compressed(config: Config) -> Assignment:
    """Read compressed-tensors' `config_groups`, whose targets are `re:` patterns, names or `Linear`."""
    rules = []
    for label, group in config["config_groups"].items():
        form = group.get("format") or config.get("format") or ""
        try:
            assigned = _compressed_scheme(group["weights"], group.get("input_activations"), form)
        except UsageError as error:
            raise UsageError(f"config_groups.{label}: {error}") from error
        rules += [(target, assigned) for target in group["targets"]]
    ignored = list(config.get("ignore") or ())

    def find(name: str) -> Assigned:
        if any(_matches(name, target) for target in ignored):
            return PLAIN
        named = next((assigned for target, assigned in rules if _matches(name, target)), None)
        by_class = next((assigned for target, assigned in rules if target == "Linear"), PLAIN)
        return named or by_class

    return find


def _matches(name: str, target: str) -> bool:
    if target.startswith("re:"):
        return re.match(target.removeprefix("re:"), name) is not None
    return name == target


def _compressed_scheme(weights: Config, inputs: Config | None, form: str) -> Assigned:
    bits, kind, strategy = weights["num_bits"], weights["type"], weights["strategy"]
    if kind == "float" and bits == 8 and inputs is not None and strategy in ("tensor", "channel", "block"):
        activation: Literal["dynamic", "static"] = "dynamic" if inputs.get("dynamic") else "static"
        scheme = Fp8(granularity=strategy, activation=activation)
        return Assigned(scheme=scheme, layout="compressed-block" if strategy == "block" else "own")
    if kind == "int" and inputs is not None and bits == 8 and strategy == "channel" and inputs.get("dynamic"):
        return Assigned(scheme=W8A8Int8())
    if kind == "int" and inputs is None and strategy in ("group", "channel") and form == "pack-quantized":
        if not weights.get("symmetric", True):
            raise UsageError("pack-quantized weights with zero points are not supported; use symmetric ones")
        size = weights["group_size"] if strategy == "group" else -1
        order = weights.get("actorder") in ("group", "dynamic")
        return Assigned(scheme=Gptq(bits=bits, group_size=size, desc_act=order), layout="compressed-packed")
    stored = f"{bits}-bit {kind} weights by {strategy}, {'no ' if inputs is None else ''}input_activations"
    raise UsageError(f"{stored}, format {form!r} are not supported")
