"""Measure the accuracy of `compat scan`: compare its findings in real code with an installed pair.

    python bench/scan_truth.py --env PYTHON --sample 100 --seed 1 FOLDER…

The script draws three seeded samples from the references in the folders to the releases of that environment:

1. references that the scan reports as broken, which are executed;
2. all references, executed without the guards around them: precision and recall;
3. import statements in their context, with the module's code before them: whether the environment reaches
   them, and whether code catches the failure (see `scan_sections.py`).

Each one is executed in a process of its own, forked from one that has loaded both packages. Failures because
this machine lacks something else (a driver, a library) are counted separately.
"""

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from compat.index.reader import Index
from compat.scan.check.file_checker import AXES, Analysis, statement_of
from compat.scan.check.reference_checker import ReferenceChecker
from compat.scan.check.scanned_tree import ScannedTree
from compat.scan.interpreter.reachability import Reachability
from compat.scan.interpreter.scopes import Module
from compat.scan.prefilter.mentions import mentions_package
from compat.scan.releases import selection
from compat.scan.sources.discovery import Unreadable, Walk, read
from compat.scan.syntax.references import Reference

VERSIONS = """
import importlib.metadata as m, json
there = {d.name for d in m.distributions()}
print(json.dumps({n: m.version(n) for n in ("sglang", "vllm") if n in there}))
"""
HERE = Path(__file__).parent
IMPORT_ERRORS = ("ImportError", "ModuleNotFoundError", "AttributeError")


class Claim(NamedTuple):
    """The result of a scan for one reference in one release."""

    path: str
    line: int
    """The line of the statement."""
    module: str
    """The module to import; for attributes and strings, the longest part that can be imported."""
    name: str
    rest: tuple[str, ...]
    """The attributes below the module."""
    rule: str
    """The rules that the reference breaks, guards ignored."""
    told: bool
    """Whether the scan reports the reference as broken."""
    section: str
    """The function around an import statement, or `<module>`; empty for other references."""
    uncaught: bool
    """Whether the release reaches the reference and does not catch a failure there."""
    root: str
    """The scanned folder."""

    @property
    def target(self) -> tuple[str, str, tuple[str, ...]]:
        """The code to execute."""
        return self.module, self.name, self.rest

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {'.'.join(filter(None, (self.module, self.name, *self.rest)))}"


