"""Read an index back: its rows, and the modules of each release before the merge."""

from collections import defaultdict
from collections.abc import Iterator

from compat.index.build.merge_releases import MergedModule
from compat.index.reader import Index
from compat.index.records import Names
from compat.index.writer import ModuleRange, NameRange, PackageContent


def replayed(content: PackageContent) -> Iterator[tuple[MergedModule, ...]]:
    """Yield the modules of each release in order; unchanged names are the same object in each."""
    starting: defaultdict[int, list[ModuleRange | NameRange]] = defaultdict(list)
    ending: defaultdict[int, list[ModuleRange | NameRange]] = defaultdict(list)
    everything: list[ModuleRange | NameRange] = [*content.module_ranges, *content.names]
    for each in everything:
        starting[each.first].append(each)
        ending[each.last + 1].append(each)
    modules: dict[str, ModuleRange] = {}
    names: dict[str, Names] = {}
    for release_index in range(len(content.releases)):
        changed = {each.module for each in (*starting[release_index], *ending[release_index])}
        names.update({module: dict(names.get(module, {})) for module in changed})
        for each in ending[release_index]:
            if isinstance(each, NameRange):
                del names[each.module][each.name]
            else:
                del modules[each.module]
        for each in starting[release_index]:
            if isinstance(each, NameRange):
                names[each.module][each.name] = each.branches
            else:
                modules[each.module] = each
        yield tuple(
            MergedModule(module, each.form, names.setdefault(module, {}), each.open)
            for module, each in sorted(modules.items())
        )


def read_content(index: Index, package: str) -> PackageContent:
    """Return the rows of a package in an index, as they were written."""
    return PackageContent(
        package=package,
        imports=tuple(sorted(top for top, owners in index.owners.items() if package in owners)),
        releases=index.releases(package),
        module_ranges=tuple(index.module_ranges(package)),
        names=tuple(index.name_ranges(package)),
        successors=index.history(package),
    )


def merged(index: Index, package: str, release_index: int) -> tuple[MergedModule, ...]:
    """Return the modules of one release, as `replayed` yields them."""
    names = index.release_names(package, release_index)
    return tuple(
        MergedModule(module, row.form, names.get(module, {}), row.open)
        for module, row in index.modules(package, release_index).items()
    )
