"""`MixedPrecisionLoader`: load a checkpoint whose layers have different schemes into a model."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor, nn

from compat._cli import progress
from compat.errors import CheckpointError, UsageError
from compat.quant.backends.package_layer import Parallel
from compat.quant.checkpoint.compressed_tensors import stored_tensors, translate
from compat.quant.checkpoint.quantization_config import Assigned, assignment
from compat.quant.checkpoint.safetensors_dir import Checkpoint
from compat.quant.linear import Backend, MixedPrecisionLinear
from compat.quant.packing.sharding import Shard
from compat.quant.schemes import FLOATS, TensorSpec, Unquantized

IGNORED = ("*.rotary_emb.inv_freq",)
"""Tensors that old checkpoints contain and no model needs."""
SHOWN_FAULTS = 8
"""How many faults the message lists; `CheckpointError.faults` has all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A linear layer of the model, with its scheme and tensors in the checkpoint."""

    module: nn.Linear
    assigned: Assigned
    specs: tuple[TensorSpec, ...]


class MixedPrecisionLoader:
    """Load sharded safetensors with a `config.json` in which each linear layer has its own scheme.

    The schemes are read from `quantization_config`, in one of the forms that
    `compat.quant.checkpoint.quantization_config` supports. Tensors are read layer by layer, so that the peak
    memory is that of the model plus its largest layer.

    Args:
        directory: the checkpoint.
        backend: `reference`, `sglang` or `vllm`, for all linear layers, quantized or not.
        dtype: of activations and of everything that is not quantized.
        device: the device of the model; None selects as in `MixedPrecisionLinear`.
        parallel: from patterns of layer names to `column` or `row`, for layers divided over the ranks.
        shard: rank and number of ranks, for `reference`; the packages know their own.
        observer: is advanced after each layer; None shows a progress bar on a terminal.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        backend: Backend = "reference",
        dtype: torch.dtype = torch.bfloat16,
        device: torch.device | str | None = None,
        parallel: Mapping[str, Parallel] | None = None,
        shard: tuple[int, int] | None = None,
        observer: progress.Progress | None = None,
    ) -> None:
        self.directory, self.backend, self.dtype = Path(directory), backend, dtype
        self.device = torch.device(device or ("cpu" if backend == "reference" else "cuda"))
        self._parallel = dict(parallel or {})
        self._shard = shard
        self._observer = observer

    def load(self, model: nn.Module) -> nn.Module:
        """Return `model`, with every `nn.Linear` replaced by a layer of its scheme and all parameters loaded.

        The model may be on the device `meta`. It stays unchanged when anything fails.

        Args:
            model: a model whose linear layers and parameters have the names of the checkpoint.

        Raises:
            CheckpointError: tensors are missing, unexpected, of a wrong shape or dtype, or unreadable; one
                error lists all faults before anything is loaded.
            SchemeUnavailable: the back end cannot run a scheme of the checkpoint.
        """
        checkpoint = Checkpoint.open(self.directory)
        plan, rest = self._planned(model, checkpoint)
        layers: dict[str, MixedPrecisionLinear] = {}
        with self._observed(len(plan) + len(rest)) as observer:
            for name, planned in plan.items():
                layers[name] = self._layer(name, planned, checkpoint)
                observer.advance()
            values: dict[str, Tensor] = {}
            for name, source in rest.items():
                values[name] = checkpoint.read([source])[source].to(self.device, self.dtype)
                observer.advance()
        for name, layer in layers.items():
            _replace(model, name, layer)
        for name, value in values.items():
            owner, _, last = name.rpartition(".")
            parent = model.get_submodule(owner)
            if last in parent._parameters:  # noqa: SLF001 -- torch has no public API that separates them from buffers
                setattr(parent, last, nn.Parameter(value, requires_grad=False))
            else:
                parent.register_buffer(last, value)
        return model

    def _planned(self, model: nn.Module, checkpoint: Checkpoint) -> tuple[dict[str, Planned], dict[str, str]]:
        """Return the plan for each linear layer, and the name in the checkpoint of each other tensor.

        Raises:
            CheckpointError: model and checkpoint do not match; the error lists every fault.
        """
        schemes = assignment(checkpoint.config.get("quantization_config"))
        faults: list[str] = []
        plan: dict[str, Planned] = {}
        used: set[str] = set()
        tied = bool(checkpoint.config.get("tie_word_embeddings"))
        for name, module in model.named_modules():
            if not isinstance(module, nn.Linear):
                continue
            assigned = schemes(name)
            if (
                tied
                and f"{name}.weight" not in checkpoint.entries
                and isinstance(assigned.scheme, Unquantized)
            ):
                continue  # the head shares the weight of the embedding
            try:
                specs = _specs(module, assigned)
            except UsageError as error:
                faults.append(f"{name}: {error}")
                continue
            plan[name] = Planned(module=module, assigned=assigned, specs=specs)
            for spec in specs:
                used.add(f"{name}.{spec.name}")
                faults += _faults(f"{name}.{spec.name}", spec, checkpoint)
        rest = {}
        for name, tensor in model.state_dict(keep_vars=True).items():
            if name.rpartition(".")[0] in plan:
                continue
            source = name
            if tied and name not in checkpoint.entries and tensor.dim() == 2:
                source = _embedding(model, name)
            rest[name] = source
            used.add(source)
            spec = TensorSpec(name=name, shape=tuple(tensor.shape), dtypes=FLOATS)
            faults += _faults(source, spec, checkpoint)
        unexpected = [
            name
            for name in checkpoint.entries
            if name not in used and not any(fnmatchcase(name, pattern) for pattern in IGNORED)
        ]
        faults += [f"{name} is unexpected: the model has no such tensor" for name in unexpected]
        if faults:
            more = f"; and {len(faults) - SHOWN_FAULTS} more" if len(faults) > SHOWN_FAULTS else ""
            shown = "; ".join(faults[:SHOWN_FAULTS])
            raise CheckpointError(f"{self.directory}: nothing was loaded: {shown}{more}", tuple(faults))
        return plan, rest

    def _layer(self, name: str, planned: Planned, checkpoint: Checkpoint) -> MixedPrecisionLinear:
        kind = next((kind for pattern, kind in self._parallel.items() if fnmatchcase(name, pattern)), None)
        shard = None
        if kind is not None and self._shard is not None:
            shard = Shard(kind=kind, rank=self._shard[0], size=self._shard[1])
        layer = MixedPrecisionLinear(
            planned.assigned.scheme,
            planned.module.in_features,
            planned.module.out_features,
            bias=planned.module.bias is not None,
            backend=self.backend,
            dtype=self.dtype,
            device=self.device,
            prefix=name,
            parallel=kind,
            shard=shard,
        )
        read = checkpoint.read([f"{name}.{spec.name}" for spec in planned.specs])
        tensors = translate(
            planned.assigned, {spec.name: read[f"{name}.{spec.name}"] for spec in planned.specs}
        )
        for plain in ("bias", "weight" if isinstance(planned.assigned.scheme, Unquantized) else "bias"):
            if plain in tensors:
                tensors[plain] = tensors[plain].to(self.dtype)
        layer.load(tensors)
        return layer

    @contextmanager
    def _observed(self, total: int) -> Iterator[progress.Progress]:
        if self._observer is not None:
            yield self._observer
        else:
            with progress.on_terminal("loading", total) as shown:
                yield shown


