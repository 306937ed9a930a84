"""The probe and its runner, with real packages in real child processes."""

import os
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat.errors import PreparationError
from compat.matrix.judge.compare import judge
from compat.probe.expectation import ModuleExpectation, NameExpectation
from compat.probe.forks import forked
from compat.probe.probe_process import DAMAGED, FORKED, child_variables
from compat.probe.probe_records import ModuleFact, NameFact
from compat.probe.probe_runner import ProbeRunner
from compat.probe.tasks import Task

GOOD = """
import functools
import os
from typing import Any
from tiny.home import Thing, helper
from tiny import home as renamed

limit = 3
nothing = None
Fallback = Any

class Dummy:
    level = 1
    def method(self, *args): raise NotImplementedError("not here")

AlsoDummy = Dummy
hollow = lambda *args: None

def plain(x):
    return x

@functools.lru_cache
def cached(x):
    return x

class Kernel:
    def __init__(self, fn): self.fn = fn

@Kernel
def jitted(x):
    return x

class Real(Thing):
    pass

def __getattr__(name):
    if name == "late":
        return renamed.helper
    if name == "fatal":
        os._exit(7)
    raise AttributeError(name)
"""

LINES = {
    "garbage": "garbage",
    "nested": "[" * 100_000,
    "list": '["event", "module"]',
    "nothing": "{}",
    "event": '{"event": ["done"]}',
    "other": '{"event": "module", "module": "tiny.good", "imported": true, "names": {}, "unlisted": {}}',
    "keys": '{"event": "module", "module": "tiny.writes_keys"}',
    "names": '{"event": "module", "module": "tiny.writes_names", "imported": true, "names": 5}',
    "types": (
        '{"event": "module", "module": "tiny.writes_types", "imported": true, "unlisted": {}, "seconds": 1,'
        ' "names": {"x": {"bound": true, "kind": "class", "module": 5}}}'
    ),
    "unlisted": (
        '{"event": "module", "module": "tiny.writes_unlisted", "imported": true, "unlisted": {"x": 5},'
        ' "seconds": 1, "names": {}}'
    ),
    "start": '{"event": "start"}',
    "machine": '{"event": "machine"}',
}
"""What a module under test might write into the file of records."""

FILES = {
    "tiny/__init__.py": "",
    "tiny/home.py": "class Thing:\n    def f(self, x): return x\ndef helper(x): return x\n",
    "tiny/good.py": GOOD,
    "tiny/loud.py": "import sys\nprint('out', flush=True)\nprint('err', file=sys.stderr)\nx = 1\n",
    "tiny/segfault.py": "import ctypes\nctypes.string_at(0)\n",
    "tiny/hangs.py": "import threading\nthreading.Event().wait()\n",
    "tiny/leaves_well.py": "import os\nos._exit(0)\n",
    "tiny/leaves.py": "import os\nos._exit(3)\n",
    "tiny/exits.py": "raise SystemExit(5)\n",
    "tiny/lines.py": "raise RuntimeError('first\\n\\n  second')\n",
    "tiny/broken.py": "x = 1\nimport tiny.gone\n",
    "tiny/typo.py": "x = = 1\n",
    "tiny/ring_a.py": "from tiny.ring_b import b\na = 1\n",
    "tiny/ring_b.py": "import tiny.ring_a\nfrom tiny.ring_a import a\nb = 1\n",
    "tiny/ring_c.py": "import sys\nif 'tiny.ring_e' not in sys.modules:\n    import tiny.ring_e\nc = 1\n",
    "tiny/ring_e.py": "from tiny.ring_c import c\ne = 1\n",
    "tiny/half/__init__.py": "import tiny.half.whole\nimport tiny.gone\n",
    "tiny/half/whole.py": "x = 1\n",
    "tiny/forks.py": "import os\nfor _ in range(3): os.fork()\n",
    "tiny/children.py": (
        "import multiprocessing, os, subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', ''], check=True)\n"
        "child = multiprocessing.get_context('fork').Process(target=print)\n"
        "child.start()\nchild.join()\n"
        "if not os.fork(): os._exit(0)\n"
    ),
    "tiny/dumps.py": "import json\njson.dumps = lambda *args, **options: 'nothing'\nx = 1\n",
    "tiny/opens.py": "import builtins, os\nbuiltins.open = None\nos.getpid = lambda: 1\nx = 1\n",
    **{
        f"tiny/writes_{name}.py": (
            "import json, sys\nwith open(json.load(open(sys.argv[1]))['records'], 'a') as stream:\n"
            f"    stream.write({line!r} + '\\n')\n"
        )
        for name, line in LINES.items()
    },
    "tiny/counted.py": "import os\nos.write(1, b'once more')\n",
    "tiny/parricide.py": "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(9)\n",
    "tiny/spoiler.py": "import sys\nsys.modules['tiny.spoilt_mark'] = sys\n",
    "tiny/spoilt.py": "import sys\nassert 'tiny.spoilt_mark' not in sys.modules\n",
}

