"""Measure how many resolutions and how much time the prediction of direct clashes saves, side by side."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from compat._util import atomic_write
from compat.index.reader import Index
from compat.model.releases import SGLANG, VLLM
from compat.pairs.solve import solve
from compat.requirements.release_requirements import ReleaseRequirements, requirements_of
from compat.uv.client import find_uv

PAIRS = ("0.5.12+0.22.0", "0.5.17+0.26.0", "0.5.23+0.33.0")


def measure(index: Index, pair: str, python: str) -> dict[str, Any]:
    """Return resolutions and seconds with and without prediction, after a run that fills uv's cache."""
    sglang, vllm = pair.split("+")

    def needs(package: Any, version: str) -> ReleaseRequirements:
        return requirements_of(
            package, index.releases(package)[index.release_index(package, version, pair)], python
        )

    sides = needs(SGLANG, sglang), needs(VLLM, vllm)
    uv = str(find_uv())
    solve(*sides, python, uv)
    predicted = solve(*sides, python, uv)
    greedy = solve(*sides, python, uv, predict=False)
    same = predicted.pair("x").overrides == greedy.pair("x").overrides
    return {
        "pair": pair,
        "overrides": len(predicted.overrides),
        "same_overrides": same,
        "rounds": {"predicted": predicted.rounds, "greedy": greedy.rounds},
        "seconds": {"predicted": round(predicted.seconds, 1), "greedy": round(greedy.seconds, 1)},
        "ratio": round(greedy.seconds / predicted.seconds, 1),
    }


def main() -> int:
    """Print one line of JSON per pair; `--output` writes them to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="*", default=list(PAIRS), metavar="SGLANG+VLLM")
    parser.add_argument("--python", default="3.11")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    index = Index()
    results = [measure(index, pair, options.python) for pair in options.pairs]
    for result in results:
        print(json.dumps(result, sort_keys=True))
    if options.output:
        atomic_write.write_text(options.output, json.dumps(results, indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
