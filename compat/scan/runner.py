"""Candidates held against the index: the part of a scan that takes more than a look at bytes."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from compat.index.reader import Index
from compat.scan.check.file_checker import Analysis, Examined, located
from compat.scan.findings import Finding, Releases, Report
from compat.scan.options import ScanOptions
from compat.scan.releases import selection
from compat.scan.releases.index_lookup import ReleaseSet
from compat.scan.releases.project_pins import pinned, pinned_inside, project_root
from compat.scan.sources.discovery import Files
from compat.scan.workers import shared


def examine(options: ScanOptions, files: Sequence[str], candidates: Sequence[str], store: Files) -> Report:
    """Return what is wrong in files that name the packages.

    Args:
        options: what the scan is asked to do.
        files: all source files.
        candidates: those to be looked into.
        store: reads them.
    """
    made: list[Analysis] = []

    def work(paths: Iterator[str]) -> list[Examined]:
        made.append(prepared(options, files, store))
        return [made[-1].examined(path) for path in paths]

    examined = shared(work, candidates, [len(store.read(path)) for path in candidates])
    analysis = made[-1]  # of this process: it has parsed its share
    found = [finding for each in examined for finding in each.findings]
    if any(each.lacking for each in examined):
        found += _handed_on(analysis, files, dict(zip(candidates, examined, strict=True)))
        order = {path: number for number, path in enumerate(files)}
        found.sort(key=lambda each: (order[each.path], each.line, each.column))
    known = _known(options)
    findings = tuple(
        finding for finding in located(found) if finding.rule in options.select and not known(finding)
    )
    skipped = tuple(each.skipped for each in examined if each.skipped)
    chosen = [checker.lookup.release_set for checker in analysis.checkers.values()]
    told = tuple(Releases(each.package, each.versions, each.source) for each in chosen)
    return Report(findings, skipped, told, len(files), len(candidates))


def _handed_on(
    analysis: Analysis, files: Sequence[str], examined: Mapping[str, Examined]
) -> Iterator[Finding]:
    """Yield the findings in files that take from others what these leave unbound."""
    from compat.scan.project.reexport_findings import Reexports

    for path, each in examined.items():
        analysis.broken.update({(path, package): mask for package, mask in each.broken})
    modules = [analysis.tree.module(path) for path, each in examined.items() if each.lacking]
    yield from Reexports(analysis, files).findings([module for module in modules if module is not None])


def prepared(options: ScanOptions, files: Sequence[str], store: Files) -> Analysis:
    """Return what analyses files for the releases that are asked about."""
    index = Index()
    chosen = {each.package: each for each in releases(options, index, files, store)}
    return Analysis(index, chosen, files, store)


def releases(options: ScanOptions, index: Index, files: Sequence[str], store: Files) -> Iterator[ReleaseSet]:
    """Yield the releases to ask about: what is asked for, else what the project pins, else the newest.

    A project that pins none may be made of projects that do: those with files that name a package are asked.
    """
    pins: dict[str, dict[str, str]] | None = None
    inside: dict[str, dict[str, str]] | None = None
    root = ""
    for package in ("sglang", "vllm"):
        texts: tuple[str, ...] = getattr(options, package)
        if texts:
            yield selection.asked(index, package, texts, f"--{package}")
            continue
        if pins is None:
            root = project_root(options.paths[0]) or os.path.abspath(options.paths[0])  # noqa: PTH100
            pins = pinned(root)
        own = pins.get(package, {})
        if not own and inside is None:
            inside = pinned_inside(root, _naming(files, store))
        yield _pinned(index, package, own or (inside or {}).get(package, {}))


def _naming(files: Sequence[str], store: Files) -> Iterator[str]:
    """Yield the files that name a package."""
    for path in files:
        with contextlib.suppress(OSError):
            if store.naming(path):
                yield path


def _pinned(index: Index, package: str, pins: dict[str, str]) -> ReleaseSet:
    versions = index.versions(package)
    at = {
        release_index for specifier in pins for release_index in selection.matches(versions, specifier) or ()
    }
    source = ", ".join(f"{package}{specifier} in {name}" for specifier, name in pins.items())
    if at:
        return selection.release_set(index, package, at, source)
    newest = selection.default(index, package)
    return newest._replace(source=f"{newest.source}; {source} is none that is known") if pins else newest


def _known(options: ScanOptions) -> Callable[[Finding], bool]:
    """Return what tells the findings that the baseline has."""
    if options.baseline is None:
        return lambda _: False
    from compat.scan.baseline import Baseline

    return Baseline(options.baseline)