Probe = Callable[..., dict[str, ModuleFact]]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of a real environment that has the tiny package."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, symlinks=True)
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for name, content in FILES.items():
        path = site / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return folder / "bin" / "python"


@pytest.fixture
def probe(python: Path, tmp_path: Path) -> Probe:
    def look(*expected: ModuleExpectation, timeout: float = 60) -> dict[str, ModuleFact]:
        with (tmp_path / "log.txt").open("ab", buffering=0) as log:
            runner = ProbeRunner(python=python, folder=tmp_path, log=log, timeout=timeout)
            facts = list(runner.facts(expected))
        assert len(facts) == len(expected), "one fact for each module"
        return {fact.module: fact for fact in facts}

    return look


def name(
    text: str, status: Any = "defined", kind: Any = "value", origin: str | None = None
) -> NameExpectation:
    return NameExpectation(name=text, status=status, kind=kind, origin=origin)


def name_of(facts: dict[str, ModuleFact], module: str, name: str) -> NameFact:
    names = facts[module].names
    assert names is not None
    return names[name]


def module(text: str, *names: NameExpectation, **more: Any) -> ModuleExpectation:
    return ModuleExpectation(module=text, exists=True, names=names, **more)


GOOD_NAMES = (
    name("functools", "reexported", "module", "functools"),
    name("os", "reexported", "module", "os"),
    name("Any", "reexported", "value", "typing:Any"),
    name("Thing", "reexported", "class", "tiny.home:Thing"),
    name("helper", "reexported", "function", "tiny.home:helper"),
    name("renamed", "reexported", "module", "tiny.home"),
    name("limit"),
    name("nothing"),
    name("Fallback", "placeholder"),
    name("Dummy", "defined", "class"),
    name("AlsoDummy", "placeholder", "class"),
    name("hollow", "placeholder"),
    name("plain", "defined", "function"),
    name("cached", "defined", "function"),
    name("Kernel", "defined", "class"),
    name("jitted", "defined", "function"),
    name("Real", "defined", "class"),
    name("late", "lazy", "function", "tiny.home:helper"),
    name("gone", "missing"),
)


def test_a_true_index_meets_no_disagreement(probe: Probe) -> None:
    expected = (module("tiny", open=False), module("tiny.good", *GOOD_NAMES))
    verdict = judge(expected, probe(*expected))
    assert verdict.disagreements == ()
    assert (verdict.counts.checked, verdict.counts.imported) == (len(GOOD_NAMES), len(GOOD_NAMES) - 1)


@pytest.mark.parametrize(
    ("wrong", "observed"),
    [
        (name("Thing", "defined", "class"), "class tiny.home:Thing"),
        (
            name("Thing", "reexported", "class", "tiny.home:helper"),
            "class tiny.home:Thing, not the origin's object",
        ),
        (
            name("Thing", "reexported", "class", "tiny.nowhere:Thing"),
            "class tiny.home:Thing, origin: ModuleNotFoundError: No module named 'tiny.nowhere'",
        ),
        (name("plain", "defined", "class"), "function tiny.good:plain"),
        (name("plain", "placeholder"), "function tiny.good:plain"),
        (name("plain", "missing"), "function tiny.good:plain"),
        (name("Fallback", "defined", "class"), "typing.Any"),
        (name("nothing", "defined", "function"), "None"),
        (name("AlsoDummy", "defined", "class"), "hollow class tiny.good:Dummy"),
        (name("Real", "placeholder", "class"), "class tiny.good:Real"),
        (name("Thing", "submodule", "module"), "class tiny.home:Thing"),
        (name("gone"), "not bound (ImportError: cannot import name 'gone' from 'tiny.good')"),
    ],
)
def test_a_false_index_is_caught(wrong: NameExpectation, observed: str, probe: Probe) -> None:
    expected = (module("tiny.good", wrong, open=True),)
    (found,) = judge(expected, probe(*expected)).disagreements
    assert (found.location, found.observed) == (f"tiny.good:{wrong.name}", observed)


