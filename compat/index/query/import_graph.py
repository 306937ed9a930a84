"""Which modules of a release always import which others of it, whatever guards decide."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from compat.index.reader import Index
from compat.index.records import Branch
from compat.model.guards import ALWAYS
from compat.model.releases import IMPORT_NAMES
from compat.model.symbols import split_location

SHARE = 0.03
"""The share of all modules that must import one before it counts as common to them."""


def unguarded_targets(branches: Sequence[Branch]) -> Iterator[str]:
    """Yield the locations that a module always imports."""
    return (branch.target for branch in branches if branch.target and branch.guard == ALWAYS)


def directly_imported(
    module: str, imports: Mapping[str, Sequence[Branch]], modules: Container[str]
) -> Iterator[str]:
    """Yield the modules that the import of a module runs first: its parents, and what it always imports.

    Args:
        module: the module.
        imports: the imports of each module: see `Index.release_imports`.
        modules: all modules of the release.
    """
    yield from _with_parents(module.rpartition(".")[0], modules)
    for target in unguarded_targets(imports.get(module, ())):
        source, name = split_location(target)
        below = f"{source}.{name}"
        yield from _with_parents(below if below in modules else source, modules)


def always_imported(
    start: Iterable[str], imports: Mapping[str, Sequence[Branch]], modules: Container[str]
) -> set[str]:
    """Return the modules of a release that some of them always import, with themselves.

    Args:
        start: the modules to begin with; those that the release does not have are left out.
        imports: the imports of each module.
        modules: all modules of the release.
    """
    waiting = [each for each in start if each in modules]
    seen = set(waiting)
    while waiting:
        for module in directly_imported(waiting.pop(), imports, modules):
            if module not in seen:
                seen.add(module)
                waiting.append(module)
    return seen


def commonly_imported(
    imports: Mapping[str, Sequence[Branch]], modules: Iterable[str], share: float = SHARE
) -> list[str]:
    """Return the modules that at least a share of all modules always import, the most common first."""
    order = sorted(modules)
    numbers = {module: at for at, module in enumerate(order)}
    edges = [
        [numbers[each] for each in dict.fromkeys(directly_imported(module, imports, numbers))]
        for module in order
    ]
    reached = [1 << at for at in range(len(order))]
    changed = True
    while changed:
        changed = False
        for at, below in enumerate(edges):
            found = reached[at]
            for each in below:
                found |= reached[each]
            if found != reached[at]:
                reached[at], changed = found, True
    counts = [0] * len(order)
    for found in reached:
        for at, bit in enumerate(reversed(f"{found:b}")):
            counts[at] += bit == "1"
    common = [at for at, count in enumerate(counts) if count >= max(2, share * len(order))]
    return [order[at] for at in sorted(common, key=lambda at: (-counts[at], order[at]))]


def common_modules(index: Index, versions: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what most modules of each release import, by top-level package.

    Args:
        index: the index.
        versions: indexed packages to versions; others are left out.
    """
    found = {}
    for package, version in versions.items():
        if package in index.packages and index.knows(package, version):
            at = index.release_index(package, version, package)
            modules = index.modules(package, at)
            found[IMPORT_NAMES[package]] = commonly_imported(index.release_imports(package, at), modules)
    return found


def _with_parents(module: str, modules: Container[str]) -> Iterator[str]:
    parts = module.split(".")
    names = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    return (name for name in names if name in modules)
