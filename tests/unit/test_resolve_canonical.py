"""Which of several places is the canonical one, and what a place that is gone stood for."""

from pathlib import Path

import pytest

from compat.index.query.answers import Facts
from compat.index.query.name_resolution import NameResolver
from compat.resolve.search import Found, find_location, find_name
from sources import Files, content, index, release, resolver

CLASS = "class {0}:\n    def run(self, a, b): return go(self, a, b)\n"


def first(path: Path, files: Files, name: str = "Thing") -> str | None:
    """Return the import statement for a bare name."""
    return find_name(resolver(path / "index", {"sglang/__init__.py": "", **files}), "sglang", name).statement


def after(path: Path, *releases: Files) -> NameResolver:
    """Return the resolver of the last release."""
    made = content("vllm", "vllm", *(release(str(n), files) for n, files in enumerate(releases)))
    return NameResolver(index(path / "index", made), Facts(release_indexes={"vllm": len(releases) - 1}))


def gone(path: Path, location: str, *releases: Files) -> Found:
    """Return the answer of the last release for a location."""
    there = after(path, *({"vllm/__init__.py": "", **files} for files in releases))
    return find_location(there, "vllm", *location.split(":"))


def test_a_package_that_hands_it_on_comes_before_the_definition(tmp_path: Path) -> None:
    files = {"sglang/p/__init__.py": "from .deep import Thing", "sglang/p/deep.py": CLASS.format("Thing")}
    assert first(tmp_path, files) == "from sglang.p import Thing"


def test_what_the_package_itself_imports_from_comes_first(tmp_path: Path) -> None:
    files = {
        "sglang/p/__init__.py": "from .deep import Thing",
        "sglang/p/deep.py": CLASS.format("Thing"),
        **{f"sglang/m{n}.py": "from sglang.p.deep import Thing" for n in range(3)},
    }
    assert first(tmp_path, files) == "from sglang.p.deep import Thing"


def test_of_namesakes_the_one_that_is_imported_much_comes_first(tmp_path: Path) -> None:
    files = {
        "sglang/a.py": CLASS.format("Thing"),
        "sglang/later.py": CLASS.format("Thing"),
        **{f"sglang/m{n}.py": "from sglang.later import Thing" for n in range(3)},
    }
    assert first(tmp_path, files) == "from sglang.later import Thing"


def test_of_namesakes_the_older_one_comes_first(tmp_path: Path) -> None:
    old = {"vllm/__init__.py": "", "vllm/old.py": CLASS.format("Thing")}
    there = after(tmp_path, old, {**old, "vllm/a.py": CLASS.format("Thing")})
    assert find_name(there, "vllm", "Thing").statement == "from vllm.old import Thing"


@pytest.mark.parametrize("folder", ["test", "tests", "benchmarks", "examples", "third_party"])
def test_tests_examples_and_vendored_code_come_last(tmp_path: Path, folder: str) -> None:
    files = {
        f"sglang/{folder}/a.py": CLASS.format("Thing"),
        **{f"sglang/m{n}.py": f"from sglang.{folder}.a import Thing as T{n}" for n in range(3)},
        "sglang/deep/er/place.py": CLASS.format("Thing"),
    }
    assert first(tmp_path, files) == "from sglang.deep.er.place import Thing"


def test_real_objects_come_before_values_and_stubs(tmp_path: Path) -> None:
    files = {
        "sglang/a.py": "Thing = 3",
        "sglang/b.py": "if TYPE_CHECKING:\n    from .z import Thing\nelse:\n    Thing = object",
        "sglang/deep/z.py": CLASS.format("Thing"),
    }
    found = find_name(resolver(tmp_path / "i", {"sglang/__init__.py": "", **files}), "sglang", "Thing")
    assert found.binding
    places = [(each.module, each.answer.status) for each in (found.binding, *found.others)]
    assert places == [("sglang.deep.z", "defined"), ("sglang.a", "defined"), ("sglang.b", "placeholder")]


