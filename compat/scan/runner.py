"""Check the candidate files of a scan against the index, for several sets of releases at once."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from compat.index.extended import open_index
from compat.index.reader import Index
from compat.scan.baseline import known_findings
from compat.scan.check.file_checker import Analysis, FileResult, without_duplicates
from compat.scan.check.scanned_tree import ScannedTree
from compat.scan.comparison import compared_releases, only_new
from compat.scan.findings import Finding, Report
from compat.scan.fits import asked_packages, fit_of, for_fits, started_packages, used_packages
from compat.scan.options import ScanOptions
from compat.scan.prefilter.mentions import mentions_package
from compat.scan.release_facts import Change
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
    """Return the report on files that mention the packages, with the releases that they fit if wanted.

    Which packages these are said for is mostly known before: their releases are checked together with the
    selected ones, file by file.

    Args:
        options: the options of the scan.
        files: all source files.
        candidates: the files to check, of any kind.
        store: reads files.
        texts: the scripts and configuration files that name the packages.
    """
    index = open_index(options.indexes)
    scan = _Scan(files, candidates, store, texts)
    chosen = scan.releases(options, index)
    if not options.fits:
        return scan.reports([(options, chosen)])[0]
    used = used_packages([path for path in candidates if path not in texts], store)
    wanted = used | started_packages(texts, store)
    early = [each.package for each in chosen if each.package in wanted and not each.pinned]
    report, *every = scan.reports([(options, chosen), *scan.every_release(options, early, index)])
    asked = asked_packages(report, wanted)
    late = [package for package in asked if package not in early]
    every += scan.reports(scan.every_release(options, late, index))
    findings = [finding for each in every for finding in each.findings]
    refused = [release for each in every for release in each.refused]
    fits = (
        fit_of(package, index.versions(package), findings, judged, refused)
        for package, judged in asked.items()
    )
    return report._replace(fits=tuple(each for each in fits if each.telling or each.package in used))


Check = tuple[ScanOptions, Sequence[ReleaseSet]]
"""What to check: the options, and the releases of each package."""


class _Scan(NamedTuple):
    """The files of a scan; its fields are those of `check_candidates`."""

    files: Sequence[str]
    candidates: Sequence[str]
    store: Files
    texts: Sequence[str]

    def releases(self, options: ScanOptions, index: Index) -> list[ReleaseSet]:
        """Return the releases that options select."""
        return list(select_releases(options, index, self.files, self.store, self.texts))

    def every_release(self, options: ScanOptions, packages: Sequence[str], index: Index) -> list[Check]:
        """Return what to check to find the releases of some packages that fit; nothing for no packages."""
        wanted = for_fits(options, packages)
        return [(wanted, self.releases(wanted, index))] if packages else []

    def reports(self, checks: Sequence[Check]) -> list[Report]:
        """Return a report for each of several checks; each file is read once for all of them."""
        if not checks:
            return []
        other = frozenset(self.texts)
        made: list[list[Analysis]] = []

        def is_code(path: str) -> bool:
            return (
                path not in other
                and self.store.names_package(path)
                and mentions_package(path, self.store.read(path))
            )

        def work(paths: Iterator[str]) -> list[list[FileResult]]:
            scanned = ScannedTree(open_index(checks[0][0].indexes), self.files, self.store)
            made.append([_analysis(scanned, *each) for each in checks])
            checkers = [
                (each, _settings_checker(options, each, self.files, self.texts, self.store))
                for each, (options, _) in zip(made[-1], checks, strict=True)
            ]
            found = []
            for path in paths:
                code = is_code(path)
                found.append([_checked(path, *each, code=code) for each in checkers])
            return found

        # A script takes a fraction of the time of a module.
        sizes = [len(self.store.read(path)) // (_LIGHT if path in other else 1) for path in self.candidates]
        results = map_files(work, self.candidates, sizes)
        # The analyses of this process, with the files that it has parsed.
        return [
            self._report(options, analysis, examined)
            for (options, _), analysis, examined in zip(
                checks, made[-1], zip(*results, strict=True), strict=True
            )
        ]

    def _report(self, options: ScanOptions, analysis: Analysis, examined: Sequence[FileResult]) -> Report:
        """Return the report on the results for all candidates."""
        found = [finding for each in examined for finding in each.findings]
        if any(each.may_lack_names for each in examined):
            results = dict(zip(self.candidates, examined, strict=True))
            found += _reexport_findings(analysis, self.files, results)
            order = {path: number for number, path in enumerate((*self.files, *self.texts))}
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

            compared = compared_releases(options, analysis.scanned.index, self.files, self.store)
            findings = only_new(findings, compared)
            code = [path for path in self.candidates if path not in self.texts]
            changes = changes_of(analysis, code, compared)
        skipped = tuple(each.skipped for each in examined if each.skipped)
        release_sets = tuple(checker.lookup.release_set for checker in analysis.checkers.values())
        refused = tuple(_refused(analysis)) if options.refused else ()
        count = len(self.files), len(self.candidates)
        return Report(findings, skipped, release_sets, *count, refused=refused, changes=changes)


def _refused(analysis: Analysis) -> Iterator[tuple[str, str]]:
    """Yield the packages and releases that the tree itself refuses."""
    for package, checker in analysis.checkers.items():
        refused = checker.refused()
        for slot, version in enumerate(checker.lookup.release_set.versions):
            if refused >> slot & 1:
                yield package, version


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
    modules = [
        analysis.scanned.modules.module(path) for path, each in examined.items() if each.may_lack_names
    ]
    yield from Reexports(analysis, files).findings([module for module in modules if module is not None])


def make_analysis(
    options: ScanOptions, files: Sequence[str], store: Files, texts: Sequence[str] = ()
) -> Analysis:
    """Return the analysis of the selected releases."""
    index = open_index(options.indexes)
    chosen = select_releases(options, index, files, store, texts)
    return _analysis(ScannedTree(index, files, store), options, list(chosen))


def _analysis(scanned: ScannedTree, options: ScanOptions, chosen: Sequence[ReleaseSet]) -> Analysis:
    release_sets = {each.package: each for each in chosen}
    return Analysis(scanned, release_sets, causes=options.causes, rules=options.select)


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
