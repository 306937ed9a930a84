"""`compat matrix`: list the pairs, run their cells, report the outcomes, and check that all have passed."""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from compat import errors
from compat._cli import console
from compat._cli.platforms import require_linux
from compat._cli.printable import printable
from compat.errors import UsageError
from compat.matrix import scheduler
from compat.matrix.cell import LIMIT
from compat.matrix.config import Matrix, read_matrix
from compat.matrix.install.existing import ExistingEnvironment, open_existing
from compat.matrix.judge.gpu_tests import GpuTestOptions
from compat.matrix.judge.inputs import Shipped
from compat.matrix.model.outcome import Cell, Level, levels_of
from compat.matrix.model.plan import Plan
from compat.matrix.report import files, gate
from compat.model.releases import Pair

NODE_ENVS = Path(tempfile.gettempdir()) / "compat-matrix"
"""The default folder for environments on the nodes of a cluster."""


def main(argv: Sequence[str]) -> int:
    """Run the subcommand that `argv` names, and return the exit code.

    Raises:
        UsageError: the arguments or `matrix.toml` are not valid.
    """
    arguments = parser().parse_args(argv)
    matrix_path: Path = arguments.matrix
    reports = arguments.reports or matrix_path.parent / "reports"
    code: int = arguments.call(arguments, read_matrix(matrix_path), reports)
    return code


def _list(arguments: argparse.Namespace, matrix: Matrix, _reports: Path) -> int:
    pairs, levels = matrix.select(arguments.pairs or ["*"]), _levels(arguments.level)
    if arguments.format == "json":
        print(console.document("matrix list", pairs=[_pair_document(pair) for pair in pairs]))
    elif arguments.format == "github":
        cells = [(pair, Cell(pair_id=pair.id, level=at)) for pair in pairs for at in levels_of(pair, levels)]
        print(files.as_github([_job_document(pair, cell) for pair, cell in cells]))
    else:
        width = max(map(len, matrix.ids))
        for pair in pairs:
            print(f"{pair.id:<{width}}  Python {pair.python}  {pair.describe()}")
    return errors.CLEAN


def _plan(arguments: argparse.Namespace, matrix: Matrix, reports: Path) -> int:
    require_linux("compat matrix plan")
    pairs = matrix.select(arguments.ids or ["*"])
    jobs = scheduler.plan_pairs(
        pairs, _shipped(arguments, arguments.matrix.parent), _options(arguments, reports)
    )
    plans = [job.plan for job in jobs]
    if arguments.format == "json":
        print(console.document("matrix plan", pairs=[_plan_document(plan) for plan in plans]))
    else:
        print("\n".join(plan.line() for plan in plans))
    return errors.CLEAN


def _run(arguments: argparse.Namespace, matrix: Matrix, reports: Path) -> int:
    require_linux("compat matrix run")
    pairs = matrix.select(arguments.ids)
    beside = (
        tuple(pair for pair in matrix.select(arguments.beside) if pair not in pairs)
        if arguments.beside
        else ()
    )
    options = replace(
        _options(arguments, reports),
        existing=_existing(arguments, pairs),
        gpu_tests=_gpu_tests(arguments),
        beside=beside,
    )
    if arguments.engine == "ray":
        from compat.matrix import ray_scheduler

        root = arguments.matrix.parent.resolve()
        remote = _shipped(arguments, Path())  # the working directory of a task is a copy of the project
        engine = ray_scheduler.Engine(address=arguments.address, root=root, sources=remote)
        options = replace(options, envs=arguments.envs or NODE_ENVS)
        outcomes = ray_scheduler.run_on_ray(pairs, _shipped(arguments, root), options, engine)
    elif arguments.address:
        raise UsageError("--address: only valid with --engine ray")
    else:
        outcomes = scheduler.run_pairs(pairs, _shipped(arguments, arguments.matrix.parent), options)
    print(files.as_json(outcomes) if arguments.format == "json" else files.as_text(outcomes))
    return scheduler.exit_code(outcomes)


def _existing(arguments: argparse.Namespace, pairs: Sequence[Pair]) -> ExistingEnvironment | None:
    """Return the environment that `--environment` names, or None without that option.

    Raises:
        UsageError: the folder is not an environment, or it does not belong to the selected pair.
    """
    if not arguments.environment:
        if arguments.python:
            raise UsageError(
                "--python: only valid with --environment; otherwise the lock determines the Python version"
            )
        return None
    if arguments.engine != "local" or len(pairs) != 1:
        raise UsageError(
            f"--environment: only valid for one pair on this machine, not for "
            f"{', '.join(pair.id for pair in pairs)}{' on a cluster' if arguments.engine != 'local' else ''}"
        )
    environment = open_existing(arguments.environment, arguments.python or Path(sys.executable))
    if environment.bundle is not None and environment.bundle.pair != pairs[0].id:
        raise UsageError(f"--environment: a bundle of {environment.bundle.pair}, not of {pairs[0].id}")
    if environment.bundle is None and arguments.python:
        raise UsageError("--python: only valid for a bundle; a virtual environment has its own interpreter")
    return environment


