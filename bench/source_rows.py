"""Compare commits with the releases that were built from them: the rows of both, and what only a build makes.

`python bench/source_rows.py git+file:./vllm@f176443 vllm==0.15.0` prints a line; further pairs may follow.
"""

import sys
import time
from collections.abc import Sequence

from compat.index.extended import open_index
from compat.sources.opening import open_sources


def compared(text: str, release: str) -> str:
    """Return one line: how many modules have the rows of the release, and which do not."""
    package, _, version = release.partition("==")
    begun = time.perf_counter()
    opened = open_sources({package: (text,)})
    first = time.perf_counter() - begun
    begun = time.perf_counter()
    open_sources({package: (text,)})
    second = time.perf_counter() - begun
    index = open_index(opened.files)
    at = index.release_index(package, version, release)
    built = index.published(package)
    facts = index.addition(package, built)
    if facts is None:
        return f"{text}: it is a release"
    modules = index.modules(package, at), index.modules(package, built)
    names = index.release_names(package, at), index.release_names(package, built)
    generated = set(facts.generated)
    both = modules[0].keys() & modules[1].keys() - generated
    other = [each for each in sorted(both) if names[0].get(each) != names[1].get(each)]
    only = sorted(modules[0].keys() ^ modules[1].keys())
    rows = sum(map(len, (rows for each in both for rows in names[0].get(each, {}).values())))
    return (
        f"{package} {version}, {facts.label}: nearest {facts.distance}; {len(both)} modules, {rows} rows, "
        f"{len(other)} of them differ {other[:5]}; {len(only)} only on one side {only[:8]}; "
        f"{len(generated)} from the build; {first:.1f} s, then {second:.2f} s"
    )


def main(argv: Sequence[str]) -> None:
    """Print a line for each commit and its release."""
    for text, release in zip(argv[::2], argv[1::2], strict=True):
        print(compared(text, release), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
