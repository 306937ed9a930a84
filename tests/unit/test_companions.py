"""Read what distributions supply from small wheels, write the file of companions, and query it."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from compat._cli.progress import Silent
from compat.companions.broken_pairs import BrokenPairs
from compat.companions.build import CompanionsReport, Reading
from compat.companions.candidates import carriers, selected, specifiers_of
from compat.companions.demands import Demand
from compat.companions.extract.import_checks import ImportCheck, read_import_checks
from compat.companions.extract.lazy_tables import listed_names, read_lazy_table
from compat.companions.extract.read_releases import CompanionRelease
from compat.companions.extract.supply import Need, Supply, read_supply
from compat.companions.extract.wheel_modules import WheelModules, module_digests
from compat.companions.find_candidates import Candidate, moved_from, with_folders
from compat.companions.reader import Companions
from compat.companions.told import told, with_attributes
from compat.companions.writer import CompanionsContent, write_companions
from compat.index.build.foreign_import_reader import ForeignImportReader
from compat.index.build.parse_pool import ModuleReader
from compat.wheels.package_index import Registry, WheelFile
from compat.wheels.wheel_files import WheelFileCache, WheelFiles
from wheelhouse import Index, build_wheel, serving

Read = Callable[..., Supply]


@pytest.fixture
def house() -> Iterator[Index]:
    with serving() as served:
        yield served


def modules_of(files: WheelFiles, folder: Path, folders: Sequence[str] = ()) -> WheelModules:
    return WheelModules(files, ModuleReader(None, folder), ForeignImportReader(None, folder), folders)


@pytest.fixture
def read(house: Index, tmp_path: Path) -> Read:
    """Return a function that publishes a wheel `lib` with some files and reads what it has of some names."""

    def run(files: dict[str, str], *targets: str) -> Supply:
        body = build_wheel("lib", "1.0", {path: text.encode() for path, text in files.items()})
        house.add("lib-1.0-py3-none-any.whl", body)
        with Registry(endpoint=house.simple) as registry:
            (wheel,) = registry.wheels("lib")
            with WheelFiles(wheel, registry.session, WheelFileCache(tmp_path)) as files_:
                return read_supply(modules_of(files_, tmp_path), targets)

    return run


@pytest.mark.parametrize(
    ("target", "state"),
    [
        ("lib", "present"),
        ("lib:A", "present"),
        ("lib:star", "present"),
        ("lib:gone", "absent"),
        ("lib:sub", "present"),
        ("lib.sub:here", "present"),
        ("lib.sub:maybe", "uncertain"),
        ("lib.none", "absent"),
        ("lib.none:x", "absent"),
        ("lib:sub.here", "present"),
        ("lib:sub.gone", "absent"),
        ("lib:A.attribute", "uncertain"),
        ("lib._native:anything", "uncertain"),
        ("lib:__version__", "uncertain"),
    ],
)
def test_states_of_names(read: Read, target: str, state: str) -> None:
    files = {
        "lib/__init__.py": "from .a import A\nfrom .b import *\n",
        "lib/a.py": "class A: pass\n",
        "lib/b.py": "star = 1\n",
        "lib/sub.py": "here = 1\nif unknown():\n    maybe = 1\n",
        "lib/_native.abi3.so": "",
    }
    assert read(files, target).states == {target: state}


LAZY = """
_import_structure = {"models.a": ["A"], "utils": []}
try:
    if not is_torch_available():
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    pass
else:
    _import_structure["models.b"] = ["B"]
    _import_structure["models.b"].append("B2")
