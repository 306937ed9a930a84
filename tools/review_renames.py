"""List renames in the index for review by people: the most confident ones, or a random sample."""

import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from compat import errors
from compat._cli import console
from compat.index.build.read_back import read_content, replayed
from compat.index.history import release_diff
from compat.index.reader import Index
from compat.index.records import Successor
from compat.model.symbols import location


class Renamed(NamedTuple):
    """One rename, with the first release that has the new name."""

    package: str
    version: str
    """The first release that has the new name."""
    step: Successor


def main(argv: Sequence[str]) -> int:
    """Print the renames that `argv` requests, and return the exit code."""
    parser = console.Parser(
        "python tools/review_renames.py", "List the most confident renames of the history."
    )
    parser.add_argument(
        "--top", type=int, default=40, metavar="N", help="number of renames (default: %(default)s)"
    )
    parser.add_argument(
        "--sample",
        type=int,
        metavar="SEED",
        help="draw N removed definitions each of those that were moved, renamed, or have no known successor",
    )
    parser.add_argument(
        "--calibrate",
        type=int,
        metavar="SEED",
        help="draw N moves and renames of each tenth of confidence, as lines of a table to judge",
    )
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text")
    arguments = parser.parse_args(argv)
    if arguments.calibrate is not None:
        print(f"# seed {arguments.calibrate}")
        print(
            "\n".join(
                line for lines in calibration(Index(), arguments.top, arguments.calibrate) for line in lines
            )
        )
        return errors.CLEAN
    if arguments.sample is not None:
        drawn = sample(Index(), arguments.top, arguments.sample)
        if arguments.format == "json":
            print(console.document("index renames", seed=arguments.sample, sample=drawn))
        else:
            print("\n".join(f"{sort}: {line}" for sort, lines in drawn.items() for line in lines))
        return errors.CLEAN
    found = renames(Index(), arguments.top)
    if arguments.format == "json":
        print(console.document("index renames", renames=as_rows(found)))
    else:
        print(as_markdown(found) if arguments.format == "markdown" else as_text(found))
    return errors.CLEAN


def renames(index: Index, top: int) -> tuple[Renamed, ...]:
    """Return the `top` renames with the highest confidence; of equals, public and newer ones first."""
    found = [
        Renamed(package, index.versions(package)[step.last + 1], step)
        for package in index.packages
        for step in index.history(package)
        if step.change == "rename"
    ]
    return tuple(sorted(found, key=_order)[:top])


def sample(index: Index, size: int, seed: int) -> dict[str, tuple[str, ...]]:
    """Return `size` removed definitions each of three sorts: moved, renamed, and without known successor.

    The draw is stable: adding a definition to the index does not change the order of the others.
    """
    sorts: dict[str, list[str]] = {"move": [], "rename": [], "none": []}
    for package in index.packages:
        known = {(step.last, step.old_module, step.old_name): step for step in index.history(package)}
        for key in _vanished(index, package):
            step = known.get(key)
            line = f"{package} {index.versions(package)[key[0] + 1]} {location(*key[1:])}"
            if step is not None:
                line += f" -> {location(step.module, step.name)} {step.confidence:.2f} ({step.evidence})"
            sorts["none" if step is None else step.change].append(line)
    return {
        sort: tuple(sorted(sorted(lines, key=lambda line: _lot(line, seed))[:size]))
        for sort, lines in sorts.items()
    }


def calibration(index: Index, size: int, seed: int) -> list[list[str]]:
    """Return `size` moves and renames of each tenth of confidence from 0.5, with the number of all in it."""
    tenths: list[list[str]] = [[] for _ in range(5)]
    for package in index.packages:
        versions = index.versions(package)
        for step in index.history(package):
            old, new = location(step.old_module, step.old_name), location(step.module, step.name)
            columns = (package, versions[step.last + 1], old, new, f"{step.confidence:.2f}", step.evidence)
            tenth = min(round(step.confidence * 100) // 10 - 5, len(tenths) - 1)
            tenths[tenth].append("\t".join(columns))
    return [
        [f"# {len(lines)} of 0.{tenth}", *sorted(sorted(lines, key=lambda line: _lot(line, seed))[:size])]
        for tenth, lines in enumerate(tenths, start=5)
    ]


def _vanished(index: Index, package: str) -> Iterator[tuple[int, str, str]]:
    before: release_diff.Modules = {}
    for release_index, modules in enumerate(replayed(read_content(index, package))):
        after = {module.name: module.names for module in modules}
        for module, names in release_diff.vanished(before, after).items():
            yield from ((release_index - 1, module, name) for name in names)
        before = after


def _lot(line: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}:{' '.join(line.split()[:3])}".encode()).digest()


def as_markdown(found: Iterable[Renamed]) -> str:
    """Return the renames as a Markdown table."""
    lines = [
        "| Release | Was | Is | Confidence | Evidence |",
        "|---|---|---|---|---|",
        *(
            f"| {each.package} {each.version} | `{_was(each)}` | `{_is(each)}` "
            f"| {each.step.confidence:.2f} | {each.step.evidence} |"
            for each in found
        ),
    ]
    return "\n".join(lines)


def as_text(found: Iterable[Renamed]) -> str:
    """Return one line of text for each rename."""
    return "\n".join(
        f"{each.step.confidence:.2f}  {each.package} {each.version}  {_was(each)} -> {_is(each)}"
        f"  ({each.step.evidence})"
        for each in found
    )


def as_rows(found: Iterable[Renamed]) -> Sequence[dict[str, object]]:
    """Return one JSON object for each rename."""
    return [
        {
            "package": each.package,
            "version": each.version,
            "from": _was(each),
            "to": _is(each),
            "confidence": each.step.confidence,
            "evidence": each.step.evidence,
        }
        for each in found
    ]


def _order(each: Renamed) -> tuple[float, bool, int, str, str, str]:
    step = each.step
    return (
        -step.confidence,
        step.old_name.startswith("_"),
        -step.last,
        each.package,
        step.old_module,
        step.old_name,
    )


def _was(each: Renamed) -> str:
    return location(each.step.old_module, each.step.old_name)


def _is(each: Renamed) -> str:
    return location(each.step.module, each.step.name)


if __name__ == "__main__":
    sys.exit(console.run(main))
