"""The history of a name agrees with the answers of its single releases, and a query imports few modules."""

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compat.index.build.precompute import conclude
from compat.index.format import SHIPPED
from compat.index.reader import Index
from compat.index.writer import write_index
from compat.resolve.cli import main
from sources import Files, content, release

ROOT = Path(__file__).parents[2]
QUANT = "vllm/model_executor/layers/quantization"

OLD: Files = {
    "vllm/__init__.py": "def __getattr__(name): ...",
    f"{QUANT}/__init__.py": "from .fp8 import Fp8\nfrom .fp8 import Fp8 as Alias",
    f"{QUANT}/fp8.py": "class Fp8: pass\nclass Early: pass\nBoth = 1",
    "vllm/zoo.py": "class Fp8: pass\nBoth = 2\nfrom torch import Tensor",
    "vllm/late.py": "",
    "vllm/hard.py": "try:\n    import sglang\n    Hard = 1\nexcept ImportError:\n    Hard = None",
    "vllm/broken.py": "import vllm.gone\nclass Lost: pass\nclass Fp8: pass",
    "vllm/chain.py": "from vllm.model_executor.layers.quantization import Alias as Chained\nMine = Chained",
}
NEW: Files = {
    **OLD,
    f"{QUANT}/fp8.py": "class Other: pass\nBoth = 1",
    f"{QUANT}/__init__.py": "from vllm.zoo import Fp8",
    "vllm/late/__init__.py": "late = 1",
    "vllm/hard.py": "import sys\nif sys.platform == 'linux':\n    Hard = 2\nclass Mine: pass",
    "vllm/Late.py": "",
}
SGLANG: Files = {"sglang/__init__.py": "from vllm.zoo import Both\nclass Fp8: pass\nclass Own: pass"}
KERNEL: Files = {"sgl_kernel/__init__.py": "class Kernel: pass\nclass Own: pass"}

Ask = Callable[..., str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "index.sqlite"
    files = [OLD, OLD, NEW, NEW, OLD]
    contents = [
        content("vllm", "vllm", *(release(str(at), each) for at, each in enumerate(files, start=1))),
        content("sglang", "sglang", release("1", SGLANG), release("2", SGLANG, ["sgl-kernel==0.1"])),
        content("sgl-kernel", "sgl_kernel", release("0.1", KERNEL), release("0.2", {**KERNEL})),
    ]
    write_index(path, contents, conclude)
    return path


def told(
    capsys: pytest.CaptureFixture[str], path: Path | str, *argv: str
) -> dict[tuple[str, str], list[str]]:
    """Return the output of the command for each package and release."""
    main(argv, path)
    index = Index(path)
    found = {}
    for line in capsys.readouterr().out.splitlines():
        package, versions, *rest = line.split()
        known = index.versions(package)
        first, _, last = versions.partition("..")
        for version in known[known.index(first) : known.index(last or first) + 1]:
            found[package, version] = rest
    return found


def queries(path: Path | str) -> Iterator[tuple[str, str]]:
    """Yield queries for every name and location of an index in every form, with the package of each."""
    index = Index(path)
    for package in ("sglang", "vllm"):
        for entry in index.name_ranges(package):
            if entry.name and entry.name not in index.owners:
                yield from ((each, package) for each in forms(entry.module, entry.name))


def forms(module: str, name: str) -> tuple[str, ...]:
    return name, f"{module}.{name}", f"{module}:{name}", f"from {module} import {name}"


def test_a_history_is_what_each_release_gives(capsys: pytest.CaptureFixture[str], made: Path) -> None:
    compared = 0
    for query, package in sorted(set(queries(made))):
        history = told(capsys, made, query, "--all")
        for version in Index(made).versions(package):
            alone = told(capsys, made, query, f"--{package}", version)
            assert alone[package, version] == history[package, version], (query, package, version)
            compared += 1
    assert compared > 200


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["Hard", "--vllm", "1"], "conditional"),
        (["Lost", "--vllm", "1"], "vllm.broken imports vllm.gone, which is missing"),
        (["Early", "--all"], "nothing binds this name"),
        (["late", "--all"], "defined    value   from vllm.late import late"),
        (["Kernel", "--all"], "sgl-kernel  0.1..0.2  defined"),
        (["vllm.zoo.Fp8", "--vllm", "3"], "from vllm.zoo import Fp8"),
        (["vllm:Fp8", "--vllm", "1"], "dynamic"),
    ],
)
def test_what_is_answered(capsys: pytest.CaptureFixture[str], made: Path, argv: list[str], text: str) -> None:
    main(argv, made)
    assert text in capsys.readouterr().out


def test_the_shipped_index_drawn_at_random(capsys: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(3)  # noqa: S311 -- a draw that can be repeated
    index = Index()
    for package in ("sglang", "vllm"):
        for module in draw.sample(index.modules_ever(package), 5):
            name = draw.choice(index.names_ever(module, package) or ("Fp8LinearMethod",))
            version = draw.choice(index.versions(package))
            for query in (name, module, f"{module}.{name}"):
                alone = told(capsys, SHIPPED, query, f"--{package}", version)
                assert alone[package, version] == told(capsys, SHIPPED, query, "--all")[package, version]


def test_a_history_stands_in_every_entry_of_the_document(
    capsys: pytest.CaptureFixture[str], made: Path
) -> None:
    main(["Fp8", "--all", "--format", "json"], made)
    text = capsys.readouterr().out
    document = json.loads(text)
    assert text == json.dumps(document, indent=2, sort_keys=True) + "\n"
    entries = [entry for entry in document["results"] if entry["package"] == "vllm"]
    assert [entry["version"] for entry in entries] == ["1", "2", "3", "4", "5"]
    assert len({json.dumps(entry["history"]) for entry in entries}) == 1
    spans = [(each["module"], each["first"], each["last"]) for each in entries[0]["history"]]
    fp8 = "vllm.model_executor.layers.quantization.fp8"
    assert [(first, last) for module, first, last in spans if module == fp8] == [("1", "2"), ("5", "5")]


HEAVY = {"typing", "dataclasses", "inspect", "pathlib", "datetime", "packaging", "importlib.metadata"}
"""Modules whose import takes longer than most queries."""


@pytest.mark.parametrize(
    ("query", "options", "needs"),
    [
        ("Fp8LinearMethod", ["--all"], set()),
        ("Fp8LinearMethod", ["--all", "--format", "json"], set()),
        ("vllm.model_executor.layers.quantization.fp8", ["--all"], set()),
        ("from vllm import LLM", ["--vllm", "0.23.0"], {"ast"}),
        ("Fp8LinearMethod", ["--sglang", "0.4.7", "--vllm", "0.9.0.1"], {"json"}),
    ],
)
def test_a_question_loads_little(query: str, options: list[str], needs: set[str]) -> None:
    code = "import sys; from compat.resolve.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    bare = subprocess.run(
        [sys.executable, "-S", "-c", code, query, *options],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    loaded = set(bare.stdout.splitlines()[-1].split())
    assert {"compat.resolve.search", *needs} <= loaded
    assert not (HEAVY | {"ast", "json"} - needs) & loaded