def _specs(module: nn.Linear, assigned: Assigned) -> tuple[TensorSpec, ...]:
    specs = stored_tensors(assigned, module.out_features, module.in_features)
    if module.bias is None:
        return specs
    return (*specs, TensorSpec(name="bias", shape=(module.out_features,), dtypes=FLOATS))


def _faults(name: str, spec: TensorSpec, checkpoint: Checkpoint) -> list[str]:
    entry = checkpoint.entries.get(name)
    if entry is None:
        return [f"{name} is missing"]
    faults = []
    scalar = spec.shape == (1,) and entry.shape == ()
    if entry.shape != spec.shape and not scalar:
        faults.append(f"{name} has shape {list(entry.shape)}, not {list(spec.shape)}")
    if entry.dtype not in spec.dtypes:
        faults.append(f"{name} is {entry.dtype}, not {' or '.join(spec.dtypes)}")
    return faults


def _embedding(model: nn.Module, name: str) -> str:
    """Return the name of the embedding whose weight a tied head shares; `name` itself when there is none."""
    found = [f"{each}.weight" for each, module in model.named_modules() if isinstance(module, nn.Embedding)]
    return found[0] if len(found) == 1 else name


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    owner, _, last = name.rpartition(".")
    setattr(model.get_submodule(owner), last, layer)
