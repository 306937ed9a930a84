"""`compat NAME …`: which command runs, and with which arguments."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from compat import __main__, __version__
from compat._cli import console
from compat.errors import UsageError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def greet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A command `greet` that prints its arguments and returns their number."""
    (tmp_path / "greet_command.py").write_text(
        "def main(argv):\n    print('hello', *argv)\n    return len(argv)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    command = __main__.Command(module="greet_command", help="say hello")
    monkeypatch.setattr(__main__, "COMMANDS", {"greet": command})
    return "greet"


def test_a_command_gets_the_rest_of_the_line_untouched(
    greet: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.run(__main__.main, [greet, "--help", "--", "-x"]) == 3
    assert capsys.readouterr().out == "hello --help -- -x\n"


def test_the_entry_reads_the_command_line_of_the_process(
    greet: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["compat", greet])
    assert __main__.entry() == 0
    assert capsys.readouterr().out == "hello\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["resolv"], r"""'resolv' is not a command; did you mean 'resolve'\? \(see "compat --help"\)"""),
        (
            ["zzz"],
            (
                r"'zzz' is not a command; the commands are resolve, check, explain, doctor, scan, upgrade, "
                r"rule, init, export, mcp, lsp, index, matrix, pairs, bundle, completion"
            ),
        ),
        (["--no-such"], "--no-such"),
        (["--no-such", "resolve"], "--no-such"),
    ],
)
def test_a_line_without_a_known_command_is_a_usage_error(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        __main__.main(argv)


def test_without_arguments_it_prints_the_help_and_still_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """A script whose command is an empty variable must not pass."""
    assert console.run(__main__.main, []) == 2
    out, err = capsys.readouterr()
    assert out == __main__.parser().format_help()
    assert err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command_and_option(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert console.run(__main__.main, ["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in (*__main__.COMMANDS, "--max-disk", "--signature", "--write-baseline"):
        assert word.removeprefix("--") in script


def test_bash_completes_with_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert console.run(__main__.main, ["completion", "bash"]) == 0
    (tmp_path / "compat.bash").write_text(capsys.readouterr().out)
    ask = "COMP_WORDS=(compat scan --write-b); COMP_CWORD=2; _shtab_compat; echo ${COMPREPLY[@]}"
    done = subprocess.run(
        ["bash", "-c", f"source {tmp_path}/compat.bash; {ask}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "--write-baseline\n"


def test_help_lists_every_command_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        __main__.main(["--help"])
    shown = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    for name, command in __main__.COMMANDS.items():
        assert [name, command.help] in shown


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        __main__.main(["--version"])
    assert capsys.readouterr().out == f"compat {__version__}\n"


@pytest.mark.parametrize("name", __main__.COMMANDS)
def test_every_listed_command_has_a_main(name: str) -> None:
    assert callable(importlib.import_module(__main__.COMMANDS[name].module).main)


def test_a_wrong_command_costs_no_import_of_any_command() -> None:
    code = "import sys; from compat import __main__ as m; m.console.run(m.main, ['zzz']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name for name in done.stdout.split() if name.partition(".")[0] == "compat"}
    shared = {"compat._cli", "compat._cli.console", "compat._cli.examples", "compat._cli.printable"}
    plumbing = {"compat._util", "compat._util.named_tuple"}
    assert loaded == {"compat", "compat.__main__", "compat.errors", *shared, *plumbing}


@pytest.mark.parametrize("name", sorted(__main__.COMMANDS))
def test_every_command_calls_itself_as_it_is_called(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        __main__.main([name, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: compat {name} [-h]")
