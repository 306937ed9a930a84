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
from compat.matrix.model.outcome import Layers
from compat.probe.probe_runner import ProbeRunner

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
def runner(tmp_path: Path) -> Iterator[ProbeRunner]:
    (tmp_path / "cell").mkdir()
    with (tmp_path / "log").open("a+b", buffering=0) as log:
        yield ProbeRunner(python=Path(sys.executable), folder=tmp_path / "cell", log=log, timeout=60)


def run(runner: ProbeRunner, source: str, stub: Path | None = None) -> Rehearsal:
    """Rehearse sglang with a program of the test's own in the place of the project's."""
    code = runner.folder.parent / "project" / "compat"
    folder = code / "quant" / "backends"
    folder.mkdir(parents=True, exist_ok=True)
    for package in (code, folder.parent, folder):
        (package / "__init__.py").touch()
    (folder / "rehearsal.py").write_text(HEAD + source)
    return rehearse("sglang", runner, variables(runner, code, stub), Silent())


def log(runner: ProbeRunner) -> str:
    runner.log.seek(0)
    return runner.log.read().decode()


def test_layers_are_counted_by_how_they_came_out(runner: ProbeRunner) -> None:
    found = run(runner, "layer()\nlayer()\nlayer('refused', says='ValueError: float16 only')\ndone()\n")
    assert found == Rehearsal(package="sglang", layers=Layers(built=2, refused=1))


def test_a_broken_layer_is_a_disagreement_with_its_place_and_what_was_raised(runner: ProbeRunner) -> None:
    found = run(
        runner, "layer()\nlayer('broken', says='TypeError: no size\\nat all; raised at x.py:3')\ndone()\n"
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
def test_a_package_of_which_nothing_was_built_proves_nothing(source: str, runner: ProbeRunner) -> None:
    assert run(runner, source).problems == ("no layer of sglang could be built",)


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
def test_a_record_that_cannot_be_read_is_told_and_spoils_no_other(line: str, runner: ProbeRunner) -> None:
    found = run(runner, f"layer()\n{line}\nlayer()\ndone()\n")
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
def test_one_that_does_not_come_to_its_end_proves_nothing(source: str, end: str, runner: ProbeRunner) -> None:
    found = run(runner, source)
    assert found.layers == Layers(built=1)
    assert found.problems == (f"the rehearsal of sglang {end}; see the log",)


def test_where_a_signal_ended_it_stands_in_the_log(runner: ProbeRunner) -> None:
    run(runner, "def builds_a_layer():\n    os.kill(os.getpid(), 11)\nbuilds_a_layer()\n")
    assert "in builds_a_layer" in log(runner)


HANGS = "import threading; threading.Event().wait()\n"


def test_one_that_hangs_is_ended(runner: ProbeRunner) -> None:
    found = run(replace(runner, timeout=1), f"layer()\n{HANGS}")
    assert found.problems == ("the rehearsal of sglang hung after 1 s; see the log",)


def test_one_that_is_not_over_with_its_cell_is_ended(runner: ProbeRunner) -> None:
    with pytest.raises(OutOfTimeError, match="not all layers of sglang were built in time"):
        run(replace(runner, until=monotonic() + 1), HANGS)


def test_one_that_does_not_leave_after_its_end_costs_nothing(runner: ProbeRunner) -> None:
    assert run(replace(runner, timeout=30), f"layer()\ndone()\n{HANGS}").problems == ()


def test_what_it_has_started_is_gone_with_it(runner: ProbeRunner) -> None:
    fifo = runner.folder / "fifo"
    os.mkfifo(fifo)
    stream = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    child = f"import os; os.open({str(fifo)!r}, os.O_WRONLY); print(1, flush=True); {HANGS}"
    source = (
        "import subprocess\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\nlayer()\ndone()\n"
    )
    assert run(runner, source).layers.built == 1
    assert os.read(stream, 1) == b"", "nobody has the other end open any more"
    os.close(stream)


def test_it_sees_its_project_alone_and_a_clean_world(
    runner: ProbeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is installed beside this project is not to hide what is in the environment."""
    (runner.folder.parent / "project" / "beside.py").parent.mkdir()
    (runner.folder.parent / "project" / "beside.py").write_text("")
    stub = runner.folder / "stub"
    source = (
        "import importlib.util\n"
        "layer(says=json.dumps([os.environ['HOME'], os.environ['LD_LIBRARY_PATH'], os.getcwd(), "
        "importlib.util.find_spec('beside') is None, os.environ.get('VLLM_USE_V1')]), state='broken')\n"
    )
    monkeypatch.setenv("LD_LIBRARY_PATH", "/own")
    monkeypatch.setenv("VLLM_USE_V1", "0")
    with (runner.folder.parent / "log").open("a+b", buffering=0) as stream:
        fresh = ProbeRunner(python=runner.python, folder=runner.folder, log=stream, timeout=60)
        (entry,) = run(fresh, source, stub).broken
    home, work = runner.folder / "home", runner.folder / "work"
    assert json.loads(entry.observed) == [str(home), f"{stub}{os.pathsep}/own", str(work), True, None]


def test_with_a_driver_its_own_library_stays(runner: ProbeRunner) -> None:
    code = runner.folder.parent
    assert "LD_LIBRARY_PATH" not in variables(runner, code, None)


def test_the_import_path_of_a_given_environment_comes_after_the_project(runner: ProbeRunner) -> None:
    given = replace(runner, variables={"PYTHONPATH": "/bundle/site"})
    found = variables(given, runner.folder.parent, None)["PYTHONPATH"].split(os.pathsep)
    assert found == [str(runner.folder / "code"), "/bundle/site"]


def test_a_flood_does_not_fill_the_disk(runner: ProbeRunner) -> None:
    """The rehearsal is told how much it may write; the project's own holds to it."""
    found = run(replace(runner, room=1234), "layer('broken', says=room)\n")
    assert found.broken[0].observed == "1234"


def test_what_is_rehearsed_is_a_module_of_this_project() -> None:
    root = Path(rehearsals.__file__).parents[3]
    assert (root / rehearsals.MODULE.replace(".", "/")).with_suffix(".py").is_file()