def _gpu_tests(arguments: argparse.Namespace) -> GpuTestOptions:
    """Return the options of the GPU tests.

    Raises:
        UsageError: no GPU tests are selected, or they would write the results on another machine.
    """
    options = GpuTestOptions(
        workers=arguments.workers or 0, results=arguments.results.resolve() if arguments.results else None
    )
    if options.described and arguments.level == Level.IMPORT.value:
        raise UsageError(f"{options.described[0].split()[0]}: only valid with --level gpu or all")
    if options.results and arguments.engine != "local":
        raise UsageError("--results: only valid on this machine, not on a cluster")
    return options


def _report(arguments: argparse.Namespace, matrix: Matrix, reports: Path) -> int:
    outcomes = files.read_outcomes(reports, _cells(matrix))
    files.write_reports(outcomes, reports)
    print(files.as_json(outcomes) if arguments.format == "json" else files.as_text(outcomes))
    console.say(f"written to {reports}: {', '.join(files.NAMES)}")
    return errors.CLEAN


def _gate(arguments: argparse.Namespace, matrix: Matrix, reports: Path) -> int:
    pairs = matrix.select(arguments.pairs or ["*"])
    sources = _shipped(arguments, arguments.matrix.parent)
    result = gate.read_gate(pairs, Level(arguments.require), reports, sources)
    if arguments.format == "junit":
        print(files.as_junit(result.required))
    elif arguments.format == "markdown":
        print(files.as_gate(result.required, open_=result.open))
    elif arguments.format == "json":
        cells = [outcome.document() for outcome in result.required]
        print(console.document("matrix gate", open=result.open, required=cells))
    else:
        for outcome in result.failures:
            print(printable(f"{outcome.cell.id}: {outcome.state.value}: {outcome.reason}"))
        print(
            f"{len(result.required) - len(result.failures)} of {len(result.required)} required cells passed"
        )
    return errors.CLEAN if result.open else errors.FINDINGS


def _options(arguments: argparse.Namespace, reports: Path) -> scheduler.RunOptions:
    root = arguments.matrix.parent.resolve()
    return scheduler.RunOptions(
        reports=reports,
        envs=(arguments.envs or root / ".matrix").resolve(),
        timeout=getattr(arguments, "timeout", scheduler.TIMEOUT),
        limit=getattr(arguments, "limit", LIMIT),
        levels=_levels(arguments.level),
        max_disk=getattr(arguments, "max_disk", None),
        keep=getattr(arguments, "keep", False),
        rerun=arguments.rerun,
    )


def _shipped(arguments: argparse.Namespace, root: Path) -> Shipped:
    return Shipped(root / "locks", everything=arguments.scope == "all")


def _pair_document(pair: Pair) -> dict[str, object]:
    return {
        "id": pair.id,
        "python": pair.python,
        "sglang": str(pair.sglang) if pair.sglang else None,
        "sglang_extras": list(pair.sglang_extras),
        "vllm": str(pair.vllm) if pair.vllm else None,
        "overrides": dict(pair.overrides),
        "cells": [
            {"id": Cell(pair_id=pair.id, level=level).id, "level": level.value} for level in levels_of(pair)
        ],
        "expect": [
            {"location": entry.location, "reason": entry.reason, "link": entry.link, "when": entry.when}
            for entry in pair.expect
        ],
    }


def _job_document(pair: Pair, cell: Cell) -> dict[str, object]:
    return {"pair": pair.id, "python": pair.python, "cell": cell.id, "level": cell.level.value}


def _levels(text: str) -> tuple[Level, ...]:
    return tuple(Level) if text == "all" else (Level(text),)


def _cells(matrix: Matrix) -> list[Cell]:
    return [Cell(pair_id=pair.id, level=level) for pair in matrix.pairs for level in levels_of(pair)]


def _plan_document(plan: Plan) -> dict[str, object]:
    return {
        "id": plan.pair_id,
        "cell": plan.cell_id or Cell(pair_id=plan.pair_id).id,
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
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,2}", text, flags=re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 999")
    return int(text)


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", text)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size (example: 60GB)")
    return int(float(found[1]) * 10 ** (3 * " kMGT".index(found[2] or " ")))