def test_a_public_module_comes_before_a_private_one(tmp_path: Path) -> None:
    files = {"sglang/_a.py": CLASS.format("Thing"), "sglang/far/b.py": "from sglang._a import Thing"}
    files["sglang/far/c.py"] = "from sglang.far.b import Thing"
    assert first(tmp_path, files) == "from sglang.far.b import Thing"


def test_a_module_is_imported_from_its_parent(tmp_path: Path) -> None:
    files = {
        "sglang/envs.py": "",
        "sglang/a.py": "from sglang import envs",
        "sglang/b.py": "import sglang.envs",
    }
    assert first(tmp_path, files, "envs") == "from sglang import envs"


def test_what_only_raises_is_a_stub_with_its_error(tmp_path: Path) -> None:
    files = {"sglang/a.py": "def old(): raise RuntimeError('old() is retired')"}
    found = find_name(resolver(tmp_path / "i", {"sglang/__init__.py": "", **files}), "sglang", "old")
    assert (found.status, found.statement) == ("placeholder", None)
    assert found.binding
    assert found.binding.answer.reason == "it only raises RuntimeError: old() is retired"


def test_a_reexport_that_is_gone_is_followed_to_its_object(tmp_path: Path) -> None:
    deep, other = {"vllm/deep.py": CLASS.format("Thing")}, {"vllm/a/b.py": CLASS.format("Thing")}
    found = gone(
        tmp_path,
        "vllm.p:Thing",
        {"vllm/p.py": "from vllm.deep import Thing", **deep, **other},
        {**deep, **other},
    )
    assert found.successor
    assert (found.successor.statement, found.successor.confidence) == ("from vllm.deep import Thing", 1.0)
    assert found.successor.evidence == "in 0 it was imported from there"


def test_a_deprecated_alias_under_another_name_is_followed(tmp_path: Path) -> None:
    alias = """
        def __getattr__(name):
            if name == "old_name":
                from vllm.deep import new_name
                warn("deprecated")
                return new_name
            raise AttributeError(name)
    """
    deep = {"vllm/deep.py": "def new_name(x, y): return go(x, y)"}
    found = gone(tmp_path, "vllm.p:old_name", {"vllm/p.py": alias, **deep}, {"vllm/p.py": "", **deep})
    assert found.statement == "from vllm.deep import new_name"


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (
            {"vllm/p.py": "def is_hip(): return go()"},
            {"vllm/third_party/k.py": "def is_hip(): return at.b == 'hip'"},
        ),
        ({"vllm/p.py": "def is_hip(): return go()"}, {"vllm/third_party/k.py": "from triton import is_hip"}),
        ({"vllm/p.py": "app = make()"}, {"vllm/launch/app.py": ""}),
        ({"vllm/p.py": CLASS.format("Thing")}, {"vllm/q.py": "def Thing(a, b): return a"}),
        ({"vllm/p.py": "router = make()"}, {"vllm/q.py": "router = make()", "vllm/r.py": "router = make()"}),
    ],
)
def test_homonyms_are_no_successors(tmp_path: Path, before: Files, now: Files) -> None:
    name = next(n for n in ("is_hip", "app", "Thing", "router") if n in before["vllm/p.py"])
    kept = {"vllm/other.py": "class C: pass"}
    assert gone(tmp_path, f"vllm.p:{name}", {**before, **kept}, {**now, **kept}).successor is None


def test_an_object_of_the_kind_and_name_is_a_likely_successor(tmp_path: Path) -> None:
    before = {
        "vllm/p.py": "def load(path, device): return go(path, device)",
        "vllm/q.py": "def run(): return 1",
    }
    both = {**before, "vllm/z.py": "def load(path, device):\n    for each in path:\n        yield each"}
    found = gone(tmp_path, "vllm.p:load", both, {each: both[each] for each in ("vllm/q.py", "vllm/z.py")})
    assert found.successor
    assert (found.successor.module, found.successor.confidence) == ("vllm.z", 0.9)
