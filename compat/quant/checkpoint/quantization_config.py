"""What each quantizer writes into `quantization_config`, as one scheme per linear layer. Needs no torch."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from compat.errors import CheckpointError, UsageError
from compat.quant.schemes import KINDS, Awq, BlockInt8, Fp8, Gptq, Scheme, Unquantized, W8A8Int8

Layout = Literal["own", "compressed-block", "compressed-packed"]
"""How tensors are named and packed: as the scheme says, or as compressed-tensors does where it differs."""
Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """What one linear layer is stored as."""

    scheme: Scheme
    layout: Layout = "own"


Assignment = Callable[[str], Assigned]
"""From the full name of a linear layer, such as `model.layers.0.mlp.down_proj`."""

PLAIN = Assigned(scheme=Unquantized())


def assignment(config: Config | None) -> Assignment:
    """Return which scheme each linear layer of a checkpoint has, by its `quantization_config`.

    Read are: this project's own map (`quant_method` "mixed": `modules` from pattern to scheme, the first that
    matches counts), `config_groups` of compressed-tensors, `quantized_layers` of ModelOpt, `extra_config` of
    AutoRound, `dynamic` of GPTQModel; and the checkpoints of GPTQ, AWQ, FP8 and blockwise INT8 that have one
    scheme.

    Raises:
        CheckpointError: the configuration is of none of these, or names something that no scheme here holds.
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
        "w8a8_int8": lambda given: _everywhere(given, W8A8Int8()),
    }
    if method not in readers:
        known = ", ".join(readers)
        raise CheckpointError(f"quantization_config: quant_method {method!r} is not read; {known} are")
    try:
        return readers[method](config)
    except (UsageError, KeyError, TypeError, ValueError, AttributeError, re.error) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
        raise CheckpointError(f"quantization_config ({method}): {what}") from error


def scheme_of(settings: Config) -> Scheme:
    """Return the scheme that an entry of the own map describes, such as `{"scheme": "gptq", "bits": 8}`.

    Raises:
        UsageError: it describes none.
    """
    given = dict(settings)
    kind = given.pop("scheme", None)
    if kind not in KINDS:
        raise UsageError(f"scheme {kind!r} is none of {', '.join(KINDS)}")
    try:
        return KINDS[kind](**given)
    except TypeError as error:
        raise UsageError(f"scheme {kind!r} has no such setting: {', '.join(sorted(given))}") from error


def _own(config: Config) -> Assignment:
    rules = [(pattern, Assigned(scheme=scheme_of(entry))) for pattern, entry in config["modules"].items()]

    def find(name: str) -> Assigned:
        return next((held for pattern, held in rules if fnmatchcase(name, pattern)), PLAIN)

    return find


def _everywhere(config: Config, scheme: Scheme) -> Assignment:
    """Return one scheme for all layers but the head and those left out, by part of their name."""
    left_out = [
        str(name)
        for key in ("ignored_layers", "modules_to_not_convert", "ignore")
        for name in config.get(key) or ()
    ]
    held = Assigned(scheme=scheme)
    return lambda name: PLAIN if _is_head(name) or any(part in name for part in left_out) else held


def _is_head(name: str) -> bool:
    return name.rpartition(".")[2] == "lm_head"


def _fp8(config: Config) -> Assignment:
    blocks = config.get("weight_block_size")
    if blocks is not None and list(blocks) != [128, 128]:
        raise UsageError(f"weight_block_size {blocks} is not read; [128, 128] is")
    granularity: Literal["block", "tensor"] = "block" if blocks else "tensor"
    return _everywhere(config, Fp8(granularity=granularity, activation=config["activation_scheme"]))


def _block_int8(config: Config) -> Assignment:
    if list(config["weight_block_size"]) != [128, 128]:
        raise UsageError(f"weight_block_size {config['weight_block_size']} is not read; [128, 128] is")
    return _everywhere(config, BlockInt8())


def _awq(config: Config) -> Assignment:
    if str(config.get("version", "gemm")).lower() != "gemm":
        raise UsageError(f"version {config['version']!r} is not read; 'gemm' is")
    bits = config["bits"] if "bits" in config else config["w_bit"]
    size = config["group_size"] if "group_size" in config else config["q_group_size"]
    return _everywhere(config, Awq(bits=bits, group_size=size, zero_point=bool(config["zero_point"])))


def _gptq(config: Config) -> Assignment:
    """GPTQModel's `dynamic`: `+:REGEX` changes settings, `-:REGEX` leaves out; the first match counts."""
    form = config.get("checkpoint_format") or "gptq"
    if form != "gptq":
        raise UsageError(f"checkpoint_format {form!r} is not read; 'gptq' (v1) is")
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

    find("probe")  # bad settings are told now, not at the first layer
    return find


