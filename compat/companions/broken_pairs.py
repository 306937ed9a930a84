"""Find the pairs whose servers cannot start: what sglang imports from vllm is not in that vllm."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from compat.index.reader import Index
from compat.index.records import Branch
from compat.model.guards import ALWAYS
from compat.model.release_ranges import ranges_of
from compat.model.releases import SGLANG, VLLM
from compat.model.symbols import split_location

SERVER_MODULES: Mapping[str, tuple[str, ...]] = {
    SGLANG: (
        "sglang.launch_server",
        "sglang.srt.server",
        "sglang.srt.entrypoints.http_server",
        "sglang.srt.entrypoints.engine",
        "sglang.srt.managers.scheduler",
        "sglang.srt.managers.detokenizer_manager",
        "sglang.srt.managers.tokenizer_manager",
    ),
    VLLM: (
        "vllm.entrypoints.openai.api_server",
        "vllm.entrypoints.cli.main",
        "vllm.entrypoints.llm",
        "vllm.engine.llm_engine",
        "vllm.v1.engine.core",
        "vllm.v1.worker.gpu_worker",
        "vllm.worker.worker",
    ),
}
"""What a server imports when it starts; releases have some of these modules."""
_MODELS = ("sglang.srt.models.llama", "sglang.srt.models.llama2")
"""A model that every release serves: if it cannot be imported, hardly any can."""


class BrokenPairs(NamedTuple):
    """A range of vllm releases beside which the server of an sglang release cannot start."""

    sglang: str
    first: str
    """The first vllm release."""
    last: str
    module: str
    """The sglang module whose import fails first."""
    target: str
    """What it imports, which these vllm releases do not have."""


def find_broken_pairs(index: Index) -> Iterator[BrokenPairs]:
    """Yield the pairs of indexed releases whose servers cannot start, ordered by release."""
    if SGLANG not in index.packages or VLLM not in index.packages:
        return
    versions = index.versions(VLLM)

    @cache
    def having(target: str) -> frozenset[int]:
        return frozenset(at for at in range(len(versions)) if _has(index, target, at))

    for at, sglang in enumerate(index.versions(SGLANG)):
        missing: dict[tuple[str, str], list[int]] = {}
        needs = _server_needs(index, at)
        for other in range(len(versions)):
            first = next(((module, each) for module, each in needs if other not in having(each)), None)
            if first is not None:
                missing.setdefault(first, []).append(other)
        for (module, target), others in missing.items():
            for each in ranges_of(others):
                yield BrokenPairs(sglang, versions[each.first], versions[each.last], module, target)


def _server_needs(index: Index, release_index: int) -> list[tuple[str, str]]:
    """Return what the server of an sglang release always imports from vllm, each with the module."""
    imports = index.release_imports(SGLANG, release_index)
    started = ("sglang", *SERVER_MODULES[SGLANG], *_MODELS)
    reached = always_imported(started, imports, index.modules(SGLANG, release_index))
    return sorted(
        (module, target)
        for module in reached
        for target in _always(imports.get(module, ()))
        if split_location(target)[0].partition(".")[0] == "vllm"
    )


def always_imported(
    start: Iterable[str], imports: Mapping[str, Sequence[Branch]], modules: Container[str]
) -> set[str]:
    """Return the modules of a release that some of them always import, with themselves.

    Args:
        start: the modules to begin with; those that the release does not have are left out.
        imports: the imports of each module: see `Index.release_imports`.
        modules: all modules of the release.
    """
    waiting = [each for each in start if each in modules]
    seen = set(waiting)
    while waiting:
        module = waiting.pop()
        for target in _always(imports.get(module, ())):
            source, name = split_location(target)
            below = f"{source}.{name}" if f"{source}.{name}" in modules else source
            parents = below.split(".")
            for end in range(1, len(parents) + 1):
                part = ".".join(parents[:end])
                if part in modules and part not in seen:
                    seen.add(part)
                    waiting.append(part)
    return seen


def _always(branches: Sequence[Branch]) -> Iterator[str]:
    return (branch.target for branch in branches if branch.target and branch.guard == ALWAYS)


def _has(index: Index, target: str, release_index: int) -> bool:
    """Return whether a vllm release has a location, or may have it."""
    module, name = split_location(target)
    row = index.module(module, VLLM, release_index)
    if row is None or not name:
        return row is not None
    branches = index.branches(module, name, VLLM, release_index)
    there = any(branch.status != "missing" for branch in branches)
    return there or row.open or index.has_submodule(module, name, VLLM, release_index)
