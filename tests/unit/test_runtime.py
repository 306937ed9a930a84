"""`compat.load` and `compat.require` with installed packages, in child processes."""

import ast
import json
import pickle
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import compat
from compat.errors import SymbolUnavailable
from compat.model.diagnosis import CAUSES, Diagnosis, Fix
from installed import ROOT, distribution, run

MIXED = """
    import os
    from typing import Any
    from vllm.base import Base
    from vllm.base import Dummy as Borrowed

    try:
        from absent.a import Anything, Nothing, Dumb, Idle, Plain, Kept, Held, Renamed, fallback
    except ImportError as problem:
        from vllm.base import Placeholder

        class DummyConfig:
            pass

        Anything = Any
        Nothing = None
        Dumb = Renamed = DummyConfig
        Plain = object
        Kept = problem
        Held = Placeholder()
        Made = type("Stub", (), {})
        def Idle(*args): raise RuntimeError("not here")
        def fallback(x): return x + 1

    class Marker:
        '''Real, and empty.'''

    if os.name == "posix":
        class Conditional:
            pass

    class Real(Base):
        def apply(self, x): return x

    instance = Real()
"""

FILES = {
    "vllm/__init__.py": "",
    "vllm/base.py": """
        class Base:
            def apply(self, x): raise NotImplementedError
        class Dummy: pass
        class Placeholder:
            def __getattr__(self, name): raise RuntimeError(name)
    """,
    "vllm/mixed.py": MIXED,
    "vllm/retired.py": "def old():\n    raise RuntimeError('old() is retired: use ' + 'new()')",
    "vllm/new/place.py": "class Moved:\n    def f(self): return 1\n",
    "vllm/new/__init__.py": "",
    "vllm/exits.py": "raise SystemExit('no')\nclass Behind: ...\n",
    "vllm/needs.py": "import absent.thing\nclass Needy:\n    def f(self): return 1\n",
    "vllm/odd.py": "exec('import absent.other')\nclass Odd:\n    def f(self): return 1\n",
    "vllm/fresh.py": """
        def __getattr__(name):
            return type(name, (), {"x": lambda self: self.y})
    """,
}


LOADER = """
    import json, sys
    import compat
    for query, options in json.loads(sys.argv[1]):
        try:
            found = compat.load(query, **options)
            name = getattr(found, "__qualname__", type(found).__name__)
            told = f"{getattr(found, '__module__', '')}:{name}"
        except compat.SymbolUnavailable as error:
            told = error.diagnosis.as_document() | {"message": str(error)}
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
        print(json.dumps(told))
"""


def loaded(folder: Path, *queries: tuple[str, dict[str, Any]]) -> list[Any]:
    """Load several queries in one child process; return each object's location, or the diagnosis."""
    done = run(folder, "-c", dedent(LOADER), json.dumps(queries))
    assert done.returncode == 0, done.stderr
    found = list(map(json.loads, done.stdout.splitlines()))
    for each in found:
        if isinstance(each, dict):
            assert each["cause"] in CAUSES
            assert "\n" not in each["message"]
            assert each["evidence"]
    return found


@pytest.fixture(scope="module")
def nightly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nightly")
    distribution(folder / "site", "vllm", "99.0.dev1", FILES)
    return folder


def test_every_form_of_query_returns_the_real_object(nightly: Path) -> None:
    forms = ["Real", "vllm.mixed.Real", "vllm.mixed:Real", "from vllm.mixed import Real"]
    found = loaded(nightly, *((form, {}) for form in forms), ("Real", {"package": "vllm"}))
    assert found == ["vllm.mixed:Real"] * 5


REAL = ("Marker", "Conditional", "Base", "instance", "fallback")
STUBS = ("Anything", "Nothing", "Dumb", "Renamed", "Plain", "Kept", "Held", "Idle", "DummyConfig", "Made")


