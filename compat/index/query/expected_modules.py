"""List the quantization modules of a pair with their names, as the index expects them in its environment."""

from collections.abc import Container, Iterable
from fnmatch import fnmatchcase

from compat.index.query.answers import Facts
from compat.index.query.name_resolution import NameResolver
from compat.index.reader import Index
from compat.locks.lockfile import Lock
from compat.model.releases import IMPORT_NAMES, KERNELS, PACKAGES, SGLANG, VLLM, Pair
from compat.probe.expectation import ModuleExpectation, NameExpectation

SUBJECTS = (
    "sglang.srt.layers.quantization",
    "sglang.srt.layers.quantization.*",
    "sglang.srt.layers.linear",
    "sglang.srt.layers.parameter",
    "sglang.srt.layers.vocab_parallel_embedding",
    "vllm.model_executor.layers.quantization",
    "vllm.model_executor.layers.quantization.*",
    "vllm.model_executor.layers.linear",
    "vllm.model_executor.layers.vocab_parallel_embedding",
    "vllm.model_executor.parameter",
    "sgl_kernel",
    "sgl_kernel.gemm",
    "sgl_kernel.marlin",
    "sgl_kernel.quantization",
    "sgl_kernel.quantization.*",
)
"""Patterns of the modules that "compat matrix" checks: quantization, layers, parameters and kernels."""


def environment(
    pair: Pair, lock: Lock, index: Index, *, cuda: bool | None, without: Iterable[str] = ()
) -> Facts:
    """Return the facts that decide guards in the environment of `lock`.

    Args:
        pair: the locked pair; its known failures that affect importers count as modules that fail to import.
        lock: its lock, which lists everything that is installed.
        index: the index that contains the releases.
        cuda: whether there is a CUDA device; None when not known.
        without: top-level import names that count as not installed.

    Raises:
        UsageError: a release of the lock is not in the index.
    """
    missing = set(without)
    release_indexes: dict[str, int] = {
        package: index.release_index(package, str(lock.packages[package]), f"lock of {pair.id}")
        for package in PACKAGES
        if package in lock.packages and package in index.packages and IMPORT_NAMES[package] not in missing
    }
    provided = {name for names in lock.imports.values() for name in names}
    here = {IMPORT_NAMES[package] for package in release_indexes}
    return Facts(
        release_indexes=release_indexes,
        absent=frozenset((set(IMPORT_NAMES.values()) - here) | missing),
        provided=frozenset(provided - missing),
        cuda=cuda,
        broken={
            entry.location: entry.reason
            for entry in pair.expect
            if entry.spreads and entry.applies(cuda=cuda)
        },
    )


def expectations(
    pair: Pair, lock: Lock, *, cuda: bool, index: Index | None = None, everything: bool = False
) -> tuple[ModuleExpectation, ...]:
    """Return the expected names of the quantization modules of a pair, ordered by module.

    Names that a module binds only in other releases have the status `missing`, and so have
    modules that exist only in other releases.

    Args:
        pair: the pair.
        lock: its lock.
        cuda: whether the machine has a CUDA device.
        index: the index; by default the shipped one.
        everything: whether to return all modules that the releases have.
    """
    index = index or Index()
    resolver = NameResolver(index, environment(pair, lock, index, cuda=cuda))
    return all_expected_in(resolver) if everything else expected_in(resolver)


def all_expected_in(
    resolver: NameResolver, only: Container[str] | None = None
) -> tuple[ModuleExpectation, ...]:
    """Return the expected names of all modules of the releases in an environment, or some, by module."""
    return tuple(
        _module(resolver, package, module)
        for package, release_index in sorted(resolver.environment.release_indexes.items())
        for module in sorted(resolver.index.modules(package, release_index))
        if only is None or module in only
    )


def expected_in(resolver: NameResolver) -> tuple[ModuleExpectation, ...]:
    """Return the expected names of the quantization modules in an environment, ordered by module."""
    found: dict[str, ModuleExpectation] = {}
    for package in (*KERNELS, SGLANG, VLLM):
        release_index = resolver.environment.release_indexes.get(package)
        if release_index is None:
            continue
        modules = resolver.index.modules(package, release_index)
        for name in filter(is_subject, resolver.index.modules_ever(package)):
            found.setdefault(name, ModuleExpectation(module=name, exists=False))
            if name in modules:
                found[name] = _module(resolver, package, name)
    return tuple(found[name] for name in sorted(found))


def is_subject(module: str) -> bool:
    """Return whether `compat matrix` checks a module."""
    return any(fnmatchcase(module, subject) for subject in SUBJECTS)


def _module(resolver: NameResolver, package: str, module: str) -> ModuleExpectation:
    release_index = resolver.environment.release_indexes[package]
    names = sorted(
        {*resolver.index.names(module, package, release_index), *resolver.index.names_ever(module, package)}
    )
    row = resolver.index.module(module, package, release_index)
    return ModuleExpectation(
        module=module,
        exists=True,
        # matrix.toml lists the known failures; this list has only what follows from the index.
        problem=None if module in resolver.environment.broken else resolver.problem(module),
        open=row is None or row.open,
        names=tuple(_name(resolver, module, name) for name in names if name and not _is_dunder(name)),
    )


def _name(resolver: NameResolver, module: str, name: str) -> NameExpectation:
    answer = resolver.answer(module, name)
    return NameExpectation(
        name=name,
        status=answer.status,
        kind=answer.kind or "value",
        origin=answer.origin,
        guarded=answer.guard is not None,
    )


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
