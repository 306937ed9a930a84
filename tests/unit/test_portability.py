"""The commands for macOS and Windows: they need no module of POSIX, and write to any console."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from compat.errors import UsageError
from compat.scan.formats import sarif_
from compat.scan.sources import discovery

ROOT = Path(__file__).parents[2]
WITHOUT_POSIX = Path(__file__).with_name("without_posix.py")

LOG = r"""Traceback (most recent call last):
  File "C:\Users\me\app\serve.py", line 3, in <module>
    from vllm.utils import FlexibleArgumentParser
ImportError: cannot import name 'FlexibleArgumentParser' from 'vllm.utils' (C:\Users\me\app\.venv\Lib\site-packages\vllm\utils\__init__.py)
vllm 0.20.0
"""  # noqa: E501
SOURCE = "from vllm.utils import FlexibleArgumentParser\n"

COMMANDS = {
    "resolve": ["compat.resolve", "Fp8LinearMethod", "--all"],
    "resolve as an import": ["compat", "resolve", "Fp8Config", "--vllm", "latest", "--format", "import"],
    "explain": ["compat.explain", "{tree}/fails.log"],
    "explain for programs": ["compat", "explain", "{tree}/fails.log", "--format", "json"],
    "scan": ["compat.scan", "{tree}/src", "--vllm", ">=0.10"],
    "scan in SARIF": ["compat", "scan", "{tree}", "--vllm", ">=0.10", "--format", "sarif"],
    "scan with a diff": ["compat.scan", "{tree}/src", "--vllm", ">=0.10", "--diff"],
    "what is new": ["compat", "scan", "{tree}/src", "--from", "0.10.0", "--to", "0.33.0"],
    "upgrade": ["compat", "upgrade", "{tree}/src", "--from", "vllm==0.10.0"],
    "check": ["compat", "check", "vllm==0.33.0", "openai==2.25.0"],
    "pairs of a release": ["compat.pairs", "--for", "sglang==0.5.17"],
    "clashes of a pair": ["compat", "pairs", "0.5.23", "0.33.0", "--offline"],
    "help of the servers": ["compat", "mcp", "--help"],
    "export": ["compat", "export", "ruff", "--vllm", "0.22.0"],
    "index info": ["compat", "index", "info"],
    "matrix list": ["compat", "matrix", "list"],
    "help": ["compat", "--help"],
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log, and a project of enough files to be scanned by several processes on Linux."""
    folder = tmp_path_factory.mktemp("tree")
    (folder / "fails.log").write_text(LOG)
    (folder / "src/deep").mkdir(parents=True)
    for number in range(4):
        padding = "# padding\n" * 9000
        (folder / f"src/deep/module_{number}.py").write_text(SOURCE + padding)
    return folder


def run(
    command: Sequence[str], tree: Path, *, poor: bool, variables: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    arguments = [part.format(tree=tree) for part in command]
    start = [str(WITHOUT_POSIX)] if poor else ["-m"]
    done = subprocess.run(
        [sys.executable, *start, *arguments],
        cwd=ROOT,
        env={**os.environ, **(variables or {})},
        capture_output=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_answers_the_same_without_posix(command: list[str], tree: Path) -> None:
    expected = run(command, tree, poor=False)
    assert expected[0] in (0, 1), expected
    assert expected[1]
    assert run(command, tree, poor=True) == expected


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems lack it anyway")
def test_the_child_really_lacks_posix(tree: Path) -> None:
    code, _, err = run(["fcntl"], tree, poor=True)
    assert code == 1
    assert "fcntl" in err
    code, _, err = run(["compat.matrix", "run", "seed"], tree, poor=True)
    assert code == 1, "a cell needs what was taken away"
    assert "Traceback" in err


def test_a_child_process_is_run_and_read_without_process_groups() -> None:
    code = (
        "import os, sys\nif hasattr(os, 'killpg'): del os.killpg\n"
        "from compat._util.subprocesses import run\n"
        "answer = run([sys.executable, '-c', 'import sys; print(sys.stdin.read()); sys.exit(\"no\")'], "
        "seconds=60, given=b'hello')\n"
        "print(answer.code, answer.stdout.split(), answer.stderr.split())\n"
        "slow = run([sys.executable, '-c', 'import time; time.sleep(60)'], "
        "seconds=0.5)\n"
        "print(slow.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout == "1 ['hello'] ['no']\nNone\n"


def test_a_program_can_require_and_load_without_posix() -> None:
    code = (
        "import without_posix; without_posix.take_away()\n"
        "import compat; compat.require('packaging>=1')\n"
        "try: compat.load('Fp8LinearMethod', package='vllm')\n"
        "except compat.SymbolUnavailable as error: print(error.diagnosis.cause)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(WITHOUT_POSIX.parent)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("package_missing\n", "")


@pytest.mark.parametrize("encoding", ["cp437", "cp1252", "ascii"])
def test_a_console_of_another_encoding_gets_the_whole_answer(encoding: str, tree: Path) -> None:
    command = COMMANDS["explain"]
    code, out, err = run(command, tree, poor=True, variables={"PYTHONIOENCODING": encoding})
    assert (code, err) == (0, "")
    assert "from vllm.utils.argparse_utils import FlexibleArgumentParser" in out


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("C:/Users/me/a b.py", "file:///C:/Users/me/a%20b.py"),
        ("/home/me/a.py", "file:///home/me/a.py"),
        ("./src/a.py", "src/a.py"),
        ("src/a.py", "src/a.py"),
    ],
)
def test_a_path_in_sarif_is_a_reference(path: str, uri: str) -> None:
    assert sarif_._uri(path) == uri


def test_paths_of_windows_get_slashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sep", "/")
    assert discovery.with_slashes("a\\b.py") == "a\\b.py", "a file name may contain a backslash on POSIX"
    monkeypatch.setattr(os, "sep", "\\")
    assert discovery.with_slashes("C:\\src\\a.py") == "C:/src/a.py"


def test_files_are_told_apart_without_the_numbers_in_a_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows, the entries of `os.scandir` have no inode numbers."""
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("")
    whole = os.stat(tmp_path)  # noqa: PTH116
    blank = os.stat_result((whole.st_mode & 0o777 | 0o100000, 0, 0, *whole[3:]))

    class Entry:
        def __init__(self, entry: "os.DirEntry[str]") -> None:
            self.name, self.path = entry.name, entry.path

        def stat(self) -> os.stat_result:
            return blank

    class Listing:
        def __init__(self, folder: str) -> None:
            self.entries = [Entry(entry) for entry in real(folder)]

        def __enter__(self) -> list[Entry]:
            return self.entries

        def __exit__(self, *_: object) -> None:
            pass

    real = os.scandir
    monkeypatch.setattr(os, "scandir", Listing)
    found = [Path(path).name for path in discovery.Walk().files((str(tmp_path),))]
    assert found == ["a.py", "b.py"]


@pytest.mark.parametrize(
    "command",
    [
        ["matrix", "run", "seed"],
        ["matrix", "plan"],
        ["doctor"],
        ["bundle", "seed", "--output", "x"],
        ["pairs", "0.5.23", "0.33.0", "--probe"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_what_needs_linux_says_so_in_one_line(
    command: list[str], system: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from compat import __main__
    from compat._cli import console

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "platform", system)
    assert console.run(__main__.main, command) == UsageError.exit_code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "works on Linux only" in err