def test_real_objects_that_look_empty_are_returned(nightly: Path) -> None:
    found = loaded(nightly, *((f"vllm.mixed:{name}", {}) for name in REAL))
    assert found == [
        "vllm.mixed:Marker",
        "vllm.mixed:Conditional",
        "vllm.base:Base",
        "vllm.mixed:Real",
        "vllm.mixed:fallback",
    ]


def test_what_only_raises_is_reported_with_its_message(nightly: Path) -> None:
    (found,) = loaded(nightly, ("vllm.retired:old", {}))
    assert (found["cause"], found["symbol"]) == ("placeholder", "old")
    assert "it only raises RuntimeError: old() is retired: use new()" in found["evidence"]
    assert found["fix"] == {
        **found["fix"],
        "kind": "none",
        "text": "Use what its error message names instead.",
    }


def test_no_stub_is_ever_returned(nightly: Path) -> None:
    found = loaded(nightly, *((f"vllm.mixed:{name}", {}) for name in STUBS))
    assert len(found) == len(STUBS)
    for name, each in zip(STUBS, found, strict=True):
        assert (each["cause"], each["symbol"]) == ("placeholder", name)
        assert "absent cannot be imported here" in each["evidence"]
        assert each["fix"]["command"] is None  # no release names a distribution for it


def test_a_wrong_path_is_followed(nightly: Path) -> None:
    assert loaded(nightly, ("vllm.old.place.Moved", {})) == ["vllm.new.place:Moved"]


@pytest.mark.parametrize(
    ("query", "cause", "package", "seen"),
    [
        ("Behind", "unknown", "vllm", "SystemExit: no"),
        ("Needy", "package_missing", "absent", "No module named 'absent'"),
        ("Odd", "package_missing", "absent", "No module named 'absent'"),
        ("vllm.mixed.NoSuchThing", "unknown", "vllm", "has no vllm.mixed.NoSuchThing"),
    ],
)
def test_an_import_that_fails_is_diagnosed(
    nightly: Path, query: str, cause: str, package: str, seen: str
) -> None:
    (found,) = loaded(nightly, (query, {}))
    assert (found["cause"], found["package"]) == (cause, package)
    assert seen in found["message"]


def test_the_cause_of_a_failed_package_import_is_reported_again(tmp_path: Path) -> None:
    """Python then raises `KeyError: 'vllm'` for modules in namespace packages."""
    files = {
        "vllm/__init__.py": "import vllm.parts.early\nimport absent_thing\n",
        "vllm/parts/early.py": "",
        "vllm/parts/real.py": "class Real:\n    def f(self): return 1\n",
        "vllm/parts/other.py": "class Other:\n    def f(self): return 1\n",
    }
    distribution(tmp_path / "site", "vllm", "99.0.dev1", files)
    first, second = loaded(tmp_path, ("Real", {}), ("Other", {}))
    for each in (first, second):
        assert each["cause"] == "package_missing"
        assert "No module named 'absent_thing'" in each["message"]
    line = "try:\n    import vllm\nexcept ImportError: pass\nimport compat\ncompat.load('Real')"
    assert "An earlier import of vllm in this process failed" in run(tmp_path, "-c", line).stderr


def test_what_is_elsewhere_and_cannot_be_imported_was_not_removed(tmp_path: Path) -> None:
    files = {"vllm/__init__.py": "", "vllm/needs.py": "import sglang.gone\nclass Needy: ...\n"}
    distribution(tmp_path / "site", "vllm", "99.0.dev1", files)
    (found,) = loaded(tmp_path, ("vllm.old:Needy", {}))
    assert found["cause"] == "symbol_moved"
    assert found["fix"]["import"] == "from vllm.needs import Needy"
    assert any("sglang" in line for line in found["evidence"])


def test_a_lazy_module_that_makes_new_objects_is_asked_once(nightly: Path) -> None:
    code = "import compat; print(compat.load('vllm.fresh:made') is compat.load('vllm.fresh:made'))"
    assert run(nightly, "-c", code).stdout == "True\n"


