"""The console script `compat`: `compat NAME ARGS…` runs the same command as `python -m compat.NAME ARGS…`."""

from __future__ import annotations

import argparse
import importlib
import sys
from types import MappingProxyType

from compat import __version__, errors
from compat._cli import console
from compat._util.named_tuple import NamedTuple
from compat.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Command(NamedTuple):
    """One subcommand: the module that defines its `main(argv) -> int`, and its line in `--help`.

    The module is imported only when the command runs. Its `parser()` returns the command's argument parser.
    """

    module: str
    help: str


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "resolve": Command(module="compat.resolve.cli", help="find a symbol in each release"),
        "check": Command(
            module="compat.check.cli", help="list what cannot be imported beside given releases"
        ),
        "explain": Command(module="compat.explain.cli", help="find the cause of a failed import in a log"),
        "doctor": Command(module="compat.doctor.cli", help="check an installed environment"),
        "scan": Command(module="compat.scan.cli", help="find the imports in your code that break"),
        "diff": Command(module="compat.diff.cli", help="list what changes between two releases or commits"),
        "upgrade": Command(
            module="compat.upgrade.cli", help="find how far your code can go, and what blocks it"
        ),
        "rule": Command(module="compat.rule.cli", help="explain a rule of the scan, or a cause"),
        "init": Command(module="compat.init.cli", help="add checks to your repository and its CI"),
        "export": Command(
            module="compat.export.cli", help="write the index for ruff, or as a site to look names up in"
        ),
        "mcp": Command(module="compat.mcp.cli", help="answer agents over the Model Context Protocol"),
        "lsp": Command(module="compat.lsp.cli", help="show findings, fixes and history in an editor"),
        "index": Command(module="compat.index.cli", help="build the index, or describe it"),
        "matrix": Command(module="compat.matrix.cli", help="install pairs and check their symbols"),
        "pairs": Command(module="compat.pairs.cli", help="find releases that go together; write lock files"),
        "bundle": Command(module="compat.bundle.cli", help="pack a pair for a machine without network"),
        "completion": Command(module="compat.completion", help="print the completion script of a shell"),
    }
)


def main(argv: Sequence[str]) -> int:
    """Run the command that `argv` names and return its exit code; without arguments, print the help.

    Raises:
        UsageError: `argv` names an unknown command.
    """
    if argv and argv[0] in console.QUIET:
        console.be_quiet()
        argv = argv[1:]
    if argv and argv[0] in COMMANDS:
        command: console.Main = importlib.import_module(COMMANDS[argv[0]].module).main
        return command(argv[1:])
    if not argv:
        print(parser().format_help(), end="")
        return errors.USAGE
    if not argv[0].startswith("-"):
        import difflib  # slow to import, and only a misspelt command needs it

        nearest = difflib.get_close_matches(argv[0], COMMANDS, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"the commands are {', '.join(COMMANDS)}"
        raise UsageError(f'{argv[0]!r} is not a command; {hint} (see "compat --help")')
    parser().parse_args(argv)  # exits on --help and --version, and rejects every other option
    return errors.CLEAN


def parser(*, complete: bool = False) -> console.Parser:
    """Return the parser of the options before a command's name; its `--help` lists the commands.

    Args:
        complete: whether to load all commands and attach their parsers.
    """
    parser = console.Parser("compat", "Compatibility and import diagnostics for sglang and vllm.")
    parser.add_argument("--version", action="version", version=f"compat {__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="NAME", prog="compat", parser_class=argparse.ArgumentParser
    )
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.help, add_help=False)
        if complete:
            commands.choices[name] = importlib.import_module(command.module).parser()
    return parser


def entry() -> int:
    """Run the command line of this process and return the exit code; the console script calls this."""
    return console.run(main)


if __name__ == "__main__":
    sys.exit(entry())
