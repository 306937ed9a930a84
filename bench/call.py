"""Measure the Python overhead of calling a layer, compared with the method that it calls, without a GPU.

The method does nothing. Three calls take turns: of the method, of the layer, and of the layer by
`torch.nn.Module.__call__`, as for any module. Run it with `nox -s bench-loader`, or as a script.
"""

import json
import platform
import sys
import timeit
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compat import __version__
from compat._util import atomic_write
from compat.quant.backends import package_layer
from compat.quant.linear import MixedPrecisionLinear
from compat.quant.schemes import Unquantized

ROOT = Path(__file__).resolve().parents[1]
CALLS, REPEATS = 20_000, 25


class Nothing:
    """A method of a package that returns an existing tensor."""

    def __init__(self, out: torch.Tensor) -> None:
        self.out = out

    def apply(self, _layer: Any, _x: torch.Tensor, _bias: torch.Tensor | None = None) -> torch.Tensor:
        return self.out


class Inner(torch.nn.Module):  # type: ignore[misc]
    """A layer of a package with the attributes that a call reads."""

    def __init__(self, method: Nothing) -> None:
        super().__init__()
        self.quant_method, self.bias = method, None


def main() -> None:
    """Measure, print and write the results."""
    x = torch.randn(1, 64, dtype=torch.bfloat16)
    layer = MixedPrecisionLinear.from_float(Unquantized(), torch.randn(64, 64))
    inner = Inner(Nothing(layer(x)))
    layer._call = package_layer.runner(inner, parallel=False)  # noqa: SLF001 -- what a package's layer gives it
    ways = {
        "direct": lambda: inner.quant_method.apply(inner, x, None),
        "layer": lambda: layer(x),
        "as_a_module": lambda: torch.nn.Module.__call__(layer, x),
    }
    with torch.no_grad():
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(REPEATS):
            for name, way in ways.items():
                best[name] = min(best[name], timeit.timeit(way, number=CALLS) / CALLS)
    document = {
        "schema": 1,
        "command": "bench call",
        "compat": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "us": {name: round(seconds * 1e6, 3) for name, seconds in best.items()},
        "above_direct_ratio": round(
            (best["as_a_module"] - best["direct"]) / (best["layer"] - best["direct"]), 1
        ),
    }
    text = json.dumps(document, indent=1, sort_keys=True) + "\n"
    version = ".".join(platform.python_version_tuple()[:2])
    atomic_write.write_text(ROOT / "bench" / "results" / f"call-python{version}.json", text)
    print(text, end="")


if __name__ == "__main__":
    main()
