"""Check the candidate files of a scan against the index and return the report."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence

from compat.index.extended import open_index
from compat.index.reader import Index
from compat.scan.baseline import known_findings
from compat.scan.check.file_checker import Analysis, FileResult, without_duplicates
from compat.scan.comparison import compared_releases, only_new
from compat.scan.findings import Finding, Report
from compat.scan.fits import asked_packages, fit_of, for_fits, started_packages, used_packages
from compat.scan.options import ScanOptions
from compat.scan.prefilter.mentions import mentions_package
from compat.scan.release_facts import Change, Fit
from compat.scan.releases import selection
from compat.scan.releases.index_lookup import ReleaseSet
from compat.scan.releases.installed_pins import installed_pins
from compat.scan.releases.pinned_releases import pinned_releases
from compat.scan.releases.project_pins import (
    locked_versions,
    nested_pins,
    pinned_specifiers,
    project_root,
)
from compat.scan.settings.checker import SettingsChecker
from compat.scan.sources.discovery import Files
from compat.scan.workers import map_files

SETTINGS = frozenset({"CPT007", "CPT008"})
"""The rules about environment variables and options."""
_LIGHT = 8
"""How many bytes of a script take as long as one of a module."""


def check_candidates(
    options: ScanOptions,
    files: Sequence[str],
    candidates: Sequence[str],
    store: Files,
    texts: Sequence[str] = (),
) -> Report:
    """Return the report on files that mention the packages.

    Args:
        options: the options of the scan.
        files: all source files.
        candidates: the files to check, of any kind.
        store: reads files.
        texts: the scripts and configuration files that name the packages.
    """
    other = frozenset(texts)

    def is_code(path: str) -> bool:
        return path not in other and store.names_package(path) and mentions_package(path, store.read(path))

    analyses: list[Analysis] = []

    def work(paths: Iterator[str]) -> list[FileResult]:
        analyses.append(make_analysis(options, files, store, texts))
        settings = _settings_checker(options, analyses[-1], files, texts, store)
        return [_checked(path, analyses[-1], settings, code=is_code(path)) for path in paths]

    # A script takes a fraction of the time of a module.
    sizes = [len(store.read(path)) // (_LIGHT if path in other else 1) for path in candidates]
    examined = map_files(work, candidates, sizes)
    analysis = analyses[-1]  # of this process, with the files that it has parsed
    found = [finding for each in examined for finding in each.findings]
    if any(each.may_lack_names for each in examined):
        found += _reexport_findings(analysis, files, dict(zip(candidates, examined, strict=True)))
        order = {path: number for number, path in enumerate((*files, *texts))}
        found.sort(key=lambda each: (order[each.path], each.line, each.column))
    known = known_findings(options.baseline)
    findings = tuple(
        finding
        for finding in without_duplicates(found)
        if finding.rule in options.select and not known(finding)
    )
    changes: tuple[Change, ...] = ()
    if options.old or options.new:
        from compat.scan.release_changes import changes_of

        compared = compared_releases(options, analysis.index, files, store)
        findings = only_new(findings, compared)
        changes = changes_of(analysis, [path for path in candidates if path not in other], compared)
    skipped = tuple(each.skipped for each in examined if each.skipped)
    release_sets = tuple(checker.lookup.release_set for checker in analysis.checkers.values())
    refused = tuple(_refused(analysis)) if options.refused else ()
    return Report(
        findings, skipped, release_sets, len(files), len(candidates), refused=refused, changes=changes
    )


def _refused(analysis: Analysis) -> Iterator[tuple[str, str]]:
    """Yield the packages and releases that the tree itself refuses."""
    for package, checker in analysis.checkers.items():
        refused = checker.refused()
        for slot, version in enumerate(checker.lookup.release_set.versions):
            if refused >> slot & 1:
                yield package, version


def releases_that_fit(
    options: ScanOptions,
    files: Sequence[str],
    candidates: Sequence[str],
    store: Files,
    report: Report,
    *,
    texts: Sequence[str] = (),
) -> tuple[Fit, ...]:
    """Return the releases that the files fit, of the packages for which the report makes that worth saying.

    All releases are scanned for them.

    Args:
        options: the options of the scan.
        files: all source files.
        candidates: the files that mention a package.
        store: reads files.
        report: the report on the releases that were selected.
        texts: the scripts and configuration files among the candidates.
    """
    used = used_packages([path for path in candidates if path not in texts], store)
    asked = asked_packages(report, used | started_packages(texts, store))
    if not asked:
        return ()
    every = check_candidates(for_fits(options, asked), files, candidates, store, texts)
    index = open_index(options.indexes)
    fits = (
        fit_of(package, index.versions(package), every.findings, judged, every.refused)
        for package, judged in asked.items()
    )
    return tuple(each for each in fits if each.telling or each.package in used)


def _settings_checker(
    options: ScanOptions, analysis: Analysis, files: Sequence[str], texts: Sequence[str], store: Files
) -> SettingsChecker | None:
    """Return what checks variables and options; None if their rules are not selected."""
    rules = options.select & SETTINGS
    return SettingsChecker(analysis, files, texts, store, rules) if rules else None


def _checked(path: str, analysis: Analysis, settings: SettingsChecker | None, *, code: bool) -> FileResult:
    """Return the result of checking one file: its code if it refers to the packages, and its settings."""
    result = analysis.check_file(path) if code else FileResult([])
    found = settings.findings(path) if settings is not None else []
    if not found:
        return result
    return result._replace(findings=sorted([*result.findings, *found], key=lambda each: each.line))


def _reexport_findings(
    analysis: Analysis, files: Sequence[str], examined: Mapping[str, FileResult]
) -> Iterator[Finding]:
    """Yield the findings in files that import names which other files leave unbound in some releases."""
    from compat.scan.project.reexport_findings import Reexports

    for path, each in examined.items():
        analysis.broken.update({(path, package): mask for package, mask in each.broken})
    modules = [analysis.tree.module(path) for path, each in examined.items() if each.may_lack_names]
    yield from Reexports(analysis, files).findings([module for module in modules if module is not None])


def make_analysis(
    options: ScanOptions, files: Sequence[str], store: Files, texts: Sequence[str] = ()
) -> Analysis:
    """Return the analysis of the selected releases."""
    index = open_index(options.indexes)
    chosen = {each.package: each for each in select_releases(options, index, files, store, texts)}
    return Analysis(index, chosen, files, store, causes=options.causes, rules=options.select)


def select_releases(
    options: ScanOptions, index: Index, files: Sequence[str], store: Files, texts: Sequence[str] = ()
) -> Iterator[ReleaseSet]:
    """Yield the releases to check, per package: from the options, else from pins, else the newest.

    If the project has no pins, those of its lock file count, then the pins of projects inside it, if a file
    of theirs contains the name of a package, and then what its scripts and its CI install.
    """
    if options.old or options.new:
        for each in compared_releases(options, index, files, store):
            where = sorted(
                (index.versions(each.package).index(each.old), index.versions(each.package).index(each.new))
            )
            yield selection.release_set(index, each.package, where, f"{each.old} compared with {each.new}")
        return
    pins: dict[str, dict[str, str]] | None = None
    others: list[dict[str, dict[str, str]]] = []
    installed: dict[str, dict[str, str]] = {}
    refused: list[str] = []
    root = ""
    for package in options.packages:
        requested: tuple[str, ...] = getattr(options, package)
        if requested:
            yield selection.requested_releases(index, package, requested, f"--{package}")
            continue
        if pins is None:
            root = project_root(options.paths[0]) or os.path.abspath(options.paths[0])  # noqa: PTH100
            pins = pinned_specifiers(root, refused)
            installed = installed_pins(root, texts, store.read)
        own = pins.get(package, {})
        if not own and not others:
            others = [locked_versions(root), nested_pins(root, _files_with_package_names(files, store))]
        own = own or next((each[package] for each in others if each.get(package)), {})
        chosen = pinned_releases(index, package, own, installed.get(package, {}))
        yield chosen._replace(source="; ".join([chosen.source, *refused]))


def _files_with_package_names(files: Sequence[str], store: Files) -> Iterator[str]:
    """Yield the files that contain the name of a package."""
    for path in files:
        with contextlib.suppress(OSError):
            if store.names_package(path):
                yield path