def test_many_threads_get_one_object_by_one_import(tmp_path: Path) -> None:
    source = """
        import time
        print("imported", flush=True)
        time.sleep(0.2)  # the other threads arrive in the meantime
        class Slow:
            def f(self): return 1
        def __getattr__(name):
            return type(name, (), {"x": lambda self: self.y})
    """
    distribution(tmp_path / "site", "vllm", "99.0", {"vllm/__init__.py": "", "vllm/slow.py": source})
    code = dedent("""
        import threading
        import compat
        barrier, found = threading.Barrier(24), []
        def work():
            barrier.wait()
            found.append((compat.load("vllm.slow:Slow"), compat.load("vllm.slow:dynamic")))
        threads = [threading.Thread(target=work) for _ in range(24)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(len(found), len({id(one) for one, _ in found}), len({id(two) for _, two in found}))
    """)
    done = run(tmp_path, "-c", code)
    assert done.stdout.splitlines() == ["imported", "24 1 1"], done.stderr


def test_a_module_that_loads_while_it_is_imported_does_not_lock_up(tmp_path: Path) -> None:
    inner = """
        import threading
        import compat
        thread = threading.Thread(target=lambda: found.append(compat.load("vllm.other:Other")))
        found = []
        thread.start()
        thread.join(30)
        class Outer:
            other = found[0]
    """
    files = {"vllm/__init__.py": "", "vllm/outer.py": inner, "vllm/other.py": "class Other:\n    x = [1]\n"}
    distribution(tmp_path / "site", "vllm", "99.0", files)
    code = "import compat; print(compat.load('Outer').other.__name__)"
    assert run(tmp_path, "-c", code, timeout=25).stdout == "Other\n"


FORKS = """
    import os, select, sys, threading, time, warnings
    import compat
    warnings.simplefilter("ignore", DeprecationWarning)

    def loads():
        for number in range(200):
            try:
                compat.load(f"vllm.other:Other{number}")
            except compat.SymbolUnavailable:
                pass

    def child(query):
        \"\"\"Return what a forked child loads, or that it hangs.\"\"\"
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(write, compat.load(query).__name__.encode())
            os._exit(0)
        ready, _, _ = select.select([read], [], [], 20)
        found = os.read(read, 100).decode() if ready else "hangs"
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        return found
"""


def test_a_forked_child_loads_while_another_thread_queries_the_index(tmp_path: Path) -> None:
    files = {"vllm/__init__.py": "", "vllm/other.py": "class Other:\n    x = [1]\n"}
    distribution(tmp_path / "site", "vllm", "99.0", files)
    code = """
        thread = threading.Thread(target=loads)
        thread.start()
        print({child("vllm.other:Other") for _ in range(5)})
    """
    done = run(tmp_path, "-c", dedent(FORKS) + dedent(code), timeout=200)
    assert done.stdout == "{'Other'}\n", done.stderr


def test_a_forked_child_loads_what_another_thread_is_importing(tmp_path: Path) -> None:
    slow = """
        import os, sys, threading
        if threading.current_thread() is not threading.main_thread():
            sys.importing.set()
            sys.forked.wait()
        class Slow:
            x = [1]
    """
    distribution(tmp_path / "site", "vllm", "99.0", {"vllm/__init__.py": "", "vllm/slow.py": slow})
    code = """
        sys.importing, sys.forked = threading.Event(), threading.Event()
        thread = threading.Thread(target=lambda: compat.load("vllm.slow:Slow"))
        thread.start()
        sys.importing.wait()
        print(child("vllm.slow:Slow"))
        sys.forked.set()
        thread.join()
        print(compat.load("vllm.slow:Slow").__name__)
    """
    done = run(tmp_path, "-c", dedent(FORKS) + dedent(code), timeout=200)
    assert done.stdout == "Slow\nSlow\n", done.stderr


