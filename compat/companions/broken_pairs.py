"""Find the pairs with modules of sglang that take from vllm what that vllm does not have."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import NamedTuple

from compat.index.query.import_graph import always_imported, directly_imported, unguarded_targets
from compat.index.reader import Index
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
    """A range of vllm releases beside which modules of an sglang release cannot be imported."""

    sglang: str
    first: str
    """The first vllm release."""
    last: str
    module: str
    """The sglang module whose import fails first."""
    target: str
    """What it imports, which these vllm releases do not have."""
    modules: int | None
    """How many modules fail, such as models and quantization; None if the server cannot start at all."""


def find_broken_pairs(index: Index) -> Iterator[BrokenPairs]:
    """Yield the pairs of indexed releases with modules that cannot be imported, ordered by release."""
    if SGLANG not in index.packages or VLLM not in index.packages:
        return
    versions = index.versions(VLLM)

    @cache
    def having(target: str) -> frozenset[int]:
        return frozenset(at for at in range(len(versions)) if _has(index, target, at))

    for at, sglang in enumerate(index.versions(SGLANG)):
        release = _Release(index, at)
        broken: dict[tuple[str, str, int | None], list[int]] = {}
        for other in range(len(versions)) if release.needs else ():
            missing = [each for each in release.needs if other not in having(each[1])]
            if missing:
                started = [each for each in missing if each[0] in release.server]
                failing = None if started else len(release.importing(module for module, _ in missing))
                broken.setdefault((*(started or missing)[0], failing), []).append(other)
        for cause, others in broken.items():
            for each in ranges_of(others):
                yield BrokenPairs(sglang, versions[each.first], versions[each.last], *cause)


class _Release:
    """What the modules of one sglang release always import."""

    def __init__(self, index: Index, release_index: int) -> None:
        imports = index.release_imports(SGLANG, release_index)
        modules = index.modules(SGLANG, release_index)
        self.needs = sorted(
            (module, target)
            for module in modules
            for target in unguarded_targets(imports.get(module, ()))
            if split_location(target)[0].partition(".")[0] == "vllm"
        )
        """The modules that import something from vllm, each with one location."""
        if not self.needs:
            return
        self.server = always_imported(("sglang", *SERVER_MODULES[SGLANG], *_MODELS), imports, modules)
        """The modules that are imported when a server starts."""
        self._importers: dict[str, list[str]] = {}
        for module in modules:
            for imported in directly_imported(module, imports, modules):
                self._importers.setdefault(imported, []).append(module)

    def importing(self, broken: Iterable[str]) -> set[str]:
        """Return the modules that always import one of some modules, with these."""
        waiting = list(broken)
        found = set(waiting)
        while waiting:
            for module in self._importers.get(waiting.pop(), ()):
                if module not in found:
                    found.add(module)
                    waiting.append(module)
        return found


def _has(index: Index, target: str, release_index: int) -> bool:
    """Return whether a vllm release has a location, or may have it."""
    module, name = split_location(target)
    row = index.module(module, VLLM, release_index)
    if row is None or not name:
        return row is not None
    branches = index.branches(module, name, VLLM, release_index)
    there = any(branch.status != "missing" for branch in branches)
    return there or row.open or index.has_submodule(module, name, VLLM, release_index)
