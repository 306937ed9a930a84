"""The command line of `compat check`: arguments and exit code."""

from __future__ import annotations

from pathlib import Path

from compat import errors
from compat._cli import console
from compat.errors import NothingSelectedError, UsageError
from compat.sources.command_line import add_index_option, with_sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from compat.check.inputs import CheckInput
    from compat.index.reader import Index
    from compat.sources.command_line import Texts

FORMATS = ("text", "json", "junit", "github", "html")


def main(argv: Sequence[str]) -> int:
    """Run `compat check` and return its exit code: 1 if something cannot be imported, else 0."""
    arguments = parser().parse_args(argv)
    from compat.check import output
    from compat.check.environment import Completion, select_releases
    from compat.check.findings import check_environment
    from compat.companions.reader import Companions
    from compat.index.extended import open_index
    from compat.model.releases import SGLANG, VLLM
    from compat.requirements.release_summary import PYTHON
    from compat.sources.demands import CompanionsOfSources

    with console.no_cycle_search():
        given = _given(arguments)
        wanted: Texts = {SGLANG: tuple(arguments.sglang), VLLM: tuple(arguments.vllm)}
        files, wanted = with_sources(wanted, arguments.index, further=("demands",))
        index = open_index(files)
        companions = CompanionsOfSources(files) if files else Companions()
        named, specifiers = select_releases(given.requirements, index)
        releases = _releases(wanted, index)
        for package in releases.keys() & named.keys():
            if releases[package] != named[package]:
                asked = f"--{package} {releases[package]}"
                raise UsageError(f"{asked}: a requirement names {package} {named[package]}; keep one of them")
        named = {**given.versions, **named, **releases}
        if not {SGLANG, VLLM} & named.keys():
            raise NothingSelectedError('neither sglang nor vllm is named; add one, such as "vllm==0.11.0"')
        environment = Completion(
            named=named,
            specifiers=specifiers,
            index=index,
            companions=companions,
            python=arguments.python_version or given.python or PYTHON,
            complete=given.complete,
            provided=given.provided,
        ).run()
        report = check_environment(environment, index, companions, arguments.entry or ["all"])
        print(output.render(report, index, companions, arguments.format))
    return errors.FINDINGS if report.findings or report.collisions else errors.CLEAN


def _releases(wanted: Texts, index: Index) -> dict[str, str]:
    """Return the versions that `--sglang` and `--vllm` name."""
    return {
        package: index.versions(package)[index.release_index(package, text, f"--{package}")]
        for package, texts in wanted.items()
        for text in texts
    }


def _given(arguments: argparse.Namespace) -> CheckInput:
    """Return what the command line names; pins beside a lock replace those in it."""
    from compat._cli.interpreter import interpreter
    from compat.check import inputs

    sources = [
        *(inputs.read_lock_file(path) for path in arguments.lock),
        *(inputs.read_pair(pair, arguments.matrix) for pair in arguments.pair),
        *([inputs.read_python(interpreter(arguments.python))] if arguments.python else ()),
    ]
    if len(sources) > 1:
        raise UsageError("--lock, --pair and --python each name a whole environment; give one of them")
    given = sources[0] if sources else inputs.CheckInput()
    for path in arguments.requirement:
        given.requirements += inputs.read_requirements(path)
    given.requirements += [inputs.parse_requirement(text, "argument") for text in arguments.requirements]
    return given


def parser() -> console.Parser:
    """Return the argument parser of `compat check`."""
    parser = console.Parser(
        "compat check",
        "List which modules of sglang and vllm cannot be imported beside given releases of other packages, "
        "without installing anything. What is not named is taken as the newest release that metadata admits.",
    )
    parser.add_argument(
        "requirements", nargs="*", metavar="REQUIREMENT", help='such as "vllm==0.11.0" "transformers>=5"'
    )
    parser.add_argument(
        "-r",
        "--requirement",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a requirements file",
    )
    parser.add_argument(
        "--lock",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a whole environment: a lock in locks/, pylock.toml, uv.lock, or the output of pip freeze",
    )
    parser.add_argument(
        "--pair", action="append", default=[], metavar="ID", help="a pair of the matrix, by its lock"
    )
    parser.add_argument(
        "--matrix",
        type=Path,
        default=Path("matrix.toml"),
        metavar="FILE",
        help="the matrix (default: %(default)s)",
    )
    for package in ("sglang", "vllm"):
        parser.add_argument(
            f"--{package}",
            action="append",
            default=[],
            metavar="VERSION",
            help=f"the release of {package}, or ./{package}, git+file:PATH@REF, a wheel file, env:PATH",
        )
    add_index_option(parser)
    parser.add_argument("--python", metavar="PATH", help="an installed environment: its Python or its folder")
    parser.add_argument(
        "--python-version",
        metavar="X.Y",
        help="the Python version for markers (default: that of the lock, or 3.11)",
    )
    parser.add_argument(
        "--entry",
        action="append",
        metavar="serve|all|MODULE",
        help="what is imported: what a server needs when it starts, all modules (the default), or one module",
    )
    parser.add_argument("--format", choices=FORMATS, default="text")
    return parser