def test_names_that_the_index_lacks_are_reported_and_submodules_are_not(probe: Probe) -> None:
    facts = probe(module("tiny.home"), module("tiny", name("home", "submodule", "module")))
    assert facts["tiny.home"].unlisted == {"Thing": "class of tiny.home", "helper": "function of tiny.home"}
    assert facts["tiny"].unlisted == {}
    assert name_of(facts, "tiny", "home").kind == "module"


def test_each_death_costs_one_module_only(probe: Probe) -> None:
    deadly = ("tiny.segfault", "tiny.leaves", "tiny.exits", "tiny.lines", "tiny.broken", "tiny.typo")
    expected = [
        module("tiny.home", open=True),
        *map(module, deadly),
        module("tiny.loud", name("x"), open=True),
    ]
    facts = probe(*expected)
    assert facts["tiny.home"].imported
    assert facts["tiny.segfault"].error == "crashed: signal 11 (SIGSEGV)"
    assert facts["tiny.leaves"].error == "exited with code 3"
    assert facts["tiny.exits"].error == "SystemExit: 5"
    assert facts["tiny.lines"].error == "RuntimeError: first second"
    assert facts["tiny.broken"].error == "ModuleNotFoundError: No module named 'tiny.gone'"
    assert facts["tiny.broken"].where == "tiny/broken.py:2"
    assert facts["tiny.typo"].error.startswith("SyntaxError: ")
    assert facts["tiny.typo"].where == "tiny/typo.py:1"
    assert name_of(facts, "tiny.loud", "x").bound
    assert {entry.location for entry in judge(expected, facts).disagreements} == set(deadly)


def test_a_hang_ends_with_its_time_and_the_next_module_is_reached(probe: Probe) -> None:
    facts = probe(module("tiny.hangs"), module("tiny.home", open=True), timeout=1.5)
    assert facts["tiny.hangs"].error == "hung after 1.5 s"
    assert facts["tiny.home"].imported


def test_a_name_whose_look_up_kills_the_process_costs_that_name_only(probe: Probe) -> None:
    facts = probe(
        module("tiny.good", name("fatal"), name("plain"), open=True), module("tiny.home", open=True)
    )
    assert name_of(facts, "tiny.good", "fatal").error == "exited with code 7"
    assert name_of(facts, "tiny.good", "plain").bound
    assert facts["tiny.home"].imported


@pytest.mark.parametrize("origin", ["tiny.segfault:x", "tiny.leaves", "tiny.exits:x"])
def test_an_origin_cannot_take_the_probe_down(origin: str, probe: Probe) -> None:
    facts = probe(
        module("tiny.good", name("plain", "reexported", "function", origin), name("limit"), open=True)
    )
    assert name_of(facts, "tiny.good", "plain").same is not True
    assert name_of(facts, "tiny.good", "limit").bound


def test_a_module_that_an_earlier_one_has_spoilt_is_judged_alone(probe: Probe) -> None:
    facts = probe(module("tiny.spoiler", open=True), module("tiny.spoilt", open=True))
    assert facts["tiny.spoilt"].imported


def test_what_a_failed_import_leaves_behind_does_not_count_as_imported(probe: Probe) -> None:
    """Python keeps `tiny.half.whole` when its package fails later; a second import then seems to work."""
    reason = "tiny.half imports tiny.gone, which is missing"
    expected = tuple(module(text, problem=reason) for text in ("tiny.half", "tiny.half.whole"))
    verdict = judge(expected, probe(*expected))
    assert (verdict.counts.refused, verdict.disagreements) == (2, ())


def test_copies_of_a_clean_process_know_nothing_of_each_other(python: Path, tmp_path: Path) -> None:
    tasks = [Task(f"tiny.{name}") for name in ("half", "half.whole", "segfault", "home")]
    with (tmp_path / "log.txt").open("ab", buffering=0) as log:
        runner = ProbeRunner(python=python, folder=tmp_path, log=log, timeout=60)
        apart = [
            seen.fact
            for seen in sorted(forked(runner, tasks, ["json"]), key=lambda each: tasks.index(each.task))
        ]
        together = [seen.fact for seen in runner._shared(tasks[:2])]
    assert [fact.imported for fact in apart] == [False, False, False, True]
    assert apart[2].error == "crashed: signal 11 (SIGSEGV)"
    assert [fact.imported for fact in together] == [False, True], "which is why they are kept apart"


