"""Progress bars appear on terminals only, notes always appear, and neither is written to stdout."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from compat._cli import progress

ROOT = Path(__file__).parents[2]
COLOUR = re.compile(r"\x1b\[[\d;]*3[0-9]")
WORK = """
import sys
from compat._cli import progress
with progress.on_terminal("Reading wheels", 3) as seen:
    for _ in range(3):
        seen.advance()
    seen.note("no byte ranges: [fetching] all of it")
"""
NOTE = "compat: no byte ranges: [fetching] all of it"


def on_a_terminal(code: str, **environment: str) -> tuple[str, str]:
    """Return what `code` writes to stdout and to stderr if stderr is a terminal."""
    controller, terminal = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**clean, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    with child:
        try:
            while chunk := os.read(controller, 4096):
                shown += chunk
        except OSError:  # Linux reports a terminal whose last writer has gone as an error
            pass
        finally:
            os.close(controller)
        out, _ = child.communicate(timeout=60)
    assert child.returncode == 0, shown
    return out.decode(), shown.decode()


def test_a_bar_and_its_notes_on_a_terminal() -> None:
    out, err = on_a_terminal(WORK)
    assert out == ""
    assert "Reading wheels" in err
    assert "3/3" in err
    assert NOTE in err
    assert COLOUR.search(err)


def test_no_color_is_honoured() -> None:
    _, err = on_a_terminal(WORK, NO_COLOR="1")
    assert "Reading wheels" in err
    assert not COLOUR.search(err)


@pytest.mark.parametrize(
    ("code", "environment"),
    [(WORK, {"TERM": "dumb"}), ("import sys; sys.modules['rich'] = None\n" + WORK, {})],
    ids=["dumb terminal", "without rich"],
)
def test_a_terminal_that_cannot_draw_gets_the_notes(code: str, environment: dict[str, str]) -> None:
    assert on_a_terminal(code, **environment) == ("", f"{NOTE}\r\n")


def test_a_pipe_gets_the_notes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORK], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("", f"{NOTE}\n")


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ("'packing', 8_000, unit_bytes=True", ["packing: 1.0 kB of 8.0 kB,", "packing: 2.0 kB of 8.0 kB,"]),
        ("'installing', None", ["installing:", "installing:"]),
    ],
)
def test_long_work_writes_a_line_to_a_log_now_and_then(options: str, lines: list[str]) -> None:
    work = f"""
from compat._cli import progress
with progress.on_terminal({options}) as seen:
    for progress.LINE_EVERY in (3600, 0, 3600, 0):
        seen.advance(500)
"""
    done = subprocess.run(
        [sys.executable, "-c", work], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.splitlines() == [f"compat: {line} 0 s so far" for line in lines]


def test_silence(capfd: pytest.CaptureFixture[str]) -> None:
    silent: progress.Progress = progress.Silent()
    silent.advance(2)
    silent.note("nobody hears this")
    assert capfd.readouterr() == ("", "")
