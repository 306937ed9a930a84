"""An index read back: its contents as they were written, and each release as it was merged."""

from collections import defaultdict
from collections.abc import Iterator

from compat.index.build.merge_releases import MergedModule
from compat.index.reader import Index
from compat.index.records import Names
from compat.index.writer import NameSpan, PackageContent, Span


def replayed(content: PackageContent) -> Iterator[tuple[MergedModule, ...]]:
    """Yield the modules of each release in order; unchanged names are the very same object again."""
    starting: defaultdict[int, list[Span | NameSpan]] = defaultdict(list)
    ending: defaultdict[int, list[Span | NameSpan]] = defaultdict(list)
    everything: list[Span | NameSpan] = [*content.spans, *content.names]
    for span in everything:
        starting[span.first].append(span)
        ending[span.last + 1].append(span)
    spans: dict[str, Span] = {}
    names: dict[str, Names] = {}
    for position in range(len(content.releases)):
        changed = {span.module for span in (*starting[position], *ending[position])}
        names.update({module: dict(names.get(module, {})) for module in changed})
        for span in ending[position]:
            if isinstance(span, NameSpan):
                del names[span.module][span.name]
            else:
                del spans[span.module]
        for span in starting[position]:
            if isinstance(span, NameSpan):
                names[span.module][span.name] = span.branches
            else:
                spans[span.module] = span
        yield tuple(
            MergedModule(module, span.form, names.setdefault(module, {}), span.open)
            for module, span in sorted(spans.items())
        )


def read_content(index: Index, package: str) -> PackageContent:
    """Return all that an index holds of a package, as it was written."""
    return PackageContent(
        package=package,
        imports=tuple(sorted(top for top, owners in index.owners.items() if package in owners)),
        releases=index.releases(package),
        spans=tuple(index.spans(package)),
        names=tuple(index.name_spans(package)),
        successions=index.successions(package),
    )


def merged(index: Index, package: str, position: int) -> tuple[MergedModule, ...]:
    """Return the modules of one release, as `replayed` yields them."""
    names = index.release_names(package, position)
    return tuple(
        MergedModule(module, row.form, names.get(module, {}), row.open)
        for module, row in index.modules(package, position).items()
    )
