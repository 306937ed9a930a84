"""`MixedPrecisionLinear`: a linear layer of any scheme, run by sglang or vllm or in plain torch."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules import module

from compat.errors import UsageError
from compat.quant.backends import package_layer, reference, self_test, torch_compile
from compat.quant.backends.package_layer import LayerSpec, Parallel
from compat.quant.packing import packers
from compat.quant.packing.sharding import Shard, cut
from compat.quant.schemes import Scheme, Unquantized

Backend = Literal["reference", "sglang", "vllm"]
BACKENDS: tuple[Backend, ...] = ("reference", "sglang", "vllm")


def _has_global_hooks() -> bool:
    return bool(module._global_forward_hooks or module._global_forward_pre_hooks)  # noqa: SLF001 -- no public API


class MixedPrecisionLinear(nn.Module):
    """Compute `y = x @ weight.T + bias` with a weight in any scheme, for inference.

    A new layer has no weights; `load` sets them from the tensors of a checkpoint. On `sglang` and `vllm` the
    package's own configuration, linear layer and method compute; `method` and `kernel` name them. On
    `reference`, plain torch computes and accumulates in float32.

    Args:
        scheme: the format of the weight.
        in_features: K.
        out_features: N.
        bias: whether there is a bias `[N]`.
        backend: `reference`, `sglang` or `vllm`.
        dtype: of activations and result: float16 or bfloat16; float32 on `reference` only.
        device: the device of the weights; None is `cuda` for a package, and the CPU for `reference`.
        prefix: the layer's name in the model; some releases read it.
        quantization: the package's name of a quantization method, such as `gptq` instead of the default
            `gptq_marlin`.
        parallel: `column` or `row` for one rank's part, by the package's parallel layers; None for the whole.
        shard: which part, for `reference`; a package knows its own rank.

    Raises:
        SchemeUnavailable: the installed release or this machine cannot run the scheme; `diagnosis` has the
            reason.
        SymbolUnavailable: a required symbol is missing from the installed release, or is a stub.
        UsageError: the format cannot hold a weight of this shape, or an argument is not valid.
    """

    def __init__(
        self,
        scheme: Scheme,
        in_features: int,
        out_features: int,
        *,
        bias: bool = False,
        backend: Backend = "reference",
        dtype: torch.dtype = torch.bfloat16,
        device: torch.device | str | None = None,
        prefix: str = "layer",
        quantization: str | None = None,
        parallel: Parallel | None = None,
        shard: Shard | None = None,
    ) -> None:
        super().__init__()
        if backend not in BACKENDS:
            raise UsageError(f"backend {backend!r} does not exist; use one of {', '.join(BACKENDS)}")
        scheme.tensors(out_features, in_features)  # refuses a shape that the format cannot hold
        self.scheme, self.backend, self.dtype = scheme, backend, dtype
        self.in_features, self.out_features, self.has_bias = in_features, out_features, bias
        self.shard = shard
        self.loaded = False
        self._ready: torch.dtype | None = None
        """The dtype that a plain call accepts without further checks, once the weights are loaded."""
        self.inner: Any = None
        self.device = torch.device(device or ("cpu" if backend == "reference" else "cuda"))
        self._parallel = parallel
        if backend == "reference":
            if parallel is not None and (shard is None or shard.kind != parallel):
                raise UsageError("backend 'reference' with `parallel` needs a `shard` of the same kind")
            self._call: Callable[[Tensor], Tensor] = self._reference
            return
        self._spec = LayerSpec(
            package=backend,
            scheme=scheme,
            out_features=out_features,
            in_features=in_features,
            bias=bias,
            dtype=dtype,
            device=self.device,
            prefix=prefix,
            parallel=parallel,
            quantization=quantization,
        )
        self.inner, self.adapter = package_layer.build(self._spec)
        run = package_layer.runner(self.inner, parallel=parallel is not None)
        self._call = torch_compile.opaque(run, self.width) if self.adapter.opaque else run

    @classmethod
    def from_float(
        cls, scheme: Scheme, weight: Tensor, bias: Tensor | None = None, **options: Any
    ) -> "MixedPrecisionLinear":
        """Return a loaded layer for `weight` `[N, K]`, rounded; `options` are those of the class."""
        out_features, in_features = weight.shape
        layer = cls(scheme, in_features, out_features, bias=bias is not None, **options)
        wide = layer.dtype == torch.float32 and not isinstance(scheme, Unquantized)  # scales are float16
        tensors = packers.pack(scheme, weight, dtype=torch.float16 if wide else layer.dtype)
        layer.load({**tensors, **({"bias": bias.to(layer.dtype)} if bias is not None else {})})
        return layer

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Load the tensors of the whole layer, as a checkpoint stores them. A layer is loaded only once.

        Raises:
            UsageError: the tensors do not fit the scheme and shape, or the layer is already loaded.
            SchemeUnavailable: the package refuses the tensors, or its kernel computes a wrong result.
        """
        if self.loaded:
            raise UsageError(
                "the layer is already loaded; its package has rearranged the weights, so build a new layer"
            )
        weights = {name: tensor for name, tensor in tensors.items() if name != "bias"}
        packers.check(self.scheme, weights, self.out_features, self.in_features)
        if ("bias" in tensors) != self.has_bias:
            raise UsageError(
                f"bias is {'missing' if self.has_bias else 'unexpected'}: the layer has bias={self.has_bias}"
            )
        if self.backend != "reference":
            package_layer.fill(self.inner, tensors, self._spec)
            bias = None if self._parallel == "row" else self.inner.bias
            run, part = package_layer.local_runner(self.inner, bias), package_layer.shard_of(self._spec)
            self_test.verify(run, tensors, self._spec, part)
        else:
            if self.shard is not None:
                tensors = cut(self.scheme, tensors, (self.out_features, self.in_features), self.shard)
            for name, tensor in tensors.items():
                self.register_buffer(name, tensor.to(self.device))
        self.loaded, self._ready = True, self.dtype

    @property
    def method(self) -> str:
        """The name of the class that runs the layer."""
        return "reference" if self.inner is None else type(self.inner.quant_method).__name__

    @property
    def home(self) -> str:
        """The module that defines the class `method`: sglang 0.4.7, for example, runs GPTQ with vllm's."""
        return reference.__name__ if self.inner is None else type(self.inner.quant_method).__module__

    @property
    def kernel(self) -> str:
        """The name of the kernel inside the class `method`, as far as the class exposes it."""
        return "torch.matmul" if self.inner is None else package_layer.kernel_name(self.inner)

    def __call__(self, x: Tensor) -> Tensor:
        """Return `forward(x)`; without hooks, a contiguous `[M, K]` goes straight to the kernel.

        A model makes this call thousands of times a second, and `nn.Module.__call__` takes microseconds.
        """
        if (
            x.dtype is self._ready
            and x.dim() == 2
            and x.is_contiguous()
            and x.numel()
            and not (self._forward_hooks or self._forward_pre_hooks or _has_global_hooks())
        ):
            return self._call(x)
        return super().__call__(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return `[..., N]` for `x` `[..., K]`, both in `dtype`; on a parallel layer, this rank's part.

        `x` may be strided, and may have no rows.
        """
        if not self.loaded:
            raise UsageError("the layer has no weights yet; call load first")
        flat = x.reshape(-1, x.shape[-1]).contiguous()
        if flat.dtype != self.dtype:
            raise UsageError(f"x is {x.dtype}, but the layer was built for {self.dtype}")
        out = self._call(flat) if flat.shape[0] else flat.new_empty(0, self.width)
        return out.view(*x.shape[:-1], out.shape[-1])

    @property
    def width(self) -> int:
        """The number of outputs of this layer, or of this rank's part of it."""
        if self.inner is not None:
            return int(getattr(self.inner, "output_size_per_partition", self.out_features))
        return (
            self.out_features
            if self.shard is None
            else self.shard.features(self.out_features, self.in_features)[0]
        )

    def _reference(self, x: Tensor) -> Tensor:
        tensors = dict(self.named_buffers(recurse=False))
        bias = tensors.pop("bias", None)
        if self.shard is None or self.shard.kind == "column" or self.shard.size == 1:
            return reference.forward(self.scheme, tensors, x, bias).to(self.dtype)
        out = reference.forward(self.scheme, tensors, x)
        torch.distributed.all_reduce(out)
        return (out if bias is None else out + bias.to(out.dtype)).to(self.dtype)

    def extra_repr(self) -> str:
        """Return the description that `repr` prints."""
        return (
            f"{self.scheme.label}, in_features={self.in_features}, out_features={self.out_features}, "
            f"backend={self.backend}, method={self.method}"
        )
