"""Rehearsals in real child processes: what their results prove, and what they cannot do to a cell."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from compat._cli.progress import Silent
from compat.errors import OutOfTimeError
from compat.matrix.judge import rehearsals
from compat.matrix.judge.rehearsals import Rehearsal, rehearse, variables
from compat.matrix.outcome import Layers
from compat.probe.runner import Watcher

HEAD = """
import json, os, sys
package, results, room = sys.argv[1:]
def write(line):
    with open(results, "a") as file:
        print(line, file=file)
def layer(state="built", **changes):
    record = {"event": "layer", "package": package, "scheme": "awq4-g128", "way": "awq", "dtype": "float16",
              "state": state, "method": "", "says": ""}
    write(json.dumps({**record, **changes}))
def done():
    write('{"event": "done"}')
"""


@pytest.fixture
def watcher(tmp_path: Path) -> Iterator[Watcher]:
    (tmp_path / "cell").mkdir()
    with (tmp_path / "log").open("a+b", buffering=0) as log:
        yield Watcher(python=Path(sys.executable), folder=tmp_path / "cell", log=log, timeout=60)


def run(watcher: Watcher, source: str, stub: Path | None = None) -> Rehearsal:
    """Rehearse sglang with a program of the test's own in the place of the project's."""
    code = watcher.folder.parent / "project" / "compat"
    folder = code / "quant" / "backends"
    folder.mkdir(parents=True, exist_ok=True)
    for package in (code, folder.parent, folder):
        (package / "__init__.py").touch()
    (folder / "rehearsal.py").write_text(HEAD + source)
    return rehearse("sglang", watcher, variables(watcher, code, stub), Silent())


def log(watcher: Watcher) -> str:
    watcher.log.seek(0)
    return watcher.log.read().decode()


def test_layers_are_counted_by_how_they_came_out(watcher: Watcher) -> None:
    found = run(watcher, "layer()\nlayer()\nlayer('refused', says='ValueError: float16 only')\ndone()\n")
    assert found == Rehearsal(package="sglang", layers=Layers(built=2, refused=1))


def test_a_broken_layer_is_a_disagreement_with_its_place_and_what_was_raised(watcher: Watcher) -> None:
    found = run(
        watcher, "layer()\nlayer('broken', says='TypeError: no size\\nat all; raised at x.py:3')\ndone()\n"
    )
    assert found.layers == Layers(built=1, broken=1)
    (entry,) = found.broken
    assert entry.is_layer
    assert entry.location == "layer:sglang/awq4-g128/awq/float16"
    assert (entry.expected, entry.observed) == (
        "a layer that is built",
        "TypeError: no size at all; raised at x.py:3",
    )
    assert found.problems == ()


@pytest.mark.parametrize("source", ["done()\n", "layer('refused')\ndone()\n", "layer('broken')\ndone()\n"])
def test_a_package_of_which_nothing_was_built_proves_nothing(source: str, watcher: Watcher) -> None:
    assert run(watcher, source).problems == ("no layer of sglang could be built",)


@pytest.mark.parametrize(
    "line",
    [
        "write('no JSON')",
        "write('[' * 100000)",
        "write('[1]')",
        "write('{}')",
        "layer('splendid')",
        "layer(state=None)",
        "layer(scheme=3)",
        "layer(package='vllm')",
        "open(results, 'ab').write(b'\\xff\\xfe\\n')",
    ],
)
def test_a_record_that_cannot_be_read_is_told_and_spoils_no_other(line: str, watcher: Watcher) -> None:
    found = run(watcher, f"layer()\n{line}\nlayer()\ndone()\n")
    assert found.layers == Layers(built=2)
    assert found.problems == ("record 2 of the rehearsal of sglang cannot be read",)


@pytest.mark.parametrize(
    ("source", "end"),
    [
        ("layer()\nos.kill(os.getpid(), 11)\n", "crashed: signal 11 (SIGSEGV)"),
        ("layer()\nsys.exit(7)\n", "exited with code 7"),
        ("layer()\n", "exited with code 0"),
        ("layer()\nopen(results, 'a').write('{\"event\": \"do')\n", "exited with code 0"),
    ],
)
def test_one_that_does_not_come_to_its_end_proves_nothing(source: str, end: str, watcher: Watcher) -> None:
    found = run(watcher, source)
    assert found.layers == Layers(built=1)
    assert found.problems == (f"the rehearsal of sglang {end}, see the log",)


def test_where_a_signal_ended_it_stands_in_the_log(watcher: Watcher) -> None:
    run(watcher, "def builds_a_layer():\n    os.kill(os.getpid(), 11)\nbuilds_a_layer()\n")
    assert "in builds_a_layer" in log(watcher)


HANGS = "import threading; threading.Event().wait()\n"


def test_one_that_hangs_is_ended(watcher: Watcher) -> None:
    found = run(replace(watcher, timeout=1), f"layer()\n{HANGS}")
    assert found.problems == ("the rehearsal of sglang hung after 1 s, see the log",)


def test_one_that_is_not_over_with_its_cell_is_ended(watcher: Watcher) -> None:
    with pytest.raises(OutOfTimeError, match="the layers of sglang were not all built in time"):
        run(replace(watcher, until=monotonic() + 1), HANGS)


def test_one_that_does_not_leave_after_its_end_costs_nothing(watcher: Watcher) -> None:
    assert run(replace(watcher, timeout=30), f"layer()\ndone()\n{HANGS}").problems == ()


def test_what_it_has_started_is_gone_with_it(watcher: Watcher) -> None:
    fifo = watcher.folder / "fifo"
    os.mkfifo(fifo)
    stream = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    child = f"import os; os.open({str(fifo)!r}, os.O_WRONLY); print(1, flush=True); {HANGS}"
    source = (
        "import subprocess\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\nlayer()\ndone()\n"
    )
    assert run(watcher, source).layers.built == 1
    assert os.read(stream, 1) == b"", "nobody has the other end open any more"
    os.close(stream)


def test_it_sees_its_project_alone_and_a_clean_world(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is installed beside this project is not to hide what is in the environment."""
    (watcher.folder.parent / "project" / "beside.py").parent.mkdir()
    (watcher.folder.parent / "project" / "beside.py").write_text("")
    stub = watcher.folder / "stub"
    source = (
        "import importlib.util\n"
        "layer(says=json.dumps([os.environ['HOME'], os.environ['LD_LIBRARY_PATH'], os.getcwd(), "
        "importlib.util.find_spec('beside') is None, os.environ.get('VLLM_USE_V1')]), state='broken')\n"
    )
    monkeypatch.setenv("LD_LIBRARY_PATH", "/own")
    monkeypatch.setenv("VLLM_USE_V1", "0")
    with (watcher.folder.parent / "log").open("a+b", buffering=0) as stream:
        fresh = Watcher(python=watcher.python, folder=watcher.folder, log=stream, timeout=60)
        (entry,) = run(fresh, source, stub).broken
    home, work = watcher.folder / "home", watcher.folder / "work"
    assert json.loads(entry.observed) == [str(home), f"{stub}{os.pathsep}/own", str(work), True, None]


def test_with_a_driver_its_own_library_stays(watcher: Watcher) -> None:
    code = watcher.folder.parent
    assert "LD_LIBRARY_PATH" not in variables(watcher, code, None)


def test_the_import_path_of_a_given_environment_comes_after_the_project(watcher: Watcher) -> None:
    given = replace(watcher, variables={"PYTHONPATH": "/bundle/site"})
    found = variables(given, watcher.folder.parent, None)["PYTHONPATH"].split(os.pathsep)
    assert found == [str(watcher.folder / "code"), "/bundle/site"]


def test_a_flood_does_not_fill_the_disk(watcher: Watcher) -> None:
    """The rehearsal is told how much it may write; the project's own holds to it."""
    found = run(replace(watcher, room=1234), "layer('broken', says=room)\n")
    assert found.broken[0].observed == "1234"


def test_what_is_rehearsed_is_a_module_of_this_project() -> None:
    root = Path(rehearsals.__file__).parents[3]
    assert (root / rehearsals.MODULE.replace(".", "/")).with_suffix(".py").is_file()
