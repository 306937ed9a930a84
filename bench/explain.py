"""Measure wall time and peak memory of `compat explain` for a long log, in whole processes side by side.

Times depend on the machine; comparable are the ratios to an interpreter that does nothing, and to a plain
line-by-line read of the same file. Run it with `nox -s bench`, or with `python bench/explain.py`.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from resolve import FLOOR, RESULTS, Timing, measured

from compat import __version__
from compat._util import atomic_write

MEGABYTES = 50
READ = "read line by line"
TRACEBACK = b"""Traceback (most recent call last):
  File "/home/user/serve.py", line 3, in <module>
    from vllm.model_executor.layers.quantization.gptq import GPTQLinearMethod
ModuleNotFoundError: No module named 'vllm.model_executor.layers.quantization.gptq'
"""


def main() -> int:
    """Measure, print a table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5, help="runs of each command (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (default: bench/results)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        logs = {
            "one traceback at its end": _written(Path(folder) / "end.log", _served()),
            "the same traceback all through": _written(Path(folder) / "same.log", _repeated()),
            "a different error on every line": _written(Path(folder) / "errors.log", _errors()),
        }
        commands = {FLOOR: [sys.executable, "-c", "pass"]}
        for name, path in logs.items():
            code = f"for line in open({str(path)!r}, 'rb'): pass"
            commands[f"{READ}: {name}"] = [sys.executable, "-c", code]
            commands[f"explain: {name}"] = [sys.executable, "-m", "compat.explain", str(path)]
        timings = measured(commands, arguments.runs, FLOOR)
    print(table(timings))
    version = ".".join(map(str, sys.version_info[:2]))
    target = arguments.output / f"explain-python{version}.json"
    atomic_write.write_text(target, json.dumps(document(timings), indent=2, sort_keys=True) + "\n")
    print(f"written to {target.name}", file=sys.stderr)
    return 0


def _written(path: Path, lines: Iterator[bytes]) -> Path:
    """Write a log of `MEGABYTES`, and return its path."""
    size = 0
    with path.open("wb") as stream:
        while size < MEGABYTES << 20:
            size += stream.write(next(lines))
        stream.write(TRACEBACK)
    return path


def _served() -> Iterator[bytes]:
    """Yield the log lines of a server under load."""
    number = 0
    while True:
        number += 1
        clock = f"15:{number // 60 % 60:02}:{number % 60:02}"
        yield (
            f"INFO 11-24 {clock} [loggers.py:116] Engine 000: Avg prompt throughput: "
            f"{number % 977}.{number % 10} tokens/s, Running: {number % 13} reqs, request {number}\n"
        ).encode()


def _repeated() -> Iterator[bytes]:
    while True:
        yield TRACEBACK


def _errors() -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        worker = f"(VllmWorker rank={number % 8} pid={number % 8 + 40})"
        yield f"{worker} ERROR 11-24 15:00:00 [core.py:400] ValueError: request {number} failed\n".encode()


def table(timings: list[Timing]) -> str:
    """Return the results as a table of text."""
    lines = [f"{'':52}{'ratio':>9}{'to reading':>12}{'seconds':>9}{'peak MB':>9}"]
    reading = 1.0
    for each in timings:
        if each.name.startswith(READ):
            reading = each.median_ms
        share = f"{each.median_ms / reading:12.1f}" if each.name.startswith("explain") else f"{'':12}"
        lines.append(
            f"{each.name[-51:]:52}{each.ratio:>9.2f}{share}{each.median_ms / 1e3:>9.2f}{each.peak_mb:>9.1f}"
        )
    return "\n".join(lines)


def document(timings: list[Timing]) -> dict[str, object]:
    """Return the results as JSON, without paths or machine names."""
    return {
        "schema": 1,
        "command": "bench explain",
        "compat": __version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "megabytes": MEGABYTES,
        "processes": [asdict(each) for each in timings],
    }


if __name__ == "__main__":
    sys.exit(main())
