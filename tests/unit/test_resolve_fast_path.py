"""The quick answers of `compat resolve` are those of the search, byte for byte, and start nothing heavy."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat import errors
from compat.index.build.precompute_answers import COMMON, finish
from compat.index.reader import Index
from compat.index.writer import SCHEMA_VERSION, SHIPPED, write_index
from compat.model.releases import IMPORT_NAMES, KERNELS, PACKAGES
from compat.model.symbols import KINDS, STATUSES, UNUSABLE
from compat.resolve import cli, fast_path
from compat.resolve.__main__ import main
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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quick") / "index.sqlite"
    sglang: Files = {"sglang/__init__.py": "from vllm.zoo import Both\nclass Fp8: pass\nclass Own: pass"}
    many = {f"sglang/m{at}.py": "logger = 1" for at in range(COMMON + 1)}
    kernel: Files = {"sgl_kernel/__init__.py": "class Kernel: pass\nclass Own: pass"}
    contents = [
        content(
            "vllm", "vllm", *(release(v, f) for v, f in zip("12345", [OLD, OLD, NEW, NEW, OLD], strict=True))
        ),
        content(
            "sglang", "sglang", release("1", sglang), release("2", {**sglang, **many}, ["sgl-kernel==0.1"])
        ),
        content("sgl-kernel", "sgl_kernel", release("0.1", kernel), release("0.2", {**kernel})),
    ]
    write_index(path, contents, finish)
    return path


def questions(path: Path) -> Iterator[list[str]]:
    """Yield every name and location of an index, in every form and for every release."""
    index = Index(path)
    queries = {"Nowhere", "vllm", "vllm.zoo", "vllm.nowhere.Fp8", "vllm.hard:Fp8", "sglang.Own"}
    for package in index.packages:
        for entry in index.name_ranges(package):
            if entry.name:
                queries |= {entry.name, f"{entry.module}.{entry.name}", f"{entry.module}:{entry.name}"}
    for query in sorted(queries):
        yield [query, "--all"]
        for package in ("sglang", "vllm"):
            yield from ([query, f"--{package}", version] for version in index.versions(package))


def both(
    capsys: pytest.CaptureFixture[str], argv: list[str], path: Path
) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
    """Return what the quick way and the search say; None from one that has no answer."""
    found = fast_path.answer(argv, str(path))
    if found is None:
        return None, None
    try:
        code = cli.main(argv, path)
    except errors.CompatError:
        return found, None
    return (f"{found[0]}\n", found[1]), (capsys.readouterr().out, code)


def test_quick_answers_are_those_of_the_search(capsys: pytest.CaptureFixture[str], made: Path) -> None:
    asked = [argv for argv in questions(made) if "logger" not in argv[0]]
    answered = 0
    for argv in asked:
        found, searched = both(capsys, argv, made)
        assert found == searched, argv
        answered += found is not None
    names = [argv for argv in asked if "." not in argv[0] and ":" not in argv[0] and argv[1] == "--all"]
    left = {argv[0] for argv in names if fast_path.answer(argv, str(made)) is None}
    assert left == {"Nowhere", "sglang", "vllm"}  # packages are no names that modules bind
    assert answered > 100


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["Hard", "--vllm", "1"], "conditional"),
        (["Lost", "--vllm", "1"], "vllm.broken imports vllm.gone, which is missing"),
        (["Early", "--all"], "nothing binds this name"),
        (["late", "--all"], "defined    value   from vllm.late import late"),
        (["Kernel", "--all"], "sgl-kernel  0.1..0.2  defined"),
        (["vllm.zoo:Both", "--vllm", "3"], ""),
        (["vllm.zoo.Fp8", "--vllm", "3"], "from vllm.zoo import Fp8"),
    ],
)
def test_what_is_answered(made: Path, argv: list[str], text: str) -> None:
    found = fast_path.answer(argv, str(made))
    assert (found is None) == (not text)
    assert text in (found or ("", 0))[0]


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["Fp8"],
        ["Fp8", "Own", "--all"],
        ["Fp8", "--all", "--vllm", "1"],
        ["Fp8", "--vllm", "latest"],
        ["Fp8", "--vllm", ">=1"],
        ["Fp8", "--vllm", "9"],
        ["Fp8", "--vllm"],
        ["Fp8", "--vllm", "1", "--sglang", "1"],
        ["Fp8", "--vllm", "1", "--vllm", "2"],
        ["Fp8", "--all", "--format", "json"],
        ["Fp8", "--all", "--format"],
        ["Fp8", "--all", "--without", "torch"],
        ["Fp8", "--all", "--no-cuda"],
        ["Kernel", "--sglang", "2"],
        ["logger", "--all"],
        ["from vllm.zoo import Fp8", "--all"],
        ["vllm..zoo", "--all"],
        ["vllm:a.b", "--all"],
        ["vllm:zoo:Fp8", "--all"],
        ["", "--all"],
    ],
)
def test_what_is_left_to_the_search(made: Path, argv: list[str]) -> None:
    assert fast_path.answer(argv, str(made)) is None


def test_files_that_are_no_index_are_left_to_the_search(tmp_path: Path, made: Path) -> None:
    (tmp_path / "text").write_text("no index")
    old = tmp_path / "old"
    old.write_bytes(made.read_bytes().replace(SCHEMA_VERSION.to_bytes(4, "big"), bytes(4)))
    for path in (tmp_path / "nowhere", tmp_path / "text", old, tmp_path / "a%20b"):
        assert fast_path.answer(["Fp8", "--all"], str(path)) is None


def test_what_is_written_twice_is_the_same() -> None:
    assert fast_path.FORMAT == SCHEMA_VERSION
    assert Path(fast_path.SHIPPED) == SHIPPED
    assert fast_path.STATUSES == STATUSES
    assert fast_path.KINDS == KINDS
    assert set(fast_path.UNUSABLE) == UNUSABLE
    assert tuple(map(str, PACKAGES)) == fast_path.PACKAGES
    assert fast_path.PACKAGES[2:] == tuple(map(str, KERNELS))
    assert set(IMPORT_NAMES.values()) == set(fast_path.TOPS)


def test_the_shipped_index_drawn_at_random(capsys: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(3)  # noqa: S311 -- a draw that can be repeated
    index = Index()
    ranges = draw.sample(list(index.name_ranges("vllm")), 25) + draw.sample(
        list(index.name_ranges("sglang")), 25
    )
    answered = 0
    for entry in ranges:
        package = entry.module.partition(".")[0]
        version = index.versions(package)[draw.randint(entry.first, entry.last)]
        for argv in (
            [entry.name, "--all"],
            [entry.name, f"--{package}", version],
            [f"{entry.module}.{entry.name}", f"--{package}", version],
        ):
            found, searched = both(capsys, argv, SHIPPED)
            assert found == searched, argv
            answered += found is not None
    assert answered > 50


def test_the_usual_question_loads_next_to_nothing() -> None:
    code = (
        "import sys, compat.resolve.__main__ as m; m.main(['Fp8LinearMethod', '--all']); print(*sys.modules)"
    )
    bare = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name for name in bare.stdout.splitlines()[-1].split() if name.startswith("compat")}
    assert loaded == {
        "compat",
        "compat.resolve",
        "compat.resolve.__main__",
        "compat.resolve.fast_path",
        "compat.resolve.canonical",
    }
    heavy = {"argparse", "json", "typing", "dataclasses", "re", "enum", "datetime", "pathlib", "packaging"}
    assert not heavy.intersection(bare.stdout.splitlines()[-1].split())


def test_both_ways_lead_through_one_entry(capsys: pytest.CaptureFixture[str]) -> None:
    codes = [main(["Fp8LinearMethod", "--all", *more]) for more in ([], ["--format", "text"])]
    quickly = capsys.readouterr().out
    codes.append(main(["Fp8LinearMethod", "--all", "--matrix", "matrix.toml"]))
    assert quickly == 2 * capsys.readouterr().out
    assert codes == [1, 1, 1]
