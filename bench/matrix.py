"""Measure the matrix serially and in parallel: `nox -s matrix` against `nox -j 2 -s matrix`, same pairs.

The two take turns (serial, parallel, parallel, serial) after an untimed run that fills uv's cache. Each turn
has its own reports, and counts only if every cell has passed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

from compat._util import atomic_write

ROOT = Path(__file__).resolve().parents[1]
PAIRS = ("torch-apart", "newest", "sglang-alone", "vllm-alone")
"""The pairs with the newest torch: they share most packages, so that a small cache is enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The measurements of one run over all pairs."""

    jobs: int
    seconds: float
    cells: list[float]
    """Seconds of each cell."""
    peak_gb: float
    """Peak of uv's cache and the environments together; 0 without a disk limit."""
    load: float
    """Runnable processes at the start."""


def turn(jobs: int, pairs: Sequence[str], folder: Path, options: Sequence[str]) -> Turn:
    """Run the pairs with this number of parallel jobs.

    Raises:
        SystemExit: a cell did not pass.
    """
    reports = folder / "reports"
    sessions = [f"matrix({pair})" for pair in pairs]
    how = ["--rerun", "--reports", str(reports), "--envs", str(folder / "envs"), *options]
    load, begun = os.getloadavg()[0], time.monotonic()
    nox = [sys.executable, "-m", "nox", "-R", *(["-j", str(jobs)] if jobs > 1 else [])]
    _run([*nox, "-s", *sessions, "--", *how])
    seconds = time.monotonic() - begun
    _run([sys.executable, "-m", "compat.matrix", "report", "--reports", str(reports)])
    gate = ["gate", "--require", "import", "--reports", str(reports), "--pairs", *pairs]
    if _run([sys.executable, "-m", "compat.matrix", *gate]):
        raise SystemExit("a cell did not pass, so the time of this run does not count")
    document = json.loads((reports / "matrix.json").read_text(encoding="utf-8"))
    return Turn(
        jobs=jobs,
        seconds=round(seconds, 1),
        cells=[cell["seconds"] for cell in document["cells"]],
        peak_gb=round(document["disk"]["peak_bytes"] / 1e9, 1) if document["disk"] else 0.0,
        load=round(load, 1),
    )


def _run(command: Sequence[str]) -> int:
    return subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False
    ).returncode


def main() -> int:
    """Print the turns and their ratio as one line of JSON; `--output` writes it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="*", default=list(PAIRS), metavar="ID")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--envs",
        type=Path,
        metavar="DIR",
        help="folder for environments and reports (default: a temporary one)",
    )
    parser.add_argument("--max-disk", metavar="SIZE")
    parser.add_argument(
        "--filled", action="store_true", help="skip the untimed run: uv's cache has every package"
    )
    parser.add_argument("--output", type=Path, metavar="FILE")
    options = parser.parse_args()
    limit = ["--max-disk", options.max_disk] if options.max_disk else []
    with tempfile.TemporaryDirectory(prefix="bench-matrix-", dir=options.envs) as name:
        folder = Path(name)
        if not options.filled:
            turn(1, options.pairs, folder / "first", limit)
        order = (1, options.jobs, options.jobs, 1)
        turns = [turn(jobs, options.pairs, folder / str(at), limit) for at, jobs in enumerate(order)]
    serial, parallel = (
        mean(each.seconds for each in turns if (each.jobs == 1) is alone) for alone in (True, False)
    )
    result = {
        "pairs": options.pairs,
        "jobs": options.jobs,
        "turns": [asdict(each) for each in turns],
        "ratio": round(serial / parallel, 2),
    }
    print(json.dumps(result, sort_keys=True))
    if options.output:
        atomic_write.write_text(options.output, json.dumps(result, indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
