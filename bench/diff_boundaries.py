"""Compare where `compat diff` and its bisection find that names disappear with the index's own answer.

`python bench/diff_boundaries.py releases FOLDER` makes a repository of the first 60 releases of vllm that the
cache of sources has, one commit each, and compares with the index. With `commits git+file:./vllm@A..B` it
compares with a reading of every commit. Both draw 40 names that disappear.
"""

import json
import random
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from compat.diff.bisect import boundaries
from compat.diff.changes import Comparison
from compat.diff.commit_range import CommitRange, is_there
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone
from compat.index.reader import Index
from compat.model.releases import ReleaseMetadata
from compat.model.symbols import location, split_location
from compat.sources.opening import cache_folder
from compat.sources.stores.addresses import parse_address
from compat.sources.stores.git_objects import Repository
from compat.sources.stores.located import commits

SEED = 22
NAMES = 40
RELEASES = 60

States = Sequence[frozenset[str]]


def draw(states: States) -> list[str]:
    """Return names that the first state has and a later one lacks, drawn with the seed."""
    lost = sorted(name for name in states[0] if not all(name in state for state in states))
    return sorted(random.Random(SEED).sample(lost, min(NAMES, len(lost))))  # noqa: S311


def first_lost(count: int, has: Callable[[int], bool]) -> int | None:
    """Return the place at which bisection finds that a name disappears."""
    return next((each.after for each in boundaries(count, has) if has(each.before)), None)


def of_releases(folder: Path) -> None:
    """Compare with the index, over a repository of releases."""
    index = Index()
    chosen = [
        (at, row)
        for at, row in enumerate(index.releases("vllm"))
        if (cache_folder() / "sources" / f"{row.sha256}.z").is_file()
    ][:RELEASES]
    write_repository(folder, [row for _, row in chosen])
    repository = Repository(folder)
    found = commits(repository, f"HEAD~{len(chosen) - 1}..HEAD", "test")
    begun = time.perf_counter()
    measured = CommitRange(repository, found, "vllm", "test")
    resolvers = [measured.resolver(place) for place in range(len(found))]
    seconds = (time.perf_counter() - begun) / len(found)
    releases = [NameResolver(index, alone(index, "vllm", at)) for at, _ in chosen]
    names = own_names(index, chosen[0][0])
    states = [had(names, each) for each in releases]
    drawn, same = draw(states), 0
    for name in drawn:
        place = split_location(name)
        has = lru_cache(maxsize=None)(lambda at, place=place: is_there(resolvers[at], *place))
        ours = first_lost(len(found), has)
        linear = next(at for at in range(1, len(found)) if not has(at) and has(at - 1))
        theirs = next(
            at for at, state in enumerate(states) if at and name not in state and name in states[at - 1]
        )
        comparison = Comparison(index, "vllm", chosen[theirs - 1][0], chosen[theirs][0])
        change = comparison.of(*place)
        told = change is not None and change.sort in ("removed", "moved", "renamed", "placeholder")
        same += ours == theirs == linear and told
        if not (ours == theirs == linear and told):
            print(
                name, "bisect", ours, "every commit", linear, "index", theirs, "diff", change and change.sort
            )
    print(
        f"seed {SEED}: {same} of {len(drawn)} names, {len(found)} commits, {seconds:.2f} s per commit",
        flush=True,
    )


def of_commits(text: str) -> None:
    """Compare with a reading of every commit of a range."""
    address = parse_address(text)
    repository = Repository(Path(address.path))
    found = commits(repository, address.ref, "test")
    measured = CommitRange(repository, found, "vllm", "test")
    begun = time.perf_counter()
    resolvers = [measured.resolver(place) for place in range(len(found))]
    seconds = (time.perf_counter() - begun) / len(found)
    names = own_names(measured.index, measured.index.published("vllm"))
    states = [
        frozenset(name for name in names if is_there(each, *split_location(name))) for each in resolvers
    ]
    drawn, same = draw(states), 0
    for name in drawn:
        has = [name in state for state in states]
        linear = next(at for at in range(1, len(found)) if has[at - 1] and not has[at])
        ours = first_lost(len(found), has.__getitem__)
        same += ours == linear
        if ours != linear:
            print(name, "bisect", ours, "every commit", linear)
    print(
        f"seed {SEED}: {same} of {len(drawn)} names, {len(found)} commits, {seconds:.2f} s per commit",
        flush=True,
    )


def had(names: Sequence[str], resolver: NameResolver) -> frozenset[str]:
    """Return those of some locations that are there."""
    return frozenset(name for name in names if is_there(resolver, *split_location(name)))


def own_names(index: Index, release_index: int) -> list[str]:
    """Return the locations that a release defines."""
    return [
        location(module, name)
        for module, rows in index.release_names("vllm", release_index).items()
        for name, branches in rows.items()
        if name and any(row.status == "defined" and row.kind != "value" for row in branches)
    ]


def write_repository(folder: Path, releases: Sequence[ReleaseMetadata]) -> None:
    """Write a repository with one commit for each release, unless it is there."""
    if (folder / ".git").exists():
        return
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    stream = b"".join(_commands(releases))
    subprocess.run(["git", "-C", str(folder), "fast-import", "--quiet"], input=stream, check=True)
    subprocess.run(["git", "-C", str(folder), "symbolic-ref", "HEAD", "refs/heads/releases"], check=True)


def _commands(releases: Sequence[ReleaseMetadata]) -> Iterator[bytes]:
    for number, row in enumerate(releases):
        message = f"vllm {row.version}".encode()
        yield b"commit refs/heads/releases\ncommitter a <a@example.com> %d +0000\n" % (1_700_000_000 + number)
        yield b"data %d\n%s\ndeleteall\n" % (len(message), message)
        packed = (cache_folder() / "sources" / f"{row.sha256}.z").read_bytes().split(b"\n", 2)[2]
        line, _, body = zlib.decompress(packed).partition(b"\n")
        head, start = json.loads(line), 0
        for path, size in head["sizes"].items():
            yield b"M 644 inline %s\ndata %d\n%s\n" % (path.encode(), size, body[start : start + size])
            start += size
        for path in head["extensions"]:
            yield b"M 644 inline %s\ndata 0\n\n" % path.encode()


if __name__ == "__main__":
    if sys.argv[1] == "releases":
        of_releases(Path(sys.argv[2]))
    else:
        of_commits(sys.argv[2])
