"""How right `compat scan` is: findings and what it calls fine, executed in an installed pair.

    python bench/scan_truth.py --env PYTHON --sample 100 FOLDER…

A draw (seeded) of what is found to be broken in the releases of that environment, and of imports that are
found to be fine there, is executed one by one, each in a process of its own forked from one that has loaded
both packages. A finding is right when its import fails, a reference that is fine when its import works; what
fails for want of something else on this machine (a driver, a library) is counted apart.
"""

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from compat.index.reader import Index
from compat.scan import spans
from compat.scan.analysis import AXES, Analysis
from compat.scan.discovery import Unreadable, Walk, read
from compat.scan.mentions import mentioned

VERSIONS = """
import importlib.metadata as m, json
there = {d.name for d in m.distributions()}
print(json.dumps({n: m.version(n) for n in ("sglang", "vllm") if n in there}))
"""
RUNNER = Path(__file__).with_name("scan_truth_runner.py")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Claim:
    """What a scan says of one reference in one release."""

    path: str
    line: int
    module: str
    """Imported first; of attributes and strings the longest part that can be imported is."""
    name: str
    rest: tuple[str, ...]
    """Attributes after that."""
    broken: bool
    rule: str


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
    draw = random.Random(arguments.seed)  # noqa: S311 -- a draw that can be repeated
    for broken in (True, False):
        pool = [claim for claim in claims if claim.broken is broken]
        drawn = draw.sample(pool, min(arguments.sample, len(pool)))
        outcomes = _executed(arguments.env, drawn)
        verdicts = [_verdict(claim, outcome) for claim, outcome in zip(drawn, outcomes, strict=True)]
        counts = Counter(verdicts)
        kind = "broken" if broken else "fine"
        print(f"{versions}: {kind}: drawn {len(drawn)} of {len(pool)}: {dict(sorted(counts.items()))}")
        for claim, outcome, verdict in zip(drawn, outcomes, verdicts, strict=True):
            if arguments.list or verdict != "right":
                asked = ".".join(filter(None, (claim.module, claim.name, *claim.rest)))
                print(f"  {verdict}: {claim.path}:{claim.line} {asked}: {outcome}")
    return 0


def _claims(folder: str, versions: dict[str, str]) -> Iterator[Claim]:
    index = Index()
    chosen = {
        package: spans.asked(index, package, [version], "--env") for package, version in versions.items()
    }
    files = list(Walk().files((folder,)))
    analysis = Analysis(index, chosen, files)
    for path in files:
        try:
            if not mentioned(path, read(path)):
                continue
            found = analysis.findings(path)
            references = analysis.references(path)
        except (OSError, Unreadable):
            continue
        broken = {
            (each.line, each.column, each.statement): each.rule for each in found if each.level == "error"
        }
        lines = {(line, statement) for line, _, statement in broken}
        for reference in references:
            judge = analysis.judges.get(AXES[reference.top])
            if judge is None or reference.form == "table":
                continue
            claim = _claim(path, reference)
            if (claim.line, _statement(reference)) in lines:
                rule = next(
                    r
                    for (line, _, s), r in broken.items()
                    if (line, s) == (claim.line, _statement(reference))
                )
                yield Claim(**{**asdict(claim), "broken": True, "rule": rule})
            elif reference.form != "attribute" and judge.fine(reference):
                yield claim


def _statement(reference) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001
    from compat.scan.analysis import statement_of

    return statement_of(reference)


def _claim(path: str, reference) -> Claim:  # type: ignore[no-untyped-def]  # noqa: ANN001
    if reference.form in ("import", "star", "import_module"):
        module, name, rest = reference.module, "", ()
    elif reference.form == "from":
        module, name, rest = reference.module, reference.parts[-1], ()
    else:
        module, name, rest = reference.bases[0] if reference.bases else "", "", reference.parts
    return Claim(
        path=path, line=reference.node.lineno, module=module, name=name, rest=rest, broken=False, rule=""
    )


def _executed(python: str, claims: Sequence[Claim]) -> list[str]:
    asked = json.dumps([[claim.module, claim.name, list(claim.rest)] for claim in claims])
    with subprocess.Popen(
        [python, str(RUNNER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None  # noqa: S101 -- a pipe
        assert process.stdout is not None  # noqa: S101 -- a pipe
        process.stdin.write(asked)
        process.stdin.close()
        found = []
        for line in process.stdout:
            if line.startswith("OUTCOME "):
                found.append(line.removeprefix("OUTCOME ").rstrip())
                print(f"\r{len(found)} of {len(claims)}", end="", file=sys.stderr, flush=True)
    if len(found) != len(claims):
        raise SystemExit("the runner ended early")
    return found


def _verdict(claim: Claim, outcome: str) -> str:
    """Return `right`, `wrong`, or `environment` when this machine, not the release, lacks something."""
    if claim.rule == "CPT002":
        return "right" if outcome.startswith("ok stub") else "wrong"
    if not outcome.startswith("ok") and not outcome.startswith(
        ("ImportError", "ModuleNotFoundError", "AttributeError")
    ):
        return "environment"
    failed = not outcome.startswith("ok")
    if failed and not _of_the_packages(outcome):
        return "environment"
    return "right" if failed is claim.broken else "wrong"


def _of_the_packages(outcome: str) -> bool:
    """Return whether an import failed for what the packages have, not for a driver or another library."""
    about = outcome.partition(":")[2]
    lacking = "lib" in about and ".so" in about
    return not lacking and any(top in about for top in ("vllm", "sglang", "sgl_kernel"))


if __name__ == "__main__":
    sys.exit(main())