import sys
sys.modules[__name__] = _LazyModule(__name__, globals()["__file__"], _import_structure)
"""


def test_a_module_that_passes_itself_to_a_function_may_have_any_name(read: Read) -> None:
    files = {
        "lib/__init__.py": "",
        "lib/config.py": "import sys\nfrom lib.tool import install\ninstall(sys.modules[__name__])\n",
        "lib/tool.py": "def install(module):\n    raise TypeError('use install(sys.modules[__name__])')\n",
    }
    found = read(files, "lib.config:patch", "lib.tool:patch", "lib:config.patch")
    assert found.states == {
        "lib.config:patch": "uncertain",
        "lib.tool:patch": "absent",
        "lib:config.patch": "uncertain",
    }


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (
            "import sys\nitself = sys.modules[__name__]\nfor each in E:\n    setattr(itself, each, 1)\n",
            "uncertain",
        ),
        ("import sys\nfor each in E:\n    setattr(sys.modules[__name__], each, 1)\n", "uncertain"),
        ("import sys\nsys.modules[__name__] = Module()\n", "uncertain"),
        ("import sys\nsys.modules[__name__].__class__ = Module\n", "uncertain"),
        ("import sys\nvars(sys.modules[__name__]).update(E)\n", "uncertain"),
        ("set_aliases({'name': 'lib.other'})\n", "uncertain"),
        ("import sys\ndoc = getattr(sys.modules[__name__], '__doc__')\n", "absent"),
        ("set_aliases({'names': 'lib.other'})\n", "absent"),
    ],
)
def test_a_module_that_may_set_a_name_while_it_runs_may_have_it(read: Read, text: str, state: str) -> None:
    assert read({"lib/__init__.py": text}, "lib:name").states == {"lib:name": state}


def test_lazy_tables_are_read(read: Read) -> None:
    files = {
        "lib/__init__.py": LAZY,
        "lib/utils.py": "",
        "lib/models/__init__.py": "",
        "lib/models/a.py": "import other\nA = 1",
        "lib/models/b.py": "",
    }
    found = read(files, "lib:A", "lib:B", "lib:B2", "lib:C", "lib:utils")
    assert found.states == {
        "lib:A": "present",
        "lib:B": "present",
        "lib:B2": "present",
        "lib:C": "absent",
        "lib:utils": "present",
    }
    assert found.needs == {"lib:A": (Need("other", "lib.models.a"),)}


def test_a_folder_that_is_loaded_lazily_has_what_its_modules_list(read: Read) -> None:
    files = {
        "lib/__init__.py": (
            'structure = define_import_structure(Path(__file__).parent / "models", prefix="models")\n'
            'sys.modules[__name__] = _LazyModule(__name__, globals()["__file__"], structure)\n'
            'def alias(f): pass\nmake_alias(f"{__name__}.old", ".new")\n'
        ),
        "lib/models/__init__.py": "",
        "lib/models/x.py": '__all__ = ["X"]\nclass X: pass\nclass Hidden: pass\n',
    }
    assert read(files, "lib:X", "lib:Hidden", "lib.old:y").states == {
        "lib.old:y": "uncertain",
        "lib:Hidden": "absent",
        "lib:X": "present",
    }


def test_needs_follow_what_a_module_always_imports(read: Read) -> None:
    files = {
        "lib/__init__.py": "",
        "lib/a.py": "from . import b\ntry:\n    import optional\nexcept ImportError:\n    pass\n",
        "lib/b.py": "import json\nfrom distro import name\n",
    }
    assert read(files, "lib.a").needs == {"lib.a": (Need("distro:name", "lib.b"),)}


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("import far\nclass A(far.Base): pass\n", ["far:Base"]),
        ("import far.deep as d\n@d.wrap.twice\ndef f(x: d.Type = d.default): pass\n", ["far.deep:Type"]),
        ("from far import deep\nx = deep.name\n", ["far:deep.name"]),
        ("import far\ndef f():\n    return far.late\n", []),
        ("import far\ntry:\n    x = far.new\nexcept AttributeError:\n    x = far.old\n", []),
        ("import far\nif hasattr(far, 'new'):\n    x = far.new\n", []),
        (
            "import other\ntry:\n    import far\nexcept ImportError:\n    import near as far\nx = far.name\n",
            [],
        ),
        ("import far\nfar = replaced(far)\nx = far.name\n", []),
        ("import lib.b\nx = lib.b.name\n", []),
    ],
)
def test_attributes_that_a_module_always_reads_are_taken(
    read: Read, text: str, attributes: list[str]
) -> None:
    files = {"lib/__init__.py": "", "lib/a.py": "from . import b\n", "lib/b.py": text}
    found = read(files, "lib.a").attributes.get("lib.a", ())
    assert all(each.via == "lib.b" for each in found)
    assert set(attributes) <= {each.target for each in found}
    assert bool(found) == bool(attributes)


def test_generated_code_needs_the_runtime_that_it_was_made_for(read: Read) -> None:
    grpc = "from lib import a_pb2\nGRPC_GENERATED_VERSION = '1.80.1'\n"
    protobuf = (
        "R.ValidateProtobufRuntimeVersion(\n    R.Domain.PUBLIC,\n    6,\n    31,\n    0,\n    '',\n)\n"
    )
    files = {"lib/__init__.py": "", "lib/a_pb2.py": protobuf, "lib/a_pb2_grpc.py": grpc, "lib/b.py": grpc}
    found = read(files, "lib:a_pb2_grpc", "lib.b")
    older = Need("protobuf>=6.31.0", "lib.a_pb2")
    assert found.needs == {
        "lib:a_pb2_grpc": (Need("grpcio>=1.80.1", "lib.a_pb2_grpc"), older),
        "lib.b": (older,),
    }


@pytest.mark.parametrize(("call", "checks"), [("", []), ("_ensure_pydantic_core_version()\n", ["2.41.5"])])
def test_pydantic_takes_one_version_of_its_core(
    house: Index, tmp_path: Path, call: str, checks: list[str]
) -> None:
    files = {
        "pydantic/__init__.py": f"from .version import _ensure_pydantic_core_version\n{call}",
        "pydantic/version.py": "_COMPATIBLE_PYDANTIC_CORE_VERSION = '2.41.5'\n",
    }
    body = build_wheel("pydantic", "2.12.5", {path: text.encode() for path, text in files.items()})
    house.add("pydantic-2.12.5-py3-none-any.whl", body)
    with Registry(endpoint=house.simple) as registry:
        (wheel,) = registry.wheels("pydantic")
        with WheelFiles(wheel, registry.session, WheelFileCache(tmp_path)) as wheel_files:
            found = read_import_checks(modules_of(wheel_files, tmp_path))
    assert found == tuple(ImportCheck("pydantic", f"pydantic-core=={each}") for each in checks)


def test_a_package_that_is_not_lazy_has_no_table() -> None:
    assert read_lazy_table(b'table = {"a": ["b"]}\n') is None


def test_listed_names_are_found_without_parsing() -> None:
    assert listed_names(b"x = 1\n__all__ = [\n    \"A\",\n    'B',  # c\n]\n") == ("A", "B")


def release(version: str, states: dict[str, str], **changes: object) -> CompanionRelease:
    values = {
        "version": version,
        "uploaded": None,
        "yanked": False,
        "requires_python": None,
        "requires_dist": ("six",),
        "imports": ("lib",),
        "supply": Supply(states, {"lib:A": (Need("distro", "lib.a"),)} if "lib:A" in states else {}),
        "checks": (),
    }
    return CompanionRelease(**{**values, **changes})  # type: ignore[arg-type]


RELEASES = [
    release("1.0", {"lib:A": "absent", "lib:B": "present"}),
    release("1.1", {"lib:A": "present", "lib:B": "present"}, checks=(("lib", "six<2"),)),
    release("2.0", {"lib:A": "present", "lib:B": "absent"}, yanked=True),
]
VERSIONS = {"vllm": ("0.1", "0.2")}
BROKEN = (
    BrokenPairs("0.4", "0.2", "0.2", "sglang.m", "vllm.b:D", 3),
    BrokenPairs("0.5", "0.1", "0.2", "sglang.a", "vllm.b:C", None),
)
DEMANDS = (
    Demand("vllm", "vllm.a", "lib:A", "import", None, 3, 0, 1),
    Demand("vllm", "vllm.a", "lib:B", "attribute", '["if","x"]', 4, 1, 1),
)


@pytest.fixture
def companions(tmp_path: Path) -> Companions:
    path = tmp_path / "companions.sqlite"
    alone = release("3.0", {}, imports=("alone",))
    content = CompanionsContent(VERSIONS, DEMANDS, {"lib": RELEASES}, {"alone": alone}, BROKEN)
    write_companions(path, content)
    return Companions(path)


def test_the_file_tells_states_by_release(companions: Companions) -> None:
    assert companions.ranges("lib", "lib:A") == [(0, 0, "absent"), (1, 2, "present")]
    state = companions.state("lib", 1, "lib:A")
    assert state is not None
    assert (state.state, state.needs) == ("present", (("distro", "lib.a"),))
    assert companions.state("lib", 1, "lib:unasked") is None
    assert companions.checks("lib", 0) == []
    assert companions.checks("lib", 1) == [("lib", "six<2")]
    assert companions.yanked("lib") == {2}
    assert companions.requires_dist("lib", 0) == ("six",)
    assert companions.states_of("lib", 2) == {"lib:A": "present", "lib:B": "absent"}


def test_the_file_tells_demands_by_release(companions: Companions) -> None:
    assert [each.target for each in companions.demands("vllm", "0.1")] == ["lib:A"]
    assert [(each.target, each.line) for each in companions.demands("vllm", "0.2")] == [
        ("lib:A", 3),
        ("lib:B", 4),
    ]
    assert companions.demands("vllm", "9") == []


def test_the_file_tells_which_distribution_carries_a_module(companions: Companions) -> None:
    assert companions.carriers("lib.a.b") == ("lib",)
    assert companions.carriers("alone") == ("alone",)
    assert companions.carriers("nothing") == ()
    assert companions.read == {"lib"}


@pytest.mark.parametrize(
    ("version", "index"), [("1.1", 1), ("1.1.0", 1), ("2.0+cu128", 2), ("5", None), ("?", None)]
)
def test_versions_are_found_however_they_are_written(
    companions: Companions, version: str, index: int | None
) -> None:
    assert companions.release_index("lib", version) == index


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        write_companions(path, CompanionsContent(VERSIONS, DEMANDS, {"lib": RELEASES}, {}, BROKEN))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with sqlite3.connect(paths[0]) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_only_attributes_that_a_release_lacks_are_kept() -> None:
    attributes = [Demand("vllm", "vllm.a", each, "attribute", None, 1, 0, 0) for each in ("lib:A", "lib:C")]
    assert [each.target for each in told([*DEMANDS, *attributes], {"lib": RELEASES})] == [
        "lib:A",
        "lib:B",
        "lib:A",
    ]


def test_attributes_count_as_needs_where_a_release_lacks_them() -> None:
    taken = (Need("far:gone", "lib.a"), Need("far:there", "lib.a"))
    supply = Supply({"lib:A": "present"}, {"lib:A": (Need("far", "lib.a"),)}, {"lib:A": taken})
    states = {"far": "present", "far:gone": "absent", "far:there": "present"}
    read = with_attributes(
        DEMANDS,
        {
            "far": [release("1.0", states), release("0.9", {**states, "far:gone": "present"})],
            "lib": [release("1.0", {})._replace(supply=supply)],
        },
    )
    assert read["lib"][0].supply.needs == {"lib:A": (Need("far", "lib.a"), taken[0])}
    assert read["far"][0].supply.states == {"far": "present", "far:gone": "absent"}


def test_what_is_read_is_what_is_required_and_demanded() -> None:
    targets = {"few": {"few:a"}, "some": {"some:a", "some:b", "some"}, "extra": {"extra:a"}}
    assert selected({"few", "some"}, targets, carriers({"few": ["few"], "some": ["some"]})) == {"some"}


class Readers:
    """Reads releases in this process, from the wheels of the house."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self._registry, self._folder = registry, folder

    def read(
        self, wheels: Sequence[WheelFile], targets: Iterable[str], folders: Sequence[str] = ()
    ) -> Iterator[tuple[CompanionRelease, int]]:
        for wheel in wheels:
            with WheelFiles(wheel, self._registry.session, WheelFileCache(self._folder)) as files:
                supply = read_supply(modules_of(files, self._folder, folders), targets)
            yield release(str(wheel.version), {})._replace(supply=supply), 0


