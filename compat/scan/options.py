"""What a scan is asked to do: the command line, and `[tool.compat]` of the scanned project."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from compat._cli import console
from compat.errors import UsageError
from compat.scan.findings import RULES

KEYS = ("baseline", "exclude", "ignore", "select", "sglang", "vllm")
"""Of `[tool.compat]`; each stands for the option of its name."""
FORMATS = ("text", "json", "sarif", "github", "junit", "html")
VERSION_HELP = "an exact version, a specifier such as '>=0.20,<0.24', `latest` or `all`; may be repeated"


class ScanOptions(NamedTuple):
    """All that can be said about a scan."""

    paths: tuple[str, ...]
    sglang: tuple[str, ...]
    vllm: tuple[str, ...]
    select: frozenset[str]
    """The rules that are told."""
    exclude: tuple[str, ...]
    baseline: str | None
    write_baseline: str | None
    fix: bool
    diff: bool
    format: str
    notes: bool
    """Whether the text has what is only information."""
    output: str | None


def parse(argv: Sequence[str]) -> ScanOptions:
    """Return the options of a command line, completed from the configuration of the project.

    Raises:
        UsageError: an option, a key or a rule that does not exist.
    """
    arguments = _parser().parse_args(argv)
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
        fix=arguments.fix,
        diff=arguments.diff,
        format=arguments.format,
        notes=arguments.notes,
        output=arguments.output,
    )


def configured(path: str) -> dict[str, list[str]]:
    """Return `[tool.compat]` of the project that a path belongs to, each value as a list of texts.

    Raises:
        UsageError: the file cannot be read as TOML, or has a key or a value that is none.
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
    return {key: _texts(f"{name}: tool.compat.{key}", key, value, str(root)) for key, value in table.items()}


def _texts(where: str, key: str, value: Any, root: str) -> list[str]:
    if key not in KEYS:
        import difflib

        near = difflib.get_close_matches(key, KEYS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(KEYS)}"
        raise UsageError(f"{where} is no key; {hint}")
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise UsageError(f"{where}: write a text or a list of texts")
    return [f"{root}/{each}" for each in values] if key == "baseline" else values


def _rules(texts: Sequence[str], option: str) -> list[str]:
    found = [code.strip() for text in texts for code in text.split(",")]
    for code in found:
        if code not in RULES:
            raise UsageError(f"{option}: {code!r} is no rule; there are {', '.join(RULES)}")
    return found


def _parser() -> console.Parser:
    parser = console.Parser(
        "compat scan",
        "Tell which uses of sglang and vllm in a source tree break, in which releases, and what to write "
        "there. Nothing is executed. Without --sglang and --vllm: the releases that the project pins, "
        "else the newest.",
    )
    parser.add_argument("path", nargs="+", metavar="PATH", help="a file or folder: .py, .pyi and .ipynb")
    parser.add_argument("--sglang", action="append", default=[], metavar="SPEC", help=VERSION_HELP)
    parser.add_argument("--vllm", action="append", default=[], metavar="SPEC", help="likewise")
    parser.add_argument("--select", action="append", default=[], metavar="RULES", help="only these rules")
    parser.add_argument("--ignore", action="append", default=[], metavar="RULES", help="not these rules")
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="NAME", help="a folder or file to skip"
    )
    parser.add_argument("--baseline", metavar="FILE", help="known findings, which are not told")
    parser.add_argument(
        "--write-baseline", metavar="FILE", help="write what is found as known, and end with 0"
    )
    parser.add_argument("--fix", action="store_true", help="change the files (needs the extra `fix`)")
    parser.add_argument(
        "--diff", action="store_true", help="show what --fix would change, and change nothing"
    )
    parser.add_argument("--notes", action="store_true", help="tell what is only information, too (CPT004)")
    parser.add_argument("--format", choices=FORMATS, default="text")
    parser.add_argument("--output", metavar="FILE", help="write the document there instead of stdout")
    return parser
