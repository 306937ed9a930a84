"""The options of a scan: the command line, completed from `[tool.compat]` in `pyproject.toml`."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from compat._cli import console
from compat.errors import UsageError
from compat.scan.findings import RULES
from compat.scan.sources.discovery import STDIN
from compat.sources.command_line import add_index_option

KEYS = ("baseline", "exclude", "ignore", "select", "sglang", "vllm")
"""The keys of `[tool.compat]`; each sets the option of the same name."""
FORMATS = ("text", "json", "sarif", "github", "junit", "html")
VERSION_HELP = (
    "exact version, specifier such as '>=0.20,<0.24', range such as 0.20.0..0.23.0, `latest` or `all`; "
    "or a checkout (./vllm), git+file:PATH@REF, a wheel file or env:PATH; may be repeated"
)


class ScanOptions(NamedTuple):
    """The options of one scan."""

    paths: tuple[str, ...]
    sglang: tuple[str, ...]
    vllm: tuple[str, ...]
    select: frozenset[str]
    """The rules whose findings are reported."""
    exclude: tuple[str, ...]
    baseline: str | None
    write_baseline: str | None
    fix: bool
    unsafe_fixes: bool
    """Whether fixes are written that need a review."""
    diff: bool
    format: str
    notes: bool
    """Whether the text report includes notes (CPT004)."""
    output: str | None
    indexes: tuple[str, ...] = ()
    """Further index files, with builds and commits that are no releases."""
    old: tuple[str, ...] = ()
    """The values of `--from`."""
    new: tuple[str, ...] = ()
    """The values of `--to`."""
    fits: bool = True
    """Whether to find the releases that the tree fits."""
    refused: bool = False
    """Whether to find the releases that the tree itself refuses."""
    packages: tuple[str, ...] = ("sglang", "vllm")
    """The packages to check."""
    causes: bool = True
    """Whether the causes and successors of findings are looked up."""


def parse(argv: Sequence[str]) -> ScanOptions:
    """Return the options of a command line, completed from the configuration of the project.

    Raises:
        UsageError: an option, key or rule does not exist.
    """
    arguments = parser().parse_args(argv)
    if arguments.fix and STDIN in arguments.path:
        raise UsageError("--fix: standard input cannot be rewritten; pass a file, or --diff")
    compared = bool(arguments.old or arguments.new)
    if compared and (arguments.sglang or arguments.vllm):
        raise UsageError("--from and --to select the releases; leave out --sglang and --vllm")
    table = configured(arguments.path[0])
    chosen = set(_rules(arguments.select or table.get("select", []), "--select") or RULES)
    chosen -= set(_rules([*arguments.ignore, *table.get("ignore", [])], "--ignore"))
    return ScanOptions(
        paths=tuple(arguments.path),
        sglang=tuple(arguments.sglang or table.get("sglang", ())),
        vllm=tuple(arguments.vllm or table.get("vllm", ())),
        select=frozenset(chosen),
        exclude=(*arguments.exclude, *table.get("exclude", ())),
        baseline=arguments.baseline or next(iter(table.get("baseline", ())), None),
        write_baseline=arguments.write_baseline,
        fix=arguments.fix or arguments.unsafe_fixes,
        unsafe_fixes=arguments.unsafe_fixes,
        diff=arguments.diff,
        format=arguments.format,
        notes=arguments.notes,
        output=arguments.output,
        indexes=tuple(arguments.index),
        old=tuple(arguments.old),
        new=tuple(arguments.new),
        fits=not (
            compared or arguments.fix or arguments.unsafe_fixes or arguments.diff or arguments.write_baseline
        ),
    )


def configured(path: str) -> dict[str, list[str]]:
    """Return `[tool.compat]` of the project that contains a path, each value as a list of strings.

    Raises:
        UsageError: the file is not valid TOML, or has an unknown key or a value of the wrong type.
    """
    from compat.scan.releases.project_pins import project_root
    from compat.scan.sources.discovery import read

    root = project_root(path)
    name = f"{root}/pyproject.toml"
    try:
        text = read(name).decode("utf-8", "replace") if root else ""
    except OSError:
        return {}
    if "tool.compat" not in text:
        return {}
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        table = tomllib.loads(text).get("tool", {}).get("compat", {})
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name}: {error}") from None
    except RecursionError:
        raise UsageError(f"{name}: nested too deeply to be read") from None
    return {key: _texts(f"{name}: tool.compat.{key}", key, value, str(root)) for key, value in table.items()}


def _texts(where: str, key: str, value: Any, root: str) -> list[str]:
    if key not in KEYS:
        import difflib

        near = difflib.get_close_matches(key, KEYS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(KEYS)}"
        raise UsageError(f"{where}: unknown key; {hint}")
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise UsageError(f"{where}: expected a string or a list of strings")
    return [f"{root}/{each}" for each in values] if key == "baseline" else values


def _rules(texts: Sequence[str], option: str) -> list[str]:
    found = [code.strip() for text in texts for code in text.split(",")]
    for code in found:
        if code not in RULES:
            raise UsageError(f"{option}: unknown rule {code!r}; use one of {', '.join(RULES)}")
    return found


def parser() -> console.Parser:
    """Return the argument parser of `compat scan`."""
    parser = console.Parser(
        "compat scan",
        "Find the uses of sglang and vllm in a source tree that break, the releases in which they break, "
        "and what to write instead. Nothing is executed. Without --sglang and --vllm, the scan covers the "
        "releases that the project pins, else the newest.",
    )
    parser.add_argument(
        "path",
        nargs="*",
        default=["."],
        metavar="PATH",
        help="file or folder (.py, .pyi and .ipynb; scripts, Dockerfiles, YAML, Markdown), or - for standard "
        "input (default: this folder)",
    )
    parser.add_argument("--sglang", action="append", default=[], metavar="SPEC", help=VERSION_HELP)
    parser.add_argument("--vllm", action="append", default=[], metavar="SPEC", help="the same for vllm")
    add_index_option(parser)
    parser.add_argument(
        "--from",
        dest="old",
        action="append",
        default=[],
        metavar="RELEASE",
        help="report only what breaks in --to and not in this release, such as 0.18.1 or vllm==0.18.1 "
        "(default: the newest that the project pins); once for each package",
    )
    parser.add_argument(
        "--to",
        dest="new",
        action="append",
        default=[],
        metavar="RELEASE",
        help="the release to compare with --from (default: latest)",
    )
    parser.add_argument(
        "--select", action="append", default=[], metavar="RULES", help="report only these rules"
    )
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="RULES", help="do not report these rules"
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="NAME", help="folder or file to skip"
    )
    parser.add_argument("--baseline", metavar="FILE", help="file of known findings, which are not reported")
    parser.add_argument(
        "--write-baseline", metavar="FILE", help="write the findings to a baseline file and exit with 0"
    )
    parser.add_argument(
        "--fix", action="store_true", help="rewrite imports whose fix is safe (needs the extra `fix`)"
    )
    parser.add_argument(
        "--unsafe-fixes", action="store_true", help="as --fix, and rewrite the imports that need a review"
    )
    parser.add_argument("--diff", action="store_true", help="print what --fix would change")
    parser.add_argument("--notes", action="store_true", help="also report notes (CPT004)")
    parser.add_argument("--format", choices=FORMATS, default="text")
    parser.add_argument("--output", metavar="FILE", help="write the report to a file instead of stdout")
    return parser
