"""Every example of README and docs is run, or at least read by the parser it is meant for.

A `console` block is a session: `cat FILE` shows a file that the following commands read, and every other
command of this project runs, unless it needs the network or an installed pair; then its arguments are
parsed. `…` stands for any text, and runs of spaces count as one.
"""

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from compat import __main__, errors, load, require
from compat._cli import console
from compat.matrix.config import read_matrix
from compat.pairs import lock_cli
from compat.scan.options import KEYS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
CORPUS = ROOT / "tests/corpus/explain"
ELSEWHERE = (
    "bundle", "completion", "doctor", "index build", "index check", "index update", "matrix gate",
    "matrix plan", "matrix report", "matrix run", "pairs lock",
)  # fmt: skip
"""Commands that need the network, a lock, reports, an environment or an extra."""
SHELL = 'compat() {{ "{python}" -m compat "$@"; }}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [
        Block(page=page, line=text.count("\n", 0, found.start()) + 1, language=found[1], text=found[2])
        for page in PAGES
        for text in [page.read_text(encoding="utf-8")]
        for found in fence.finditer(text)
        if found[1] in languages
    ]


def sessions(block: Block) -> Iterator[tuple[str, str]]:
    """Yield each command of a block with the output that follows it."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        while command.endswith("\\") or command.count('"') % 2:  # continued on the next line
            more, _, output = output.partition("\n")
            command = f"{command}\n{more}"
        yield command, output


def own(command: str) -> str | None:
    """Return the arguments of a command of this project as text; None for another program."""
    found = re.match(r"(?:compat|python -m compat)(?:\.(\w+))?(?= |$)(.*)", command, re.DOTALL)
    return f"{found[1] or ''}{found[2]}".strip() if found else None


def runs_here(arguments: str) -> bool:
    return not arguments.startswith(ELSEWHERE) and not _resolves(arguments)


def _resolves(arguments: str) -> bool:
    """Return whether uv resolves a pair, which needs the network."""
    words = arguments.split()
    return words[0] == "pairs" and "--offline" not in words and not {"--for", "--help"} & set(words)


def check_arguments(arguments: str) -> None:
    """Fail if a command does not take its arguments."""
    words = shlex.split(re.split(r" [|>]|  #", arguments)[0])
    if words[:2] == ["pairs", "lock"]:
        assert vars(lock_cli.parser().parse_args(words[2:]))
    elif not {"--help", "-h"} & set(words):
        assert vars(__main__.parser(complete=True).parse_args(words))


def matches(output: str, shown: str) -> bool:
    """Return whether an output is the one that is shown."""

    def plain(text: str) -> str:
        return " ".join(text.split())

    pattern = ".*".join(re.escape(plain(part)).replace(r"\ ", " ") for part in shown.split("…"))
    return re.fullmatch(pattern.replace(" .*", ".*").replace(".* ", ".*"), plain(output)) is not None


CONSOLE = blocks("console")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that examples name and do not show."""
    for name in ("matrix.toml", "locks"):
        (tmp_path / name).symlink_to(ROOT / name)
    for path in CORPUS.glob("*.log"):
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def write_inputs(page: Path, folder: Path) -> None:
    """Write the files that a page shows by `cat`."""
    for block in CONSOLE:
        for command, output in sessions(block) if block.page == page else ():
            if found := re.fullmatch(r"cat ([\w./-]+)", command):
                target = folder / found[1]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                target.write_text(output, encoding="utf-8")


@pytest.mark.parametrize("block", CONSOLE, ids=lambda block: block.id)
def test_a_session_prints_what_the_page_shows(block: Block, folder: Path) -> None:
    write_inputs(block.page, folder)
    for command, shown in sessions(block):
        arguments = own(command)
        if arguments is None:
            continue
        if not runs_here(arguments):
            check_arguments(arguments)
            continue
        done = subprocess.run(
            [
                "bash",
                "-c",
                f'{SHELL.format(python=sys.executable)}; python() {{ {sys.executable} "$@"; }}\n{command}',
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode in (errors.CLEAN, errors.FINDINGS), done.stderr
        whole = done.stdout if not shown.startswith("compat: ") else done.stderr + done.stdout
        assert matches(whole, shown), f"{block.id}: {command}\n{whole}"


@pytest.mark.parametrize("block", blocks("sh", "bash"), ids=lambda block: block.id)
def test_a_shell_command_has_arguments_that_exist(block: Block) -> None:
    for line in re.sub(r"\\\n", " ", block.text).splitlines():
        for part in re.split(r" \| | && ", line.partition("  #")[0]):
            arguments = own(part.strip())
            if arguments and not re.search(r"\b(ID|DIR|VERSION|SHELL|FILE)\b", arguments):
                check_arguments(arguments)


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.id)
def test_a_configuration_has_keys_that_exist(block: Block, tmp_path: Path) -> None:
    content = tomllib.loads(block.text)
    assert content
    assert set(content.get("tool", {}).get("compat", {})) <= set(KEYS)
    if "pair" in content:
        (tmp_path / "matrix.toml").write_text(block.text)
        assert read_matrix(tmp_path / "matrix.toml").pairs


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.id)
def test_what_a_program_loads_exists_in_every_release_that_it_requires(
    block: Block, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = ast.parse(block.text)
    required = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr == require.__name__:
            for each in node.args:
                package, specifier = re.fullmatch(r"(\w+)(.*)", ast.literal_eval(each)).groups()  # type: ignore[union-attr]
                required[package] = specifier or "latest"
        if node.func.attr == load.__name__ and ast.unparse(node.func.value) == "compat":
            options = {each.arg: ast.literal_eval(each.value) for each in node.keywords}
            package = options.get("package") or next(iter(required), "vllm")
            arguments = ["resolve", ast.literal_eval(node.args[0]), f"--{package}"]
            code = console.run(__main__.main, [*arguments, required.get(package, "latest")])
            assert code == errors.CLEAN, capsys.readouterr().out


@pytest.mark.parametrize(
    "block", [each for each in blocks("python") if "\nassert " in each.text], ids=lambda block: block.id
)
def test_a_program_that_asserts_is_right(block: Block) -> None:
    exec(compile(block.text, block.id, "exec"), {})  # noqa: S102 -- our own documentation


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path.read_text(encoding="utf-8")), target


def anchors(text: str) -> set[str]:
    """Return the anchors that headings get."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_examples_are_found_and_a_wrong_one_fails() -> None:
    assert len(CONSOLE) > 10
    assert any("\nassert " in block.text for block in blocks("python"))
    assert sum(block.page.name == "README.md" for block in CONSOLE) >= 3
    assert matches("a  b\nc d", "a b\n…\n")
    assert matches("a b c", "… c")
    assert not matches("a b", "a c")
    with pytest.raises(errors.UsageError):
        check_arguments("scan . --no-such-option")
