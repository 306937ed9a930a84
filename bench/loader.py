"""Measure the memory of the loader for a checkpoint of several layers, against reading all files first.

Each way runs in its own process. The result is the increase of resident memory during the load (VmHWM in
/proc, on Linux only), and on a GPU also the increase of memory that torch has allocated.
Run it with `nox -s bench-loader`, or on a GPU in a pair's environment: `python bench/loader.py --back-end
vllm --output .`.
"""

import argparse
import dataclasses
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compat import __version__
from compat._util import atomic_write
from compat.quant.backends import process_setup
from compat.quant.checkpoint.safetensors_dir import INDEX
from compat.quant.linear import MixedPrecisionLinear
from compat.quant.loader import MixedPrecisionLoader
from compat.quant.packing.packers import pack
from compat.quant.schemes import Awq, Fp8, Gptq, Scheme, Unquantized, W8A8Int8

ROOT = Path(__file__).resolve().parents[1]
SCHEMES: dict[str, Scheme] = {
    "unquantized": Unquantized(),
    "fp8": Fp8(granularity="channel"),
    "int8": W8A8Int8(),
    "gptq": Gptq(),
    "awq": Awq(),
}
LONGEST = 1800
"""Seconds after which a process that loads is killed."""
LARGEST = "unquantized"
"""The scheme with the largest layers: two bytes per weight; the others have one or a half."""


class Model(torch.nn.Module):  # type: ignore[misc]
    """A model of linear layers, `rounds` of each scheme."""

    def __init__(self, rounds: int, n: int, k: int) -> None:
        super().__init__()
        for name in SCHEMES:
            layers = [torch.nn.Linear(k, n, bias=False) for _ in range(rounds)]
            self.add_module(name, torch.nn.ModuleList(layers))


def write(folder: Path, rounds: int, n: int, k: int) -> dict[str, int]:
    """Write the checkpoint, one shard per layer; return the bytes of all shards and of the largest one."""
    from safetensors.torch import save_file

    listed: dict[str, str] = {}
    for name, scheme in SCHEMES.items():
        tensors = pack(scheme, torch.randn(n, k) / k**0.5)
        for index in range(rounds):
            shard = f"{name}-{index}.safetensors"
            held = {f"{name}.{index}.{each}": tensor for each, tensor in tensors.items()}
            save_file(held, folder / shard)
            listed.update(dict.fromkeys(held, shard))
    (folder / INDEX).write_text(json.dumps({"weight_map": listed}), encoding="utf-8")
    modules = {f"{name}.*": settings(scheme) for name, scheme in SCHEMES.items()}
    config = {"quantization_config": {"quant_method": "mixed", "modules": modules}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.safetensors")}
    return {"file_bytes": sum(sizes.values()), "largest_layer_bytes": sizes[f"{LARGEST}-0.safetensors"]}


def settings(scheme: Any) -> dict[str, Any]:
    return {"scheme": scheme.kind, **dataclasses.asdict(scheme)}


def resident(field: str) -> int:
    """Return `VmRSS` (current) or `VmHWM` (peak since the last reset) of this process, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def child(folder: Path, way: str, back_end: Any, size: tuple[int, int, int]) -> dict[str, int]:
    """Load the checkpoint in this process, and return the increase of its memory."""
    rounds, n, k = size
    with torch.device("meta"):
        model = Model(rounds, n, k)
    if back_end != "reference":  # the set-up of a package is not part of a load
        MixedPrecisionLinear.from_float(Fp8(granularity="channel"), torch.randn(256, 256), backend=back_end)
    before = resident("VmRSS")
    on_gpu = torch.cuda.memory_allocated() if back_end != "reference" else 0
    if back_end != "reference":
        torch.cuda.reset_peak_memory_stats()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets VmHWM, see proc(5)
    start = time.perf_counter()
    if way == "loader":
        MixedPrecisionLoader(folder, backend=back_end).load(model)
    else:
        from safetensors.torch import load_file

        everything = {}
        for shard in sorted(folder.glob("*.safetensors")):
            everything.update({name: each.clone() for name, each in load_file(shard).items()})
        for name, scheme in SCHEMES.items():
            print(f"{way}: {name} after {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
            for index in range(rounds):
                layer = MixedPrecisionLinear(scheme, k, n, backend=back_end)
                head = f"{name}.{index}."
                layer.load(
                    {key.removeprefix(head): each for key, each in everything.items() if key.startswith(head)}
                )
                getattr(model, name)[index] = layer
    seconds = round(time.perf_counter() - start, 1)
    found = {"peak_bytes": resident("VmHWM") - before, "after_bytes": resident("VmRSS") - before}
    print(f"{way}: {seconds} s", file=sys.stderr, flush=True)
    if back_end != "reference":
        found["gpu_peak_bytes"] = torch.cuda.max_memory_allocated() - on_gpu
        found["gpu_after_bytes"] = torch.cuda.memory_allocated() - on_gpu
    return found


def main() -> None:
    """Measure both ways, print and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--back-end", choices=["reference", "sglang", "vllm"], default="reference")
    parser.add_argument("--rounds", type=int, default=4, help="layers of each scheme (default: %(default)s)")
    parser.add_argument("--shape", type=int, nargs=2, metavar=("N", "K"), default=(8192, 8192))
    parser.add_argument("--output", type=Path, default=ROOT / "bench" / "results", help="folder")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    size = (chosen.rounds, *chosen.shape)
    if chosen.child:
        print("RESULT " + json.dumps(child(Path(chosen.child[1]), chosen.child[0], chosen.back_end, size)))
        return
    document: dict[str, Any] = {
        "schema": 1,
        "command": "bench loader",
        "compat": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "back_end": chosen.back_end,
        "release": None if chosen.back_end == "reference" else process_setup.installed(chosen.back_end),
        "device": "cpu" if chosen.back_end == "reference" else torch.cuda.get_device_name(),
        "layers": chosen.rounds * len(SCHEMES),
        "shape": list(chosen.shape),
    }
    with tempfile.TemporaryDirectory() as made:
        document.update(write(Path(made), *size))
        for way in ("loader", "all_first"):
            command = [sys.executable, __file__, "--child", way, made, "--back-end", chosen.back_end]
            command += ["--rounds", str(chosen.rounds), "--shape", *map(str, chosen.shape)]
            try:
                done = subprocess.run(
                    command, stdout=subprocess.PIPE, text=True, check=False, timeout=LONGEST
                )
            except subprocess.TimeoutExpired:
                raise SystemExit(f"{way}: did not finish within {LONGEST} s") from None
            told = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
            if not told:
                raise SystemExit(f"{way}: no result, exit code {done.returncode}")
            document[way] = json.loads(told[0].removeprefix("RESULT "))
    document["peak_ratio"] = round(document["loader"]["peak_bytes"] / document["all_first"]["peak_bytes"], 3)
    for where in ("", "gpu_"):
        if f"{where}peak_bytes" in document["loader"]:
            passing = document["loader"][f"{where}peak_bytes"] - document["loader"][f"{where}after_bytes"]
            ratio = round(passing / document["largest_layer_bytes"], 2)
            document[f"{where}passing_in_largest_layers"] = ratio
    text = json.dumps(document, indent=1, sort_keys=True) + "\n"
    kind = f"{chosen.back_end}-" if chosen.back_end != "reference" else ""
    target = chosen.output / f"loader-{kind}python{'.'.join(platform.python_version_tuple()[:2])}.json"
    atomic_write.write_text(target, text)
    print(text, end="")


if __name__ == "__main__":
    main()