def main() -> int:
    """Draw, execute, count."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", nargs="+", help="source trees")
    parser.add_argument("--env", required=True, help="Python of an installed pair")
    parser.add_argument("--sample", type=int, default=100, help="of each kind (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="print every claim with its outcome")
    arguments = parser.parse_args()
    versions = json.loads(subprocess.check_output([arguments.env, "-c", VERSIONS], text=True))
    claims = sorted({claim for folder in arguments.folder for claim in _claims(folder, versions)})
    print(f"{versions}: {len(claims)} references", flush=True)
    draw = random.Random(arguments.seed)  # noqa: S311 -- a draw that can be repeated
    told = [claim for claim in claims if claim.told]
    _bare("findings", arguments, draw.sample(told, min(arguments.sample, len(told))), len(told))
    different = list({claim.target: claim for claim in claims}.values())
    drawn = draw.sample(different, min(4 * arguments.sample, len(different)))
    _bare("all that is asked for", arguments, drawn, len(different))
    _guarded(arguments, claims, draw)
    return 0


def _claims(folder: str, versions: dict[str, str]) -> Iterator[Claim]:
    index = Index()
    chosen = {
        package: selection.requested_releases(index, package, [version], "--env")
        for package, version in versions.items()
    }
    analysis = Analysis(ScannedTree(index, Walk().files((folder,))), chosen)
    for path in Walk().files((folder,)):
        try:
            if mentions_package(path, read(path)):
                yield from _of_file(analysis, path, folder)
        except (OSError, Unreadable):  # noqa: PERF203 -- one file does not stop the rest
            continue


def _of_file(analysis: Analysis, path: str, root: str) -> Iterator[Claim]:
    told = {
        (each.line, each.statement) for each in analysis.check_file(path).findings if each.level == "error"
    }
    tree = analysis.scanned.modules.module(path)
    for reference in analysis.scanned.file(path).references:
        checker = analysis.checkers.get(AXES[reference.top])
        if checker is None or tree is None or reference.form == "table":
            continue
        rules = checker.rules(reference) - {"CPT004"}
        if rules == {"CPT003"}:
            continue  # neither broken nor fine
        rule = next(iter(sorted(rules)), "")
        yield _claim(
            path,
            reference,
            rule=rule,
            told=(reference.node.lineno, statement_of(reference)) in told,  # type: ignore[attr-defined]
            uncaught=bool(rule) and _uncaught(checker, reference, tree),
            root=root,
        )


def _uncaught(checker: ReferenceChecker, reference: Reference, module: Module) -> bool:
    """Return whether the release reaches a reference and fails there if the function is called."""
    reachability = Reachability(checker._evaluations[0], module)  # noqa: SLF001
    return reachability.reached(reference.position) and not reachability.protected(
        reference.position, "ImportError"
    )


def _claim(path: str, reference: Reference, **said: Any) -> Claim:
    rest: tuple[str, ...] = ()
    name, section = "", ""
    if reference.form in ("import", "star", "import_module"):
        module = reference.module
    elif reference.form == "from":
        module, name = reference.module, reference.parts[-1]
    else:
        module, rest = reference.bases[0] if reference.bases else "", reference.parts
    if reference.form in ("import", "star", "from") and path.endswith(".py"):
        function = reference.position.function
        section = function.name if function else "<module>"
    line = reference.position.statement.lineno
    return Claim(path=path, line=line, module=module, name=name, rest=rest, section=section, **said)


def _bare(what: str, arguments: argparse.Namespace, drawn: Sequence[Claim], count: int) -> None:
    """Execute references, and print how many results of the scan are right."""
    targets = list(dict.fromkeys(claim.target for claim in drawn))
    outcomes = dict(zip(targets, ran("scan_truth_runner.py", arguments.env, targets), strict=True))
    verdicts = {claim: _verdict(claim, outcomes[claim.target]) for claim in drawn}
    counts = Counter((verdict, bool(claim.rule)) for claim, verdict in verdicts.items())
    hits, alarms = counts["right", True], counts["wrong", True]
    missed = counts["wrong", False]
    print(f"{what}: drawn {len(drawn)} of {count}: {_told(verdicts.values())}")
    print(f"  broken ones told {hits}, told and not broken {alarms}, broken and not told {missed}")
    if hits:
        print(f"  precision {hits / (hits + alarms):.3f}, recall {hits / (hits + missed):.3f}")
    for claim, verdict in verdicts.items():
        if arguments.list or verdict == "wrong":
            print(f"  {verdict}: {claim} ({claim.rule or 'fine'}): {outcomes[claim.target]}", flush=True)


def _guarded(arguments: argparse.Namespace, claims: Sequence[Claim], draw: random.Random) -> None:
    """Execute import statements in their context, and print how often the scan is right."""
    statements: dict[tuple[str, int], list[Claim]] = {}
    for claim in claims:
        if claim.section:
            statements.setdefault((claim.path, claim.line), []).append(claim)
    broken = [place for place, found in statements.items() if any(each.rule == "CPT001" for each in found)]
    fine = [place for place, found in statements.items() if not any(each.rule for each in found)]
    for what, pool in (("broken", broken), ("fine", fine)):
        drawn = draw.sample(pool, min(arguments.sample, len(pool)))
        asked = [[statements[place][0].root, *place, statements[place][0].section] for place in drawn]
        outcomes = ran("scan_sections.py", arguments.env, asked)
        verdicts = [
            _section_verdict(statements[place], outcome)
            for place, outcome in zip(drawn, outcomes, strict=True)
        ]
        print(f"statements as they stand, {what}: drawn {len(drawn)} of {len(pool)}: {_told(verdicts)}")
        for place, outcome, verdict in zip(drawn, outcomes, verdicts, strict=True):
            if arguments.list or verdict == "wrong":
                said = "fails" if any(each.uncaught for each in statements[place]) else "does no harm"
                print(f"  {verdict}: {place[0]}:{place[1]} ({said}): {outcome}", flush=True)


def _section_verdict(found: Sequence[Claim], outcome: str) -> str:
    """Return `right`, `wrong`, `environment`, or `not told` if the code needs its callers to run."""
    what, _, why = outcome.partition(" ")
    if what == "unknown":
        return "not told"
    if what == "uncaught" and not of_the_packages(why):
        return "environment"
    return "right" if any(each.uncaught for each in found) is (what == "uncaught") else "wrong"


def ran(script: str, python: str, asked: Sequence[Any]) -> list[str]:
    with subprocess.Popen(
        [python, str(HERE / script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None  # noqa: S101 -- a pipe
        assert process.stdout is not None  # noqa: S101 -- a pipe
        process.stdin.write(json.dumps(asked))
        process.stdin.close()
        found = []
        for line in process.stdout:
            if line.startswith("OUTCOME "):
                found.append(line.removeprefix("OUTCOME ").rstrip())
                print(f"\r{len(found)} of {len(asked)} ", end="", file=sys.stderr, flush=True)
    if len(found) != len(asked):
        raise SystemExit(f"{script} ended early")
    return found


def _verdict(claim: Claim, outcome: str) -> str:
    """Return `right`, `wrong`, `environment` if this machine lacks something, or `not judged`."""
    if outcome.startswith("object"):
        return "not judged"  # an attribute of a class or an object
    if claim.rule == "CPT002":
        return "right" if outcome.startswith("ok stub") else "wrong"
    if outcome.startswith("ok"):
        return "wrong" if claim.rule else "right"
    if not outcome.startswith(IMPORT_ERRORS) or not of_the_packages(outcome):
        return "environment"
    return "right" if claim.rule else "wrong"


def of_the_packages(outcome: str) -> bool:
    """Return whether an import failed because of the packages, not because of a driver or another library."""
    about = outcome.partition(":")[2]
    lacking = "lib" in about and ".so" in about
    return not lacking and any(top in about for top in ("vllm", "sglang", "sgl_kernel"))


def _told(verdicts: Any) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in sorted(Counter(verdicts).items()))


if __name__ == "__main__":
    sys.exit(main())
