"""Measure the accuracy of CPT005: compare calls in real code with the signatures of an installed pair.

    python bench/call_truth.py --env PYTHON --sample 60 --seed 1 FOLDER…

The script draws two seeded samples from the calls in the folders whose callee is known in the releases of
that environment: calls that the scan reports, and calls that it judges and does not report. The arguments of
each, as the source shows them, are bound to the signature of the real object in a process of its own.
"""

import argparse
import json
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from scan_truth import VERSIONS, ran

from compat.callables.parameters import misfit
from compat.index.reader import Index
from compat.scan.calls.call_checker import CallChecker
from compat.scan.calls.call_sites import CallSite, call_sites
from compat.scan.check.file_checker import Analysis
from compat.scan.check.scanned_tree import ScannedTree
from compat.scan.prefilter.mentions import mentions_package
from compat.scan.project.module_names import module_name
from compat.scan.releases import selection
from compat.scan.sources.discovery import Unreadable, Walk, read
from compat.scan.syntax.aliases import Aliases
from compat.scan.syntax.references import references


class Call(NamedTuple):
    """A call of one callee, and whether the scan reports it."""

    path: str
    line: int
    target: str
    """The dotted path of the callee, or of the class of the object."""
    method: str
    """The method, if it is called on an object of a class."""
    positional: int
    keywords: tuple[str, ...]
    partial: bool
    """Whether more arguments may follow than the source shows."""
    told: bool

    @property
    def asked(self) -> list[Any]:
        """The call as the other process takes it."""
        return [self.target, self.method, self.positional, list(self.keywords), self.partial]

    def __str__(self) -> str:
        callee = f"{self.target}.{self.method}".rstrip(".")
        arguments = ", ".join(
            [*("…" for _ in range(self.positional)), *(f"{each}=" for each in self.keywords)]
        )
        return f"{self.path}:{self.line} {callee}({arguments})"


def main() -> int:
    """Draw, bind, count."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", nargs="+", help="source trees")
    parser.add_argument("--env", required=True, help="Python of an installed pair")
    parser.add_argument("--sample", type=int, default=60, help="of each kind (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="print every call with its outcome")
    arguments = parser.parse_args()
    versions = json.loads(subprocess.check_output([arguments.env, "-c", VERSIONS], text=True))
    calls = sorted({call for folder in arguments.folder for call in _calls(folder, versions)})
    draw = random.Random(arguments.seed)  # noqa: S311 -- a draw that can be repeated
    print(f"{versions}: {len(calls)} calls that are judged, seed {arguments.seed}", flush=True)
    for told in (True, False):
        pool = [call for call in calls if call.told is told]
        drawn = draw.sample(pool, min(arguments.sample, len(pool)))
        outcomes = ran("call_truth_runner.py", arguments.env, [call.asked for call in drawn])
        verdicts = [_verdict(call, outcome) for call, outcome in zip(drawn, outcomes, strict=True)]
        counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(Counter(verdicts).items()))
        print(f"{'told' if told else 'not told'}: drawn {len(drawn)} of {len(pool)}: {counts}")
        for call, outcome, verdict in zip(drawn, outcomes, verdicts, strict=True):
            if arguments.list or verdict != "right":
                print(f"  {verdict}: {call}: {outcome}", flush=True)
    return 0


def _verdict(call: Call, outcome: str) -> str:
    """Return `right` or `wrong`, or `not judged` if this machine has no signature of the callee."""
    if outcome not in ("binds", "refuses") and not outcome.startswith("refuses: "):
        return "not judged"
    return "right" if call.told is outcome.startswith("refuses") else "wrong"


def _calls(folder: str, versions: dict[str, str]) -> Iterator[Call]:
    index = Index()
    chosen = {
        package: selection.requested_releases(index, package, [version], "--env")
        for package, version in versions.items()
    }
    analysis = Analysis(ScannedTree(index, Walk().files((folder,))), chosen, rules=("CPT005",))
    for path in Walk().files((folder,)):
        try:
            if path.endswith(".py") and mentions_package(path, read(path)):
                yield from _of_file(analysis, path)
        except (OSError, Unreadable):  # noqa: PERF203 -- one file does not stop the rest
            continue


def _of_file(analysis: Analysis, path: str) -> Iterator[Call]:
    source = analysis.scanned.parsed(path)
    told = {(each.line, each.column) for each in analysis.check_file(path).findings if each.rule == "CPT005"}
    module = analysis.scanned.modules.module(path)
    if module is None:
        return
    aliases = Aliases(source.tree)
    references(source, module_name(path), aliases=aliases)  # it fills them
    for site in call_sites(source, aliases):
        place = site.node.lineno, site.node.col_offset + 1
        for calls, _ in analysis._calls._packages:  # noqa: SLF001 -- as in scan_truth
            if site.way != "super" and len(site.paths) == 1 and (place in told or _fits(calls, site)):
                arguments = site.arguments
                more = arguments.more_positional or arguments.more_keywords or arguments.partial
                yield Call(
                    *(path, site.node.lineno, site.paths[0], site.method, arguments.positional),
                    *(tuple(arguments.keywords), more, place in told),
                )
                break


def _fits(calls: CallChecker, site: CallSite) -> bool:
    """Return whether a callee is known for certain in the release, and takes a call."""
    callees = calls._callees  # noqa: SLF001 -- as in scan_truth
    if site.paths[0].partition(".")[0] != callees.package:
        return False
    asked = (
        callees.by_object(site.paths[0], site.method)
        if site.way == "instance"
        else callees.by_path(site.paths[0])
    )
    accepted = asked.at(calls._release_set.release_indexes[0])  # noqa: SLF001 -- as in scan_truth
    if accepted is None or not accepted.parameters.certain:
        return False
    return misfit(site.arguments, accepted.parameters, bound=accepted.bound) is None


if __name__ == "__main__":
    raise SystemExit(main())