def test_what_companions_demand_counts_too(house: Index, tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(10)]
    asking = f"from deep import {', '.join(names)}\nfrom rare import only\nA = B = C = 1\n"
    for name, text in {"lib": asking, "deep": "n0 = 1\n", "rare": ""}.items():
        house.add(f"{name}-1.0-py3-none-any.whl", build_wheel(name, "1.0", {f"{name}.py": text.encode()}))
    with Registry(endpoint=house.simple) as registry:
        candidates = {
            name: Candidate(
                name=name,
                wheels=(wheels := tuple(registry.wheels(name))),
                newest=wheels[-1],
                imports=(name,),
                lines=("deep", "rare") if name == "lib" else (),
            )
            for name in ("lib", "deep", "rare")
        }
        read = Reading(
            candidates=candidates,
            direct=frozenset({"lib"}),
            only=frozenset(),
            pool=Readers(registry, tmp_path),
            report=CompanionsReport(),
            progress=Silent(),
        ).run([Demand("vllm", "vllm.a", f"lib:{name}", "import", None, 1, 0, 0) for name in "ABC"])
    assert read.keys() == {"lib", "deep"}
    assert [read["deep"][0].supply.states[f"deep:{name}"] for name in names[:2]] == ["present", "absent"]


def test_parts_of_one_package_are_read_however_many_carry_it(house: Index, tmp_path: Path) -> None:
    """Here `whole` had the package once, and still adds the folder in which four others have parts of it."""
    parts = ("a", "b", "c", "d")
    for name in ("whole", *parts):
        house.add(f"{name}-1.0-py3-none-any.whl", build_wheel(name, "1.0", {}))
    with Registry(endpoint=house.simple) as registry:
        candidates = {}
        for name in ("whole", *parts):
            wheels = tuple(registry.wheels(name))
            each = Candidate(name=name, wheels=wheels, newest=wheels[-1], imports=(), lines=())
            part = replace(each, imports=("deep",), placed=("deep",))
            candidates[name] = replace(each, moved=("deep",)) if name == "whole" else part
        read = Reading(
            candidates=candidates,
            direct=frozenset(),
            only=frozenset(),
            pool=Readers(registry, tmp_path),
            report=CompanionsReport(),
            progress=Silent(),
        ).run([Demand("vllm", "vllm.a", f"deep:{at}", "import", None, 1, 0, 0) for at in range(10)])
    assert read.keys() == {"whole", *parts}