FORKS = (
    "segfault",
    "leaves",
    "leaves_well",
    "exits",
    "broken",
    "typo",
    "home",
    "half",
    "half.whole",
    "spoiler",
    "spoilt",
)


def test_copies_see_what_processes_of_their_own_see(python: Path, tmp_path: Path) -> None:
    """A module whose import fails in advance is left out of what the copies share."""
    expected = [module(f"tiny.{text}", open=True) for text in FORKS]
    common = {"tiny": ["tiny.home", "tiny.typo", "tiny.leaves"]}
    with (tmp_path / "log.txt").open("ab", buffering=0) as log:
        runner = ProbeRunner(python=python, folder=tmp_path, log=log, timeout=60)
        copies = {fact.module: fact for fact in runner.facts(expected, common)}
        alone = {each.module: fact for each in expected for fact in runner.facts([each])}
    assert copies.keys() == alone.keys()
    assert {name: fact.error for name, fact in copies.items()} == {
        name: fact.error for name, fact in alone.items()
    }
    assert copies["tiny.home"].unlisted == alone["tiny.home"].unlisted


def test_what_copies_share_is_imported_once(python: Path, tmp_path: Path) -> None:
    expected = [module(f"tiny.{text}", open=True) for text in ("counted", "home", "loud")]
    common = {"tiny": ["tiny.home", "tiny.counted"]}
    with (tmp_path / "log.txt").open("ab", buffering=0) as log:
        runner = ProbeRunner(python=python, folder=tmp_path, log=log, timeout=60)
        facts = list(runner.facts(expected, common))
    assert [fact.error for fact in facts] == ["", "", ""]
    assert (tmp_path / "log.txt").read_bytes().count(b"once more") == 1


def test_a_module_that_kills_the_process_with_what_copies_share_fails_alone(
    python: Path, tmp_path: Path
) -> None:
    tasks = [Task(f"tiny.{name}") for name in ("home", "loud", "parricide")]
    with (tmp_path / "log.txt").open("ab", buffering=0) as log:
        runner = ProbeRunner(python=python, folder=tmp_path, log=log, timeout=60)
        errors = {seen.fact.module: seen.fact.error for seen in forked(runner, tasks, ["tiny.counted"])}
    assert errors.pop("tiny.parricide") == "crashed: signal 9 (SIGKILL)"
    assert errors == {"tiny.home": "", "tiny.loud": ""}


def test_a_copy_that_hangs_is_killed_and_the_others_go_on(python: Path, tmp_path: Path) -> None:
    expected = [module(f"tiny.{text}", open=True) for text in ("hangs", "home", "loud", "forks", "children")]
    with (tmp_path / "log.txt").open("ab", buffering=0) as log:
        runner = ProbeRunner(python=python, folder=tmp_path, log=log, timeout=1.5)
        facts = {fact.module: fact for fact in runner.facts(expected, {})}
    assert facts["tiny.hangs"].error == "hung after 1.5 s"
    assert facts["tiny.forks"].error == FORKED
    assert all(facts[f"tiny.{text}"].imported for text in ("home", "loud", "children"))


def test_a_look_up_that_kills_a_copy_costs_that_name_only(python: Path, tmp_path: Path) -> None:
    expected = [module("tiny.good", name("fatal"), name("plain"), open=True), module("tiny.home", open=True)]
    with (tmp_path / "log.txt").open("ab", buffering=0) as log:
        runner = ProbeRunner(python=python, folder=tmp_path, log=log, timeout=60)
        facts = {fact.module: fact for fact in runner.facts(expected, {"tiny": ["tiny.home"]})}
    assert name_of(facts, "tiny.good", "fatal").error == "exited with code 7"
    assert name_of(facts, "tiny.good", "plain").bound
    assert facts["tiny.home"].imported


def test_a_module_that_imports_only_after_others_fails_and_its_names_are_judged(probe: Probe) -> None:
    # `import tiny.ring_c` comes back to itself through ring_e; after ring_e it works.
    expected = (module("tiny.ring_c", name("c"), name("d")), module("tiny.ring_e", name("e"), open=True))
    facts = probe(*expected)
    assert "circular import" in facts["tiny.ring_c"].error
    assert facts["tiny.ring_e"].imported
    verdict = judge(expected, facts)
    assert verdict.counts.unchecked == 0
    assert [entry.location for entry in verdict.disagreements] == [
        "tiny.ring_c",
        "tiny.ring_c:d",
        "tiny.ring_c:sys",
    ]


