"""Write the source of the documentation site (`python tools/docs_site.py FOLDER`), which mkdocs builds.

The pages of `docs/` are copied. A page for each command is made from its parser, and one for each rule and
cause from the pages of `compat rule`. README is the first page. Links to files of the repository that are
not in `docs/` lead to copies of them.
"""

import argparse
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from compat import __main__, errors
from compat._cli.examples import EXAMPLES
from compat.pairs import lock_cli
from compat.rule.pages import pages

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TOP = {"index.md": "README.md", "changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
"""Pages of the site that are files of the repository's root."""
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")


def main(argv: Sequence[str]) -> int:
    """Write the site's source into the folder that `argv` names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    write_site(parser.parse_args(argv).folder.resolve())
    return 0


def write_site(target: Path) -> None:
    """Replace a folder by the source of the site."""
    os.environ["COLUMNS"] = "100"  # the width of the usage of commands
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(DOCS, target)
    sources = {path.relative_to(DOCS).as_posix(): path for path in DOCS.rglob("*.md")}
    sources |= {name: ROOT / file for name, file in TOP.items()}
    where = {source: target / name for name, source in sources.items()}
    for source, page in where.items():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_relinked(source, page, where, target), encoding="utf-8")
    for name, text in {**command_pages(), **rule_pages()}.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _relinked(source: Path, page: Path, where: dict[Path, Path], target: Path) -> str:
    """Return a page whose links lead to the pages of the site, or to copies of other files."""

    def link(found: re.Match[str]) -> str:
        file = (source.parent / found[1]).resolve()
        to = where.get(file)
        if to is None and file.is_relative_to(DOCS):
            to = target / file.relative_to(DOCS)
        elif to is None:
            # mkdocs leaves out files and folders whose name starts with a dot.
            to = target / "files" / file.relative_to(ROOT).as_posix().lstrip(".")
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)
        return f"]({os.path.relpath(to, page.parent)}{found[2] or ''})"

    text = LINK.sub(link, source.read_text(encoding="utf-8"))
    return text.replace('="docs/images/', '="images/') if source.parent == ROOT else text


def rule_pages() -> dict[str, str]:
    """Return the pages about rules and causes, and their index, by path."""
    found = {f"rules/{each.name}.md": each.text for each in pages()}
    rows = [f"| [`{each.name}`]({each.name}.md) | {each.title} |" for each in pages()]
    head = "# Rules and causes\n\n`compat rule NAME` prints these pages.\n\n| Name | Meaning |\n|---|---|\n"
    return {**found, "rules/index.md": head + "\n".join(rows) + "\n"}


def command_pages() -> dict[str, str]:
    """Return the page of each command, made from its parser, and their index, by path."""
    parsers = dict(_subparsers(__main__.parser(complete=True)))
    found = {f"commands/compat-{name}.md": "\n".join(_command(parser, 1)) for name, parser in parsers.items()}
    found["commands/compat-pairs.md"] += "\n" + "\n".join(_command(lock_cli.parser(), 2))
    rows = [f"| [`compat {name}`](compat-{name}.md) | {__main__.COMMANDS[name].help} |" for name in parsers]
    codes = re.findall(r"(\d+) (.+?)(?:$|, (?=\d))", errors.EXIT_CODES)
    text = "# Commands\n\n| Command | What it does |\n|---|---|\n" + "\n".join(rows)
    text += "\n\n## Exit codes\n\n| Code | Meaning |\n|---|---|\n"
    text += "".join(f"| {code} | {meaning} |\n" for code, meaning in codes)
    return {**found, "commands/index.md": text}


def _subparsers(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:  # noqa: SLF001 -- argparse has no other list of them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from action.choices.items()


def _command(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    """Yield the lines about one command and its subcommands."""
    yield f"{'#' * level} {parser.prog}\n"
    yield f"{_escaped(parser.description or '')}\n"
    usage = re.sub(r"\n {7}", "\n", parser.format_usage().removeprefix("usage: ")).rstrip()
    yield f"```text\n{usage}\n```\n"
    rows = [
        f"| {_names(action)} | {_escaped(_help(parser, action))} |"
        for action in parser._actions  # noqa: SLF001
        if action.help != argparse.SUPPRESS and not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    ]
    yield "| Argument | Meaning |\n|---|---|"
    yield from rows
    yield ""
    if lines := EXAMPLES.get(parser.prog):
        yield "```sh\n" + "\n".join(lines) + "\n```\n"
    for _, inner in _subparsers(parser):
        yield from _command(inner, level + 1)


def _names(action: argparse.Action) -> str:
    """Return the names of an option with its value, or that of an argument."""
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    value = " ".join(value) if isinstance(value, tuple) else value
    if action.choices:
        value = "\\|".join(map(str, action.choices))
    if not action.option_strings:
        return f"`{value}`"
    wanted = f" {value}" if action.nargs != 0 else ""
    return ", ".join(f"`{name}{wanted}`" for name in action.option_strings)


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    values = {**vars(action), "prog": parser.prog}
    return (action.help or "the format of the output") % values


def _escaped(text: str) -> str:
    """Return a help text as Markdown: no character of it has a meaning in a table."""
    return re.sub(r"([|*_<>\[\]])", r"\\\1", text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
