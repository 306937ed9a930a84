"""The command `compat scan`: collect the source files, check them, write the report."""

from collections.abc import Iterator, Sequence
from importlib import import_module

from compat import errors
from compat._cli import console
from compat._cli.text import counted
from compat.errors import NothingSelectedError
from compat.model.release_ranges import range_text
from compat.scan import options as command_line
from compat.scan.findings import Finding, Report, unread_finding
from compat.scan.options import ScanOptions
from compat.scan.prefilter.mentions import mentions_package
from compat.scan.settings.kinds import python_worth_reading, texts_worth_reading
from compat.scan.sources.discovery import Files, Skipped, Walk, require_paths
from compat.sources.command_line import Texts, with_named_sources, with_sources

parser = command_line.parser


def main(argv: Sequence[str]) -> int:
    """Run `compat scan` and return its exit code."""
    with console.no_cycle_search():  # garbage collection would take a quarter of the time
        return _run(argv)


def _run(argv: Sequence[str]) -> int:
    options = command_line.parse(argv)
    require_paths(options.paths)
    wanted: Texts = {"sglang": options.sglang, "vllm": options.vllm}
    further = ("settings",) if options.select & {"CPT007", "CPT008"} else ()
    files, wanted = with_sources(wanted, options.indexes, further=further)
    options = options._replace(indexes=files, sglang=wanted["sglang"], vllm=wanted["vllm"])
    compared = {"--from": options.old, "--to": options.new}
    files, named = with_named_sources(compared, files or options.indexes, further=further)
    options = options._replace(indexes=files, old=named["--from"], new=named["--to"])
    report = scan(options)
    if "CPT000" not in options.select:
        for skipped in report.skipped:
            console.say(f"{skipped.path}: {skipped.reason}")
    for each in report.release_sets:
        console.say(
            f"{each.package} {range_text((each.versions[0], each.versions[-1]))} "
            f"({counted(len(each.versions), 'release')}): {each.source}"
        )
    if options.write_baseline:
        from compat.scan import baseline

        baseline.write(options.write_baseline, report.findings)
        return errors.CLEAN
    if options.fix or options.diff:
        from compat.scan.fix.cli import run

        return run(report, options)
    reported = [finding for finding in report.findings if finding.level != "note"]
    document: str = import_module(f"compat.scan.formats.{options.format}_").render(report, options)
    _write(document, options.output)
    return errors.FINDINGS if reported else errors.CLEAN


def scan(options: ScanOptions) -> Report:
    """Scan the paths of the options and return the report.

    Raises:
        NothingSelectedError: no source file was found, or no release matches.
        UsageError: an option names a release that does not exist.
    """
    walk = Walk(options.exclude)
    skipped: list[Skipped] = []
    files = list(walk.files(options.paths))
    store = Files()
    texts = texts_worth_reading(walk.texts, store.read)
    if not files and not texts:
        passed = "; ".join(f"{each.path}: {each.reason}" for each in walk.skipped)
        raise NothingSelectedError(
            f"nothing to scan: {passed}"
            if passed
            else f"{' '.join(options.paths)}: no Python file found, and no "
            "script or configuration file that names the packages"
        )
    _tell_copies(files)
    candidates = [*_candidates(files, store, skipped), *texts]
    skipped = [*walk.skipped, *skipped]
    count = len(files) + len(texts) + len(walk.skipped)
    unread = tuple(_unread(options, skipped))
    if not candidates:
        _check_specifiers(options)
        return Report(unread, tuple(skipped), (), count, 0)
    from compat.scan.runner import check_candidates

    found = check_candidates(options, files, candidates, store, texts)
    return found._replace(
        findings=(*unread, *found.findings),
        skipped=(*skipped, *found.skipped),
        files=count,
    )


def _tell_copies(files: Sequence[str]) -> None:
    """Say which copies of the packages the tree ships."""
    if any(path.endswith(("/vllm/__init__.py", "/sglang/__init__.py")) for path in files):
        from compat.scan.project.copy_notes import copy_notes

        for note in copy_notes(files):
            console.say(note)


def _unread(options: ScanOptions, skipped: Sequence[Skipped]) -> Iterator[Finding]:
    """Yield the findings for files and folders that cannot be read, unless the baseline lists them."""
    if not skipped or "CPT000" not in options.select:
        return
    from compat.scan.baseline import known_findings

    known = known_findings(options.baseline)
    for each in skipped:
        finding = unread_finding(each.path, each.reason)
        if not known(finding):
            yield finding


def _candidates(files: Sequence[str], store: Files, skipped: list[Skipped]) -> list[str]:
    found = []
    for path in files:
        try:
            data = store.read(path)
            if (store.names_package(path) and mentions_package(path, data)) or python_worth_reading(data):
                found.append(path)
        except OSError as error:  # noqa: PERF203 -- one file does not stop the rest
            skipped.append(Skipped(path, error.strerror or str(error)))
    return found


def _check_specifiers(options: ScanOptions) -> None:
    """Reject invalid values of --sglang and --vllm even when no file refers to the packages."""
    if options.sglang or options.vllm:
        from compat.index.extended import open_index
        from compat.scan.releases.selection import requested_releases

        index = open_index(options.indexes)
        for package in ("sglang", "vllm"):
            texts: tuple[str, ...] = getattr(options, package)
            if texts:
                requested_releases(index, package, texts, f"--{package}")


def _write(text: str, output: str | None) -> None:
    if output:
        from pathlib import Path

        from compat._util.atomic_write import write_text

        write_text(Path(output), f"{text}\n" if text else "")
    elif text:
        print(text, flush=True)