def _gptq_scheme(settings: Config) -> Gptq:
    return Gptq(
        bits=settings["bits"],
        group_size=settings["group_size"],
        desc_act=bool(settings.get("desc_act", False)),
        sym=bool(settings.get("sym", True)),
    )


def _auto_round(config: Config) -> Assignment:
    """AutoRound's `extra_config`: from name or regex to what differs there; 16 bits are unquantized."""
    packing = str(config.get("packing_format") or config.get("backend") or "auto_round:auto_gptq").lower()
    as_awq = "awq" in packing
    if not as_awq and "gptq" not in packing and packing != "auto_round":
        raise UsageError(f"packing_format {packing!r} is not read; auto_gptq and auto_awq are")
    extra = config.get("extra_config") or {}

    def find(name: str) -> Assigned:
        rule = extra.get(name)
        if rule is None:
            rule = next((held for pattern, held in extra.items() if re.fullmatch(pattern, name)), None)
        if rule is None and _is_head(name):
            return PLAIN
        settings = {**config, **(rule or {})}
        if settings["bits"] >= 16:
            return PLAIN
        if settings.get("data_type", "int") != "int":
            raise CheckpointError(f"{name}: data_type {settings['data_type']!r} is not read; 'int' is")
        if as_awq:
            zero = not settings.get("sym", True)
            return Assigned(
                scheme=Awq(bits=settings["bits"], group_size=settings["group_size"], zero_point=zero)
            )
        return Assigned(scheme=_gptq_scheme({**settings, "desc_act": False}))

    find("probe")
    return find


def _modelopt(config: Config) -> Assignment:
    """ModelOpt's MIXED_PRECISION: `quantized_layers` from name to algorithm; others are unquantized."""
    inner = config.get("quantization", config)
    known: dict[str, Callable[[Config], Scheme]] = {
        "FP8": lambda _entry: Fp8(granularity="tensor", activation="static"),
        "FP8_PER_CHANNEL_PER_TOKEN": lambda _entry: Fp8(granularity="channel"),
        "W8A8_INT8": lambda _entry: W8A8Int8(),
    }
    held = {}
    for name, entry in inner["quantized_layers"].items():
        algorithm = str(entry["quant_algo"]).upper()
        if algorithm not in known:
            raise UsageError(f"{name}: quant_algo {algorithm!r} is not read; {', '.join(known)} are")
        held[name] = Assigned(scheme=known[algorithm](entry))
    return lambda name: held.get(name, PLAIN)


def _compressed(config: Config) -> Assignment:
    """compressed-tensors' `config_groups`: each has targets, `re:` patterns, names or `Linear`."""
    rules = []
    for label, group in config["config_groups"].items():
        form = group.get("format") or config.get("format") or ""
        try:
            held = _compressed_scheme(group["weights"], group.get("input_activations"), form)
        except UsageError as error:
            raise UsageError(f"config_groups.{label}: {error}") from error
        rules += [(target, held) for target in group["targets"]]
    ignored = list(config.get("ignore") or ())

    def find(name: str) -> Assigned:
        if any(_meant(name, target) for target in ignored):
            return PLAIN
        named = next((held for target, held in rules if _meant(name, target)), None)
        by_class = next((held for target, held in rules if target == "Linear"), PLAIN)
        return named or by_class

    return find


def _meant(name: str, target: str) -> bool:
    if target.startswith("re:"):
        return re.match(target.removeprefix("re:"), name) is not None
    return name == target


def _compressed_scheme(weights: Config, inputs: Config | None, form: str) -> Assigned:
    bits, kind, strategy = weights["num_bits"], weights["type"], weights["strategy"]
    if kind == "float" and bits == 8 and inputs is not None and strategy in ("tensor", "channel", "block"):
        activation: Literal["dynamic", "static"] = "dynamic" if inputs.get("dynamic") else "static"
        held = Fp8(granularity=strategy, activation=activation)
        return Assigned(scheme=held, layout="compressed-block" if strategy == "block" else "own")
    if kind == "int" and inputs is not None and bits == 8 and strategy == "channel" and inputs.get("dynamic"):
        return Assigned(scheme=W8A8Int8())
    if kind == "int" and inputs is None and strategy in ("group", "channel") and form == "pack-quantized":
        if not weights.get("symmetric", True):
            raise UsageError("pack-quantized weights with zero points are not read; symmetric ones are")
        size = weights["group_size"] if strategy == "group" else -1
        held_int = Gptq(bits=bits, group_size=size, desc_act=weights.get("actorder") in ("group", "dynamic"))
        return Assigned(scheme=held_int, layout="compressed-packed")
    given = f"{bits}-bit {kind} weights by {strategy}, {'no ' if inputs is None else ''}input_activations"
    raise UsageError(f"{given}, format {form!r} are not read")
