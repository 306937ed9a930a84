"""What people expect of any command: `--quiet`, standard input, ranges as they are printed, examples."""

import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from compat import __main__, errors
from compat._cli import console, progress
from compat._cli.examples import EXAMPLES
from compat.pairs import lock_cli
from compat.scan.sources import discovery

ROOT = Path(__file__).parents[2]
MOVED = "from vllm.utils import FlexibleArgumentParser\n"
LOG = "ImportError: cannot import name 'FlexibleArgumentParser' from 'vllm.utils'\nvllm 0.20.0\n"

SHELL = 'compat() {{ "{python}" -m compat "$@"; }}; python() {{ cat fails.log; }}'
"""What the names of programs in the examples stand for."""
SLOW = (
    *("compat bundle", "compat doctor", "compat pairs lock"),
    *("compat export site", "compat lsp", "compat mcp"),
)
"""Programs that serve until they are ended, or whose examples need a lock, an environment or minutes; their
arguments are only parsed."""
NEEDS_NETWORK = (
    "compat matrix run seed",
    "compat matrix gate --require import",
    "compat pairs 0.5.23 0.33.0",
    "compat pairs 0.5.23 0.33.0 --format requirements > requirements.txt",
)


def run(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = console.run(__main__.main, shlex.split(line)[1:])
    return code, *capsys.readouterr()


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with what the examples name; the current folder."""
    (tmp_path / "src").mkdir()
    for path in ("serve.py", "src/serve.py"):
        (tmp_path / path).write_text(MOVED)
    (tmp_path / "fails.log").write_text(LOG)
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "matrix.toml").write_text((ROOT / "matrix.toml").read_text())
    (tmp_path / ".local/share/bash-completion/completions").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)


def examples() -> list[str]:
    return [line for lines in EXAMPLES.values() for line in lines]


@pytest.mark.parametrize("line", examples())
def test_every_example_of_the_help_is_valid(line: str, tmp_path: Path) -> None:
    if line.startswith(SLOW) or line in NEEDS_NETWORK:
        arguments = shlex.split(line.partition(" > ")[0])[1:]
        lock = arguments[:2] == ["pairs", "lock"]
        assert vars(lock_cli.parser().parse_args(arguments[2:]) if lock else whole().parse_args(arguments))
        return
    done = subprocess.run(
        ["bash", "-c", f"{SHELL.format(python=sys.executable)}; {line}"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode in (errors.CLEAN, errors.FINDINGS), done.stderr
    assert done.stdout or "--output" in line or " > " in line


def whole() -> console.Parser:
    return __main__.parser(complete=True)


@pytest.mark.parametrize("name", sorted(set(__main__.COMMANDS)))
def test_every_command_ends_its_help_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        __main__.main([name, "--help"])
    shown = capsys.readouterr().out.partition("\nexamples:\n")[2].splitlines()
    assert shown == [f"  {line}" for line in EXAMPLES[f"compat {name}"]]
    assert shown


def test_quiet_leaves_out_notes_and_keeps_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    loud = run("compat scan serve.py", capsys)
    quiet = run("compat scan serve.py --quiet", capsys)
    assert loud[:2] == quiet[:2]
    assert loud[2].startswith("compat: sglang 0.")
    assert quiet[2] == ""
    assert run("compat scan serve.py", capsys) == loud, "one run does not change the next"


@pytest.mark.parametrize("option", ["-q", "--quiet"])
def test_quiet_may_stand_before_the_command(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    after = run(f"compat scan serve.py {option}", capsys)
    assert after[:1] == (errors.FINDINGS,)
    assert run(f"compat {option} scan serve.py", capsys) == after


def test_quiet_without_a_command_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compat --quiet", capsys) == run("compat", capsys)


@pytest.mark.parametrize("paths", ["", ".", "./src", "src", "././/src/serve.py"])
def test_git_applies_the_diff_of_a_scan(paths: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("libcst")
    code, diff, _ = run(f"compat scan {paths} --vllm 0.23.0 --diff", capsys)
    assert code == errors.FINDINGS
    assert "--- a/src/serve.py\n" in diff
    subprocess.run(["git", "apply", "-"], input=diff, text=True, check=True)
    assert run("compat scan src --vllm 0.23.0", capsys)[0] == errors.CLEAN


@pytest.mark.parametrize(
    ("mixed", "usual"),
    [
        ("scan serve.py --vllm 0.23.0 src", "scan serve.py src --vllm 0.23.0"),
        ("scan --format json serve.py -q src", "scan serve.py src -q --format json"),
        ("resolve LLM --vllm 0.23.0 Fp8Config", "resolve LLM Fp8Config --vllm 0.23.0"),
        ("pairs 0.5.21 --offline 0.29.0", "pairs 0.5.21 0.29.0 --offline"),
    ],
)
def test_words_may_follow_options(mixed: str, usual: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = run(f"compat {usual}", capsys)
    assert expected[0] in (errors.CLEAN, errors.FINDINGS)
    assert run(f"compat {mixed}", capsys) == expected


@pytest.mark.parametrize(
    "line", ["explain fails.log --vllm 0.20.0 more.log", "scan serve.py --no-such src", "matrix list x"]
)
def test_what_a_command_does_not_take_is_a_usage_error(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(f"compat {line}", capsys)
    assert (code, out) == (errors.USAGE, "")
    assert err.startswith("compat: error: unrecognized arguments: ")
    assert err.count("\n") == 1


def test_a_file_with_the_name_of_standard_input_is_found_by_its_path(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("-").write_text(MOVED)
    code, out, _ = run("compat scan ./- --vllm 0.23.0", capsys)
    assert code == errors.FINDINGS
    assert out.startswith("./-:1:24: CPT001 ")


def test_quiet_keeps_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compat scan gone.py -q", capsys) == (
        2,
        "",
        "compat: error: gone.py: no such file or folder\n",
    )


def test_scan_without_a_path_scans_the_current_folder(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("compat scan --vllm 0.23.0", capsys)
    assert code == errors.FINDINGS
    assert re.findall(r"^(\S+\.py):", out, flags=re.MULTILINE) == ["serve.py", "src/serve.py"]


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> None:
    discovery._standard_input.cache_clear()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(MOVED.encode())))


@pytest.mark.usefixtures("piped")
def test_scan_reads_standard_input(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("compat scan - --vllm 0.23.0", capsys)
    assert code == errors.FINDINGS
    assert out.startswith("-:1:24: CPT001 ")


@pytest.mark.usefixtures("piped")
def test_standard_input_can_be_shown_changed_but_not_rewritten(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("compat scan - --vllm 0.23.0 --diff", capsys)
    assert code == errors.FINDINGS
    assert "+from vllm.utils.argparse_utils import FlexibleArgumentParser\n" in out
    code, out, err = run("compat scan - --vllm 0.23.0 --fix", capsys)
    assert (code, out) == (errors.USAGE, "")
    assert "standard input cannot be rewritten" in err


def test_a_range_is_read_as_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run("compat resolve GPTQLinearMethod --vllm all", capsys)
    printed = re.findall(r"^vllm +(\S+) +defined", out, flags=re.MULTILINE)
    assert printed == ["0.2.6..0.21.0"]
    code, out, _ = run(f"compat resolve GPTQLinearMethod --vllm {printed[0]}", capsys)
    assert (code, out.split()[:3]) == (0, ["vllm", printed[0], "defined"])
    _, _, err = run("compat scan serve.py --vllm 0.11.1..0.23.0", capsys)
    assert "vllm 0.11.1..0.23.0 (" in err


@pytest.mark.parametrize(
    ("text", "problem"),
    [("0.23.0..0.22.0", "ends before it begins"), ("0.22.0..0.22.99", "0.22.99"), ("..0.22.0", "''")],
)
@pytest.mark.parametrize("command", ["compat resolve Fp8Config", "compat scan serve.py"])
def test_a_range_with_a_wrong_end_is_a_usage_error(
    command: str, text: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(f"{command} --vllm {text}", capsys)
    assert code == errors.USAGE
    assert problem in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colours_can_be_forced(
    variables: dict[str, str],
    coloured: bool,  # noqa: FBT001 -- an expectation
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    _, out, _ = run("compat scan serve.py --vllm 0.23.0", capsys)
    assert ("\x1b[" in out) == coloured


@pytest.mark.parametrize(("term", "coloured"), [("xterm", True), ("dumb", False)])
def test_a_dumb_terminal_gets_no_colours(
    term: str,
    coloured: bool,  # noqa: FBT001 -- an expectation
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    controller, terminal = os.openpty()
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", term)
    with os.fdopen(controller), os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert console.coloured() == coloured


def test_a_long_task_writes_lines_into_a_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 5.0, 15.0, 16.0, 95.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with progress.on_terminal("checking releases", 8) as shown:
        for _ in range(4):
            shown.advance(2)
    assert capsys.readouterr() == (
        "",
        (
            "compat: checking releases: 4 of 8, 15 s so far\n"
            "compat: checking releases: 8 of 8, 1 min 35 s so far\n"
        ),
    )