def test_a_folder_that_another_distribution_adds_to_the_path_is_read(house: Index, tmp_path: Path) -> None:
    """The modules are in `parts`; the `.pth` file, which adds the folder, is in another distribution."""
    files = {"whole_lib/packages/deep/__init__.py": b"here = 1\n"}
    house.add("parts-1.0-py3-none-any.whl", build_wheel("parts", "1.0", files))
    cache = WheelFileCache(tmp_path)
    with Registry(endpoint=house.simple) as registry:
        (wheel,) = registry.wheels("parts")
        alone = Candidate(name="parts", wheels=(wheel,), newest=wheel, imports=(), lines=())
        beside = with_folders(alone, {"whole_lib/packages", "whole_lib/pack", "other"}, registry, cache)
        assert (beside.imports, beside.folders) == (("deep", "whole_lib"), ("whole_lib/packages",))
        assert beside.placed == ("deep",)
        whole = replace(alone, name="whole", adds=("whole_lib/packages",))
        assert (moved_from(whole, [whole, beside]), moved_from(beside, [whole, beside])) == (("deep",), ())
        assert with_folders(alone, (), registry, cache).imports == ("whole_lib",)
        with WheelFiles(wheel, registry.session, cache) as wheel_files:
            modules = modules_of(wheel_files, tmp_path, beside.folders)
            assert read_supply(modules, ["deep:here", "deep:gone"]).states == {
                "deep:gone": "absent",
                "deep:here": "present",
            }
            assert module_digests(wheel_files, beside.folders).keys() == {"deep"}


def test_broken_requirements_count_as_absent() -> None:
    assert list(specifiers_of(["a>=1", "a>=1 ; extra == 'x'", "vllm", "?", "b @ file:///b"])) == ["a"]


def test_the_file_tells_pairs_whose_modules_fail(companions: Companions) -> None:
    why = ("sglang.a", "vllm.b:C", None)
    assert companions.broken_pairs("sglang", "0.5") == {"0.1": why, "0.2": why}
    assert companions.broken_pairs("vllm", "0.2") == {"0.4": ("sglang.m", "vllm.b:D", 3), "0.5": why}
    assert companions.broken_pairs("sglang", "0.6") == {}
