"""One entry for all commands: `compat NAME ARGS…` is `python -m compat.NAME ARGS…`."""

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
    """A command by the module that has its `main(argv) -> int`, imported only when the command is called."""

    module: str
    help: str


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "resolve": Command(module="compat.resolve.cli", help="where a symbol lives in each release"),
        "explain": Command(module="compat.explain.cli", help="why an import failed, from its log"),
        "doctor": Command(module="compat.doctor.cli", help="whether an environment is sound"),
        "scan": Command(module="compat.scan.cli", help="what in your code breaks, and where"),
        "export": Command(module="compat.export", help="the index as rules of ruff"),
        "index": Command(module="compat.index.cli", help="build the index, or say what it holds"),
        "matrix": Command(module="compat.matrix.cli", help="install pairs and check their symbols"),
        "pairs": Command(module="compat.pairs.cli", help="which releases go together; their locks"),
        "bundle": Command(module="compat.bundle.cli", help="pack a pair for a runner without network"),
    }
)


def main(argv: Sequence[str]) -> int:
    """Return the exit code of the command that `argv` names.

    Raises:
        UsageError: no command is named, or an unknown one.
    """
    if argv and argv[0] in COMMANDS:
        command: console.Main = importlib.import_module(COMMANDS[argv[0]].module).main
        return command(argv[1:])
    if not argv:
        raise UsageError("name a command (see `compat --help`)")
    if not argv[0].startswith("-"):
        import difflib  # few mistype a command, and everyone would wait for it

        nearest = difflib.get_close_matches(argv[0], COMMANDS, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(COMMANDS)}"
        raise UsageError(f"{argv[0]!r} is no command; {hint} (see `compat --help`)")
    _parser().parse_args(argv)  # ends on --help and --version, and refuses every other option
    return errors.CLEAN


def _parser() -> console.Parser:
    """Return the parser of what stands before a command's name; it lists the commands for `--help`."""
    parser = console.Parser("compat", "Where each symbol of sglang and vllm lives, release by release.")
    parser.add_argument("--version", action="version", version=f"compat {__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="NAME", prog="compat", parser_class=argparse.ArgumentParser
    )
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.help, add_help=False)
    return parser


def entry() -> int:
    """Run the command line of this process: the console script `compat`."""
    return console.run(main)


if __name__ == "__main__":
    sys.exit(entry())
