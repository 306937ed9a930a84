"""`python -m compat.matrix list|plan|run|report|gate`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from compat import cli, errors
from compat.cells import Cell, Level
from compat.matrix import gate, report, run
from compat.matrix.environment import Plan
from compat.matrix.sources import Shipped
from compat.matrix.spec import Matrix, read_matrix
from compat.releases import Pair


def main(argv: Sequence[str]) -> int:
    """Return the exit code of one subcommand.

    Raises:
        UsageError: the arguments or `matrix.toml` cannot be understood.
    """
    arguments = _parser().parse_args(argv)
    matrix_path: Path = arguments.matrix
    reports = arguments.reports or matrix_path.parent / "reports"
    code: int = arguments.call(arguments, read_matrix(matrix_path), reports)
    return code


def _list(arguments: argparse.Namespace, matrix: Matrix, _reports: Path) -> int:
    if arguments.format == "json":
        print(cli.document("matrix list", pairs=[_pair_document(pair) for pair in matrix.pairs]))
    elif arguments.format == "github":
        print(report.as_github([{"pair": pair.id, "python": pair.python} for pair in matrix.pairs]))
    else:
        width = max(map(len, matrix.ids))
        for pair in matrix.pairs:
            print(f"{pair.id:<{width}}  Python {pair.python}  {pair.describe()}")
    return errors.CLEAN


def _plan(arguments: argparse.Namespace, matrix: Matrix, reports: Path) -> int:
    pairs = matrix.select(arguments.ids or ["*"])
    jobs = run.plan_pairs(pairs, Shipped(arguments.matrix.parent / "locks"), _options(arguments, reports))
    plans = [job.plan for job in jobs]
    if arguments.format == "json":
        print(cli.document("matrix plan", pairs=[_plan_document(plan) for plan in plans]))
    else:
        print("\n".join(plan.line() for plan in plans))
    return errors.CLEAN


def _run(arguments: argparse.Namespace, matrix: Matrix, reports: Path) -> int:
    pairs = matrix.select(arguments.ids)
    options = _options(arguments, reports)
    outcomes = run.run_pairs(pairs, Shipped(arguments.matrix.parent / "locks"), options)
    print(report.as_json(outcomes) if arguments.format == "json" else report.as_text(outcomes))
    return run.exit_code(outcomes)


def _report(arguments: argparse.Namespace, matrix: Matrix, reports: Path) -> int:
    outcomes = report.read_outcomes(reports, matrix.ids)
    report.write_reports(outcomes, reports)
    print(report.as_json(outcomes) if arguments.format == "json" else report.as_text(outcomes))
    cli.say(f"written to {reports}: {', '.join(report.NAMES)}")
    return errors.CLEAN


def _gate(arguments: argparse.Namespace, matrix: Matrix, reports: Path) -> int:
    pairs = matrix.select(arguments.pairs or ["*"])
    result = gate.read_gate([pair.id for pair in pairs], Level(arguments.require), reports)
    if arguments.format == "json":
        cells = [outcome.document() for outcome in result.required]
        print(cli.document("matrix gate", open=result.open, required=cells))
    else:
        for outcome in result.failures:
            print(f"{outcome.cell.id}: {outcome.state.value}: {outcome.reason}")
        print(
            f"{len(result.required) - len(result.failures)} of {len(result.required)} required cells passed"
        )
    return errors.CLEAN if result.open else errors.FINDINGS


def _options(arguments: argparse.Namespace, reports: Path) -> run.Options:
    root = arguments.matrix.parent.resolve()
    return run.Options(
        reports=reports,
        envs=(arguments.envs or root / ".matrix").resolve(),
        timeout=getattr(arguments, "timeout", run.TIMEOUT),
        keep=getattr(arguments, "keep", False),
        rerun=arguments.rerun,
    )


def _pair_document(pair: Pair) -> dict[str, object]:
    return {
        "id": pair.id,
        "python": pair.python,
        "sglang": str(pair.sglang) if pair.sglang else None,
        "sglang_extras": list(pair.sglang_extras),
        "vllm": str(pair.vllm) if pair.vllm else None,
        "overrides": dict(pair.overrides),
        "cells": [Cell(pair_id=pair.id).id],
        "expect": [
            {"location": entry.location, "reason": entry.reason, "link": entry.link, "when": entry.when}
            for entry in pair.expect
        ],
    }


def _plan_document(plan: Plan) -> dict[str, object]:
    return {
        "id": plan.pair_id,
        "modules": plan.modules,
        "download_bytes": 0 if plan.cached else plan.download_bytes,
        "disk_bytes": plan.disk_bytes + plan.cache_bytes,
        "seconds": round(plan.seconds),
        "finished": plan.finished or None,
    }


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def _parser() -> cli.Parser:
    parser = cli.Parser("python -m compat.matrix", "Install pairs for real and compare the index with them.")
    commands = parser.add_subparsers(title="commands", metavar="NAME", required=True)

    def command(
        name: str, call: object, help_text: str, formats: tuple[str, ...] = ("text", "json")
    ) -> cli.Parser:
        added = commands.add_parser(name, help=help_text, description=help_text)
        added.prog = f"{parser.prog} {name}"
        added.set_defaults(call=call)
        added.add_argument(
            "--matrix", type=Path, default=Path("matrix.toml"), metavar="FILE", help="the matrix"
        )
        added.add_argument("--reports", type=Path, metavar="DIR", help="reports (default: beside the matrix)")
        added.add_argument("--format", choices=formats, default="text")
        return added

    command("list", _list, "List the pairs.", ("text", "json", "github"))
    for name, call, text in (
        ("plan", _plan, "Tell what a run would take; install nothing."),
        ("run", _run, "Install each pair, import every listed name, compare. Reports go to reports/CELL/."),
    ):
        added = command(name, call, text)
        added.add_argument(
            "ids", nargs="+" if name == "run" else "*", metavar="ID", help="a pair's id, or a glob"
        )
        added.add_argument(
            "--envs", type=Path, metavar="DIR", help="where environments are made (default: .matrix)"
        )
        added.add_argument("--rerun", action="store_true", help="run cells again that are finished")
        if name == "run":
            added.add_argument(
                "--keep", action="store_true", help="leave the environments; a later run uses them"
            )
            added.add_argument(
                "--timeout", type=_seconds, default=run.TIMEOUT, metavar="S",
                help="seconds without progress after which a module hangs (default: %(default)g)",
            )  # fmt: skip
    command("report", _report, "Write matrix.json, .md, .html and junit.xml from the outcome files alone.")
    added = command("gate", _gate, "Exit 1 unless every required cell passed.")
    added.add_argument("--require", choices=[level.value for level in Level], required=True)
    added.add_argument("--pairs", nargs="+", metavar="ID", help="ids or globs (default: all)")
    return parser


if __name__ == "__main__":
    sys.exit(cli.run(main))
