"""The argument parser and the wrapper of all commands, in child processes where the process matters."""

import gc
import json
import os
import shlex
import signal
import subprocess
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat import errors
from compat._cli import console

ROOT = Path(__file__).parents[2]
FULL = Path("/dev/full")

buffering = pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])


def program(body: str, *, before: str = "") -> list[str]:
    """Return the command line of a child whose `main(argv)` has `body`, run the way every command is.

    Args:
        body: the statements of `main`.
        before: statements that the child runs first.
    """
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    source = (
        "import signal, sys\nfrom compat._cli import console\n"
        f"{before}\ndef main(argv):\n{lines}\nsys.exit(console.run(main))"
    )
    return [sys.executable, "-c", source]


def environment(unbuffered: str = "") -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": unbuffered}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("bad"), 2),
        (errors.NothingSelectedError("bad"), 3),
        (errors.NetworkError("bad"), 4),
        (errors.DiskError("bad"), 4),
        (errors.IntegrityError("bad"), 4),
        (errors.MissingToolError("bad"), 4),
        (NotADirectoryError(20, "Not a directory", "a/b"), 4),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_one_line_and_an_exit_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(_: Sequence[str]) -> int:
        raise error

    assert console.run(main, []) == code
    shown = "Not a directory (a/b)" if isinstance(error, OSError) else "bad"
    assert capsys.readouterr() == ("", f"compat: error: {shown}\n")


def test_what_main_returns_is_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.run(len, ["one", "two", "three"]) == 3
    assert capsys.readouterr() == ("", "")


def test_arguments_come_from_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["compat", "one", "two"])
    assert console.run(len) == 2


def test_a_defect_keeps_its_traceback() -> None:
    """A defect is not a user's error: without the traceback nobody could find it."""

    def main(_: Sequence[str]) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        console.run(main, [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_with_130_and_one_line(number: signal.Signals) -> None:
    # A job of a shell without job control inherits an ignored SIGINT, one of nohup an ignored SIGHUP.
    usual = {signal.SIGINT: "default_int_handler", signal.SIGTERM: "SIG_DFL", signal.SIGHUP: "SIG_DFL"}[
        number
    ]
    body = "print('ready', flush=True)\nsignal.pause()"
    child = subprocess.Popen(
        program(body, before=f"signal.signal({int(number)}, signal.{usual})"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (130, "", "compat: interrupted\n")


@buffering
@pytest.mark.parametrize("lines", [2, 100_000])
def test_a_reader_that_goes_away_is_told_by_the_exit_code_alone(lines: int, unbuffered: str) -> None:
    # The child writes the rest once `head` has left: a closed stdin tells it so.
    body = (
        "print('first', flush=True)\n"
        "sys.stdin.readline()\n"
        f"for number in range({lines}): print(number)\n"
        "return 1"
    )
    child = subprocess.Popen(
        program(body),
        cwd=ROOT,
        env=environment(unbuffered),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdin is not None
        head = subprocess.run(["head", "-1"], stdin=child.stdout, capture_output=True, text=True, check=True)
        child.stdout.close()
        child.stdin.close()
        assert child.stderr is not None
        err = child.stderr.read()
    assert (head.stdout, child.returncode, err) == ("first\n", 141, "")


def test_a_pipe_into_head_in_a_shell() -> None:
    line = shlex.join(program("for number in range(100_000): print(number)\nreturn 0"))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line} | head -1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (141, "0\n", "")


@buffering
@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_full_disk_under_stdout_is_one_line_with_the_way_out(lines: int, unbuffered: str) -> None:
    body = f"for number in range({lines}): print(number)\nreturn 0"
    with FULL.open("w") as full:
        done = subprocess.run(
            program(body),
            cwd=ROOT,
            env=environment(unbuffered),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    message = "compat: error: No space left on device; free some space and run it again\n"
    assert (done.returncode, done.stderr) == (4, message)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["resolve", "LLM", "--vllm", "latest"], 0), (["nosuch"], 2), (["explain", "/none"], 2)],
)
def test_a_full_disk_under_stderr_costs_the_notes_only(arguments: list[str], code: int) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "compat", *arguments],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, bool(done.stdout)) == (code, code == 0)


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_that_cannot_be_written_is_an_error(argument: str) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "compat", argument],
            cwd=ROOT,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)


def test_a_failure_keeps_what_was_written_before_it() -> None:
    done = subprocess.run(
        program("print('before')\nopen('/no/such/folder/file')"),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    message = "compat: error: No such file or directory (/no/such/folder/file)\n"
    assert (done.returncode, done.stdout, done.stderr) == (4, "before\n", message)


def test_a_wrong_argument_is_a_usage_error_that_names_the_help() -> None:
    parser = console.Parser("compat thing", "Does a thing.")
    parser.add_argument("--count", type=int)
    with pytest.raises(errors.UsageError, match=r"""--count.*'two' \(see "compat thing --help"\)$"""):
        parser.parse_args(["--count", "two"])
    with pytest.raises(errors.UsageError, match="--cou"):
        parser.parse_args(["--cou", "2"])


def test_help_lists_the_exit_codes() -> None:
    parser = console.Parser("compat thing", "Does a thing.")
    assert " ".join(parser.format_help().split()).endswith(errors.EXIT_CODES)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=50)
@given(JSON)
def test_a_document_is_what_json_writes(value: object) -> None:
    """Also where one object stands in several places, deeper and less deep."""
    content = {"one": value, "more": [value, {"again": value, "same": (value, value)}]}
    known = {"schema": 1, "command": "x", **content}
    assert console.document("x", **content) == json.dumps(known, indent=2, sort_keys=True)


def test_a_document_is_sorted_and_carries_schema_and_command() -> None:
    text = console.document("list of things", pairs=[{"id": "seed", "extras": []}], also=None)
    read = json.loads(text)
    assert read == {
        "schema": 1,
        "command": "list of things",
        "pairs": [{"id": "seed", "extras": []}],
        "also": None,
    }
    assert list(read) == ["also", "command", "pairs", "schema"]
    assert list(read["pairs"][0]) == ["extras", "id"]


def test_a_stream_that_cannot_show_a_letter_is_no_failure() -> None:
    code = (
        "import sys; from compat._cli import console; "
        r"sys.exit(console.run(lambda argv: print('\u2026\ud800') or 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "\\u2026\\ud800\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_error_and_nothing_gets_into_the_other(closed: str) -> None:
    body = "console.say('a note')\nprint('the document')\nreturn 1"
    line = f"{shlex.join(program(body))} {closed}"
    ended = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S602
    shown = ("" if closed.startswith(">") else "the document\n", "" if "2" in closed else "compat: a note\n")
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, *shown)


def test_what_a_block_without_cycle_search_made_is_still_searched_afterwards() -> None:
    """A server answers many questions in one process: cycles of one answer must not stay for ever."""
    frozen = gc.get_freeze_count()
    with console.no_cycle_search():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen


class _Node:
    """An object in a cycle."""

    def __init__(self) -> None:
        self.itself = self


def test_cycles_of_many_blocks_do_not_pile_up() -> None:
    """Readers of files are in cycles: a thousand of them would leave no file descriptors."""
    made = []
    for _ in range(30):
        with console.no_cycle_search():
            nodes = [_Node() for _ in range(20_000)]
            made.append(weakref.ref(nodes[0]))
            del nodes
        _ = [[] for _ in range(2_000)]
    assert sum(each() is not None for each in made) <= 1
