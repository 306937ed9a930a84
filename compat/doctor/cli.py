"""The command line of `compat doctor`: arguments and exit code."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from compat import errors
from compat._cli import console
from compat._cli.interpreter import interpreter
from compat._cli.platforms import require_linux
from compat.errors import UsageError


def main(argv: Sequence[str]) -> int:
    """Run `compat doctor` and return its exit code: 1 if there is any finding, else 0."""
    arguments = parser().parse_args(argv)
    require_linux("compat doctor")
    if not arguments.timeout > 0:
        raise UsageError(f"--timeout: {arguments.timeout:g} is not a positive number of seconds")
    from compat._cli.progress import on_terminal
    from compat.doctor import output
    from compat.doctor.checks import DoctorOptions, check

    options = DoctorOptions(
        python=interpreter(arguments.python or sys.executable),
        folder=Path.cwd(),
        timeout=arguments.timeout,
        imports=arguments.imports,
        gpu=arguments.gpu,
    )
    with (
        tempfile.TemporaryDirectory(prefix="compat-doctor-", ignore_cleanup_errors=True) as scratch,
        on_terminal("importing", None) as progress,
    ):
        report = check(options, Path(scratch), progress)
    print(output.as_json(report) if arguments.format == "json" else output.as_text(report))
    return errors.FINDINGS if report.findings else errors.CLEAN


def parser() -> console.Parser:
    """Return the argument parser of `compat doctor`."""
    parser = console.Parser(
        "compat doctor",
        "Check an environment with sglang or vllm: releases, requirements, compiled code, GPU, and the "
        "import of every quantization symbol in child processes.",
    )
    parser.add_argument(
        "--python",
        metavar="PATH",
        help="the Python to examine, or its environment's folder (default: this one)",
    )
    parser.add_argument(
        "--imports",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="import the quantization modules, which takes a minute or two (default: yes)",
    )
    parser.add_argument("--gpu", action="store_true", help="report a missing GPU as a finding")
    parser.add_argument(
        "--timeout",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="stop an import after this time without progress (default: %(default)g)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    return parser