def test_a_circle_without_a_way_in_leaves_its_names_unchecked(probe: Probe) -> None:
    expected = (
        module("tiny.home", open=True),
        module("tiny.ring_a", name("a")),
        module("tiny.ring_b", name("b")),
    )
    verdict = judge(expected, probe(*expected))
    assert verdict.counts.unchecked == 2
    assert [entry.location for entry in verdict.disagreements] == ["tiny.ring_a", "tiny.ring_b"]


def test_what_packages_print_goes_to_the_log(probe: Probe, tmp_path: Path) -> None:
    assert probe(module("tiny.loud", open=True))["tiny.loud"].imported
    assert set((tmp_path / "log.txt").read_text().split("\n")) >= {"out", "err"}


def test_the_first_child_reports_facts_about_the_machine(python: Path, tmp_path: Path) -> None:
    with (tmp_path / "log.txt").open("ab", buffering=0) as log:
        facts = ProbeRunner(python=python, folder=tmp_path, log=log, timeout=60).machine()
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "torch" not in facts, "the tiny environment has none"


def test_an_environment_whose_python_does_not_start_is_no_verdict(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 9\n")
    broken.chmod(0o755)
    with (tmp_path / "log.txt").open("ab", buffering=0) as log:
        runner = ProbeRunner(python=broken, folder=tmp_path, log=log, timeout=60)
        with pytest.raises(PreparationError, match="exited with code 9"):
            runner.machine()
        with pytest.raises(PreparationError, match="exited with code 9 before its first module"):
            list(runner.facts([module("tiny.home")]))


def test_a_child_inherits_no_switch_of_the_packages() -> None:
    given = {
        "CUDA_VISIBLE_DEVICES": "0",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_USE_V1": "0",
        "SGLANG_IS_IN_CI": "1",
        "PYTHONPATH": "/elsewhere",
    }
    variables = child_variables(given)
    assert (
        variables.items()
        >= {"CUDA_VISIBLE_DEVICES": "0", "VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1"}.items()
    )
    assert not variables.keys() & {"VLLM_USE_V1", "SGLANG_IS_IN_CI", "PYTHONPATH"}


@pytest.mark.parametrize("name", LINES)
def test_a_module_that_writes_into_the_records_fails_alone(name: str, probe: Probe) -> None:
    facts = probe(
        module("tiny.home", open=True), module(f"tiny.writes_{name}"), module("tiny.loud", open=True)
    )
    assert facts["tiny.home"].imported
    assert facts["tiny.loud"].imported
    assert facts[f"tiny.writes_{name}"].error.startswith(f"{DAMAGED}: ")


def test_a_module_that_forks_and_goes_on_fails_alone(probe: Probe) -> None:
    facts = probe(module("tiny.home", open=True), module("tiny.forks"), module("tiny.loud", open=True))
    assert {name: fact.error for name, fact in facts.items()} == {
        "tiny.home": "",
        "tiny.forks": FORKED,
        "tiny.loud": "",
    }
    assert probe(module("tiny.children"))["tiny.children"].imported


def test_functions_that_a_module_replaces_are_not_used(probe: Probe) -> None:
    facts = probe(
        module("tiny.dumps", open=True), module("tiny.opens", open=True), module("tiny.loud", open=True)
    )
    assert {name: fact.error for name, fact in facts.items()} == dict.fromkeys(facts, "")
    assert len(facts) == 3


DETACHES = """
import os, time
read, write = os.pipe()
os.set_inheritable(write, True)
if not os.fork():
    os.setsid()
    if not os.fork():
        os.execve("/bin/sh", ["sh", "-c", "echo $$ >&%d; exec sleep 600" % write], {})
    os._exit(0)
os.wait()
os.close(write)
pid = int(os.read(read, 20))
"""


def test_a_process_that_detaches_itself_ends_with_its_module(probe: Probe, python: Path) -> None:
    """It has a session of its own, no parent but the subreaper, and no environment variables."""
    path = next(python.parent.parent.glob("lib/python3*/site-packages/tiny")) / "detaches.py"
    target = path.with_suffix(".pid")
    inherit = DETACHES.replace(
        "read, write = os.pipe()", "read, write = os.pipe()\nos.set_inheritable(write, True)"
    )
    path.write_text(f"{inherit}open({str(target)!r}, 'w').write(str(pid))\n")
    assert probe(module("tiny.detaches"))["tiny.detaches"].imported
    with pytest.raises(ProcessLookupError):
        os.kill(int(target.read_text()), 0)