def test_a_release_of_the_index_is_asked_of_the_index(tmp_path: Path) -> None:
    """The successor of vllm's GPTQ class has confidence 0.54: `load` follows it only if that is enough."""
    home = "vllm/model_executor/layers/quantization/auto_gptq.py"
    real = "class AutoGPTQLinearMethod:\n    def apply(self, x): return x\n"
    distribution(tmp_path / "site", "vllm", "0.23.0", {"vllm/__init__.py": "", home: real})
    asked = {"package": "vllm"}
    refused, given = loaded(
        tmp_path, ("GPTQLinearMethod", asked), ("GPTQLinearMethod", {**asked, "confidence": 0.5})
    )
    module = "vllm.model_executor.layers.quantization.auto_gptq"
    assert (refused["cause"], refused["module"]) == ("symbol_renamed", module)
    assert refused["fix"]["import"] == f"from {module} import AutoGPTQLinearMethod"
    assert given == f"{module}:AutoGPTQLinearMethod"


def test_added_and_removed_names_are_diagnosed(tmp_path: Path) -> None:
    distribution(tmp_path / "site", "vllm", "0.9.0.1", {"vllm/__init__.py": ""})
    asked = ("OnlineQuantScheme", "SqueezeLLMConfig", "NoSuchThing")
    later, gone, never = loaded(tmp_path, *((each, {}) for each in asked))
    assert (later["cause"], later["fix"]["command"]) == ("not_yet_added", "pip install vllm==0.20.0")
    assert (gone["cause"], gone["fix"]["kind"]) == ("symbol_removed", "none")
    assert "SqueezeLLMConfig was in vllm 0.2.2 to 0.6.0" in gone["evidence"]
    assert never["cause"] == "unknown"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    guarded = """
        try:
            from vllm.a import Shared
        except ImportError:
            Shared = None
        class Twice:
            x = [1]
    """
    distribution(folder / "site", "sglang", "99.0", {"sglang/__init__.py": "", "sglang/b.py": guarded})
    real = "class Shared:\n    x = [1]\nclass Twice:\n    x = [2]\n"
    distribution(folder / "site", "vllm", "99.0", {"vllm/__init__.py": "", "vllm/a.py": real})
    return folder


def test_without_a_package_a_name_must_be_unambiguous(pair: Path) -> None:
    shared, twice, told, contrary = loaded(
        pair,
        ("Shared", {}),
        ("Twice", {}),
        ("Twice", {"package": "sglang"}),
        ("vllm.a.Twice", {"package": "sglang"}),
    )
    assert shared == "vllm.a:Shared"
    assert twice.startswith(
        "UsageError: 'Twice' is ambiguous: from sglang.b import Twice and from vllm.a import"
    )
    assert told == "sglang.b:Twice"
    assert contrary == "UsageError: 'vllm.a.Twice' is a path in vllm, not in sglang"


@pytest.mark.parametrize(
    ("query", "package", "told"),
    [
        ("numpy.array", None, "UsageError: 'numpy.array': numpy is not indexed"),
        ("Shared", "torch", "UsageError: 'Shared': torch is not indexed"),
        ("a b", None, "UsageError: 'a b' is not a valid query"),
        ("from vllm.a import Shared, Twice", None, "imports 2 names; pass one name at a time"),
    ],
)
def test_a_query_that_cannot_be_answered_is_an_error(
    pair: Path, query: str, package: str | None, told: str
) -> None:
    (found,) = loaded(pair, (query, {"package": package}))
    assert told in found


