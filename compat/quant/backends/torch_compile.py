"""Hide a function from torch.compile behind one custom operator, which it calls without tracing it."""

from collections.abc import Callable
from itertools import count
from weakref import WeakValueDictionary

import torch
from torch import Tensor

Run = Callable[[Tensor], Tensor]


class _OpaqueCall:
    """A function that a compiled graph calls by a number, so that it is not traced."""

    def __init__(self, run: Run, width: int) -> None:
        self.run, self.width, self.number = run, width, next(_numbers)
        _calls[self.number] = self

    def __call__(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return _operator(x, self.number, self.width)
        return self.run(x)


_numbers = count()
_calls: "WeakValueDictionary[int, _OpaqueCall]" = WeakValueDictionary()


def opaque(run: Run, width: int) -> Run:
    """Return `run` as one opaque operator, from `[M, K]` to `[M, width]` of the same dtype."""
    return _OpaqueCall(run, width)


@torch.library.custom_op("compat_quant::linear", mutates_args=())
def _operator(x: Tensor, number: int, width: int) -> Tensor:  # noqa: ARG001 -- one signature for both
    return _calls[number].run(x)


@_operator.register_fake
def _(x: Tensor, number: int, width: int) -> Tensor:  # noqa: ARG001 -- one signature for both
    return x.new_empty(x.shape[0], width)
