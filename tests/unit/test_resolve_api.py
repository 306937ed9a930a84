"""The Python interface of `resolve`, and answers that consecutive releases share."""

from pathlib import Path

import pytest

from compat.errors import UsageError
from compat.index.build.precompute import conclude
from compat.index.query.answers import Facts
from compat.index.query.name_resolution import NameResolver
from compat.index.query.single_release import alone, ask_each
from compat.index.reader import Index
from compat.index.writer import write_index
from compat.resolve.api import Resolver, resolve
from compat.resolve.search import Found, find_name
from sources import Files, content, release, resolver

VLLM: list[Files] = [
    {"vllm/__init__.py": "", "vllm/a.py": "class A: pass", "vllm/b.py": "from vllm.a import A\nB = 1"},
    {"vllm/__init__.py": "", "vllm/a.py": "class A: pass\nX = 1", "vllm/b.py": "from vllm.a import A\nB = 1"},
    {"vllm/__init__.py": "", "vllm/a.py": "X = 1", "vllm/b.py": "from vllm.a import A\nB = 1"},
    {"vllm/__init__.py": "", "vllm/a.py": "import vllm.b", "vllm/b.py": "B = 2", "vllm/A.py": ""},
]
SGLANG: Files = {
    "sglang/__init__.py": "",
    "sglang/k.py": "try:\n    from sgl_kernel import K\nexcept ImportError:\n    K = None",
}


@pytest.fixture(scope="module", params=[True, False], ids=["concluded", "plain"])
def path(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    path = tmp_path_factory.mktemp("lookup") / "index.sqlite"
    kernels = [
        release("0.1", {"sgl_kernel/__init__.py": "J = 1"}),
        release("0.2", {"sgl_kernel/__init__.py": "K = 1"}),
    ]
    pins = ["sgl-kernel==0.1", "sgl-kernel==0.2", "sgl-kernel==0.2", "torch"]
    contents = [
        content("vllm", "vllm", *(release(str(at), files) for at, files in enumerate(VLLM))),
        content("sgl-kernel", "sgl_kernel", *kernels),
        content("sglang", "sglang", *(release(str(at), SGLANG, [pin]) for at, pin in enumerate(pins))),
    ]
    write_index(path, contents, conclude if request.param else None)
    return path


def test_what_is_taken_over_is_what_would_be_found(path: Path) -> None:
    index = Index(path)
    compared = 0
    for package in index.packages:
        environments = [alone(index, package, at) for at in range(len(index.versions(package)))]
        for name in sorted({entry.name for entry in index.name_ranges(package) if entry.name}):

            def ask(resolver: NameResolver, name: str = name, package: str = package) -> Found:
                return find_name(resolver, package, name)

            found = {
                slot: each for slots, each in ask_each(index, package, environments, ask) for slot in slots
            }
            assert list(found) == list(range(len(environments)))
            assert list(found.values()) == [ask(NameResolver(index, facts)) for facts in environments], name
            compared += len(found)
    assert compared > 20


def of_kernel(resolver: NameResolver) -> Found:
    return find_name(resolver, "sglang", "K")


def test_little_is_searched_anew(path: Path) -> None:
    index = Index(path)
    environments = [alone(index, "sglang", at) for at in range(4)]
    found = list(ask_each(index, "sglang", environments, of_kernel))
    apart = [range(1, 3)] if index.concluded else [range(1, 2), range(2, 3)]
    assert [slots for slots, _ in found] == [range(1), *apart, range(3, 4)]
    assert [each.status for _, each in found] == [
        "placeholder",
        *("reexported" for _ in apart),
        "conditional",
    ]


def test_surroundings_are_not_taken_over(path: Path) -> None:
    index = Index(path)
    facts = Facts(release_indexes={"sglang": 3})
    without = Facts(release_indexes={"sglang": 3}, absent=frozenset({"sgl_kernel"}))
    found = list(ask_each(index, "sglang", (facts, without, facts), of_kernel))
    assert [slots for slots, _ in found] == [range(1), range(1, 2), range(2, 3)]
    assert [each.status for _, each in found] == ["conditional", "placeholder", "conditional"]


def test_a_resolver_answers_for_one_release(path: Path) -> None:
    resolver = Resolver(path)
    assert [resolver.resolve("A", "vllm", str(at)).statement for at in range(4)] == [
        "from vllm.a import A",
        "from vllm.a import A",
        None,
        "from vllm import A",
    ]
    assert resolver.resolve("vllm.b.B", "vllm", "3").statement == "from vllm.b import B"
    assert resolver.resolve("A", "vllm", "0") is resolver.resolve("A", "vllm", "0")


@pytest.mark.parametrize(
    ("query", "package", "version", "message"),
    [
        ("A", "torch", "1", "'torch' is not indexed"),
        ("sglang.k.K", "vllm", "1", "is a path in sglang, not in vllm"),
        ("torch.nn", "vllm", "1", "is a path in torch, not in vllm"),
        ("A", "vllm", "9", "vllm 9 is not in the index"),
        ("a b", "vllm", "1", "is not a valid query"),
        ("from vllm.a import A, B", "vllm", "1", "contains 2 names"),
    ],
)
def test_what_cannot_be_answered(path: Path, query: str, package: str, version: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Resolver(path).resolve(query, package, version)


def test_the_shipped_index_by_default() -> None:
    found = resolve("Fp8LinearMethod", "vllm", "0.9.0.1")
    assert found.statement == "from vllm.model_executor.layers.quantization.fp8 import Fp8LinearMethod"


def test_a_module_that_always_binds_the_name_comes_before_one_that_may_not(tmp_path: Path) -> None:
    files: Files = {
        "sglang/__init__.py": "",
        "sglang/a.py": "import sys\nif len(sys.argv) > 3:\n    from torch import Thing",
        "sglang/b.py": "from torch import Thing",
        "sglang/c.py": "if unknown():\n    from sglang.a import Thing\nelse:\n    from sglang.b import Thing",
    }
    found = find_name(resolver(tmp_path / "index", files), "sglang", "Thing")
    assert found.binding is not None
    assert [found.binding.module, *(other.module for other in found.others)] == [
        "sglang.b",
        "sglang.c",
        "sglang.a",
    ]