def test_a_missing_package_is_diagnosed(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    found = loaded(tmp_path, ("Fp8LinearOp", {"package": "vllm"}), ("QuantizationConfig", {}))
    assert [(each["cause"], each["package"]) for each in found] == [
        ("package_missing", "vllm"),
        ("package_missing", "sglang"),
    ]


@pytest.mark.parametrize(
    ("requirements", "expected"),
    [
        (["vllm"], None),
        (["vllm>=0.20", "sglang"], None),
        (["VLLM ~= 0.23"], None),
        (["vllm[audio]"], None),
        (["vllm[loop]"], None),
        (["vllm[odd]"], ("package_missing", "absent", None, "pip install 'absent'")),
        (["odd"], None),
        (["odd>=1"], ("requirement_violated", "odd", "unknown", "pip install 'odd>=1'")),
        (["sglang; python_version < '3'"], None),
        (["vllm<0.20"], ("requirement_violated", "vllm", "0.23.1rc0", "pip install 'vllm<0.20'")),
        (["vllm", "absent>=2"], ("package_missing", "absent", None, "pip install 'absent>=2'")),
        (["vllm[bench]"], ("requirement_violated", "helper", "1.0", "pip install 'helper>=2'")),
        (["vllm[deep]"], ("requirement_violated", "helper", "1.0", "pip install 'helper>=2'")),
    ],
)
def test_require(tmp_path: Path, requirements: list[str], expected: tuple[Any, ...] | None) -> None:
    requires = [
        "helper>=1; extra == 'audio'",
        "helper>=2; extra == 'bench'",
        "vllm[bench]; extra == 'deep'",
        "vllm[loop]; extra == 'loop'",
        "no requirement at all",
        "odd; platform_release ~= 'x' and extra == 'odd'",
        "absent; extra == 'odd'",
    ]
    distribution(tmp_path / "site", "vllm", "0.23.1rc0", requires=requires)
    distribution(tmp_path / "site", "sglang", "0.5.14")
    distribution(tmp_path / "site", "helper", "1.0")
    distribution(tmp_path / "site", "odd", "unknown")
    code = dedent("""
        import json, sys
        import compat
        try:
            print(json.dumps(compat.require(*json.loads(sys.argv[1]))))
        except compat.SymbolUnavailable as error:
            print(json.dumps(error.diagnosis.as_document()))
    """)
    found = json.loads(run(tmp_path, "-c", code, json.dumps(requirements)).stdout)
    if expected is None:
        assert found is None
    else:
        fix = found["fix"]["command"]
        assert (found["cause"], found["package"], found["version"], fix) == expected


@pytest.mark.parametrize("requirement", ["vllm 3", "vllm @ file:///somewhere", "", "vllm; os_name ~= 'x'"])
def test_an_invalid_requirement_is_an_error(requirement: str) -> None:
    with pytest.raises(compat.errors.UsageError, match=r"not a valid requirement|does not show the URL"):
        compat.require(requirement)


def test_the_error_travels_with_its_diagnosis() -> None:
    diagnosis = Diagnosis(cause="unknown", fix=Fix(kind="none", text="none"), evidence=("seen",))
    error = pickle.loads(pickle.dumps(SymbolUnavailable("told", diagnosis)))  # noqa: S301 -- our own
    assert (str(error), error.diagnosis) == ("told", diagnosis)
    assert isinstance(error, ImportError)


def test_the_stub_file_declares_the_public_names() -> None:
    tree = ast.parse((ROOT / "compat/__init__.pyi").read_text(encoding="utf-8"))
    homes = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert homes == compat._HOMES  # type: ignore[attr-defined]
    assert sorted({*homes, "__version__"}) == sorted(compat.__all__)
    assert {*compat.__all__} <= {*dir(compat)}
    with pytest.raises(AttributeError, match="nothing_like_it"):
        compat.nothing_like_it  # type: ignore[attr-defined]  # noqa: B018


def test_a_misspelt_name_gets_suggestions(nightly: Path) -> None:
    (found,) = loaded(nightly, ("Fp8LinearMethd", {"package": "vllm"}))
    assert (found["cause"], found["fix"]["text"]) == (
        "unknown",
        "No release has this name: a similar name is Fp8LinearMethod.",
    )