def parser() -> console.Parser:
    """Return the argument parser of `compat matrix`."""
    parser = console.Parser(
        "compat matrix",
        "Install pairs of releases and compare the index with them, or run your own tests in them. A cell is "
        "one pair at one level: import, gpu or tests.",
    )
    commands = parser.add_subparsers(title="commands", metavar="NAME", required=True)

    def command(
        name: str, call: object, help_text: str, formats: tuple[str, ...] = ("text", "json")
    ) -> console.Parser:
        added = commands.add_parser(name, help=help_text, description=help_text)
        added.prog = f"{parser.prog} {name}"
        added.set_defaults(call=call)
        added.add_argument(
            "--matrix", type=Path, default=Path("matrix.toml"), metavar="FILE", help="the matrix"
        )
        added.add_argument(
            "--reports", type=Path, metavar="DIR", help="folder of reports (default: beside the matrix)"
        )
        added.add_argument("--format", choices=formats, default="text")
        return added

    added = command("list", _list, "List the pairs.", ("text", "json", "github"))
    _add_level(added)
    _add_pairs(added)
    _add_cells(
        command("plan", _plan, "Estimate download, disk space and time of a run; install nothing."), nargs="*"
    )
    added = command(
        "run", _run, "Install each pair, compare the index with it, and write reports/CELL/outcome.json."
    )
    _add_cells(added, nargs="+")
    _add_run(added)
    command(
        "report", _report, "Write matrix.json, .md, .html and junit.xml from the outcomes of earlier runs."
    )
    added = command(
        "gate",
        _gate,
        "Exit with 1 unless every required cell has passed.",
        ("text", "json", "junit", "markdown"),
    )
    added.add_argument(
        "--require",
        choices=[level.value for level in Level],
        required=True,
        help="the level; gpu requires import too",
    )
    _add_scope(added)
    _add_pairs(added)
    return parser


def _add_pairs(parser: console.Parser) -> None:
    parser.add_argument("--pairs", nargs="+", metavar="ID", help="ids or globs (default: all)")


def _add_cells(parser: console.Parser, *, nargs: str) -> None:
    """Add the options that select the cells to run, and the folder of their environments."""
    add = parser.add_argument
    add("ids", nargs=nargs, metavar="ID", help="id of a pair, or a glob")
    add("--envs", type=Path, metavar="DIR", help="folder for environments (default: .matrix)")
    _add_level(parser)
    _add_scope(parser)
    add("--rerun", action="store_true", help="run finished cells again")


def _add_run(parser: console.Parser) -> None:
    """Add the options that control how cells run."""
    add = parser.add_argument
    add("--keep", action="store_true", help="keep the environments for a later run")
    add(
        "--timeout", type=_seconds, default=scheduler.TIMEOUT, metavar="S",
        help="seconds without progress after which a module counts as hung (default: %(default)g)",
    )  # fmt: skip
    add(
        "--engine", choices=("local", "ray"), default="local",
        help="run the cells one after another on this machine, or as tasks of a Ray cluster",
    )  # fmt: skip
    add("--address", help="address of the Ray cluster (default: from the environment, or else a local one)")
    add(
        "--environment", type=Path, action="append", metavar="DIR",
        help="install nothing; use a virtual environment or an unpacked bundle (repeat for one below it)",
    )  # fmt: skip
    add(
        "--python", type=Path, metavar="FILE",
        help="interpreter for an unpacked bundle (default: the current one)",
    )  # fmt: skip
    add(
        "--max-disk", type=_bytes, metavar="SIZE",
        help="limit for uv's cache and the environments together, such as 60GB (default: none)",
    )  # fmt: skip
    add(
        "--beside", nargs="+", metavar="ID",
        help="pairs that other processes run at the same time; they share --max-disk",
    )  # fmt: skip
    add("--workers", type=_count, metavar="N", help="run the GPU tests in N processes (default: in one)")
    add("--results", type=Path, metavar="FILE", help="write what the GPU tests measure to this file")
    add(
        "--limit", type=_seconds, default=LIMIT, metavar="S",
        help="seconds after which a cell and its child processes are killed (default: %(default)g)",
    )  # fmt: skip


def _add_scope(parser: console.Parser) -> None:
    parser.add_argument(
        "--scope", choices=("quantization", "all"), default="quantization",
        help="the modules of the level import: those of quantization, or all (default: %(default)s)",
    )  # fmt: skip


def _add_level(parser: console.Parser) -> None:
    parser.add_argument(
        "--level", choices=[*(level.value for level in Level), "all"], default=Level.IMPORT.value,
        help="import all modules, run the GPU tests, or run the tests of matrix.toml (default: %(default)s)",
    )  # fmt: skip
