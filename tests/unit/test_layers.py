"""Who may import whom: the table of CONTRIBUTING.md, held against every module."""

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"

ANYWHERE = {*sys.stdlib_module_names, "packaging", "tomli", "tomllib", "_typeshed"}
"""The standard library, what the base install needs, and what only type checkers see."""

OWNERS = {
    "sglang": ("probe.probe",),
    "vllm": ("probe.probe",),
    "sgl_kernel": ("probe.probe",),
    "elftools": ("_util.elf",),
    "pytest": ("pytest_plugin",),
    "torch": ("probe.probe", "quant.*"),
    "safetensors": ("quant.*",),
    "requests": ("wheels.*",),
    "urllib3": ("wheels.*",),
    "pypi_simple": ("wheels.*",),
    "platformdirs": ("wheels.*", "matrix.*"),
    "rich": ("_cli.progress",),
    "libcst": ("scan.fix.*",),
    "mcp": ("mcp.server",),
    "pygls": ("lsp.server",),
    "lsprotocol": ("lsp.server",),
    "shtab": ("completion",),
    "uv": ("uv.*",),
    "ray": ("matrix.ray_scheduler",),
}
"""Other libraries, and the modules that may import them."""

LAZY = ("sglang", "vllm", "sgl_kernel", "torch", "elftools", "rich", "uv", "ray")
"""Libraries that are imported inside functions only, even by their owners."""

TORCHLESS = ("quant", "quant.schemes", "quant.backends.adapters", "quant.checkpoint.quantization_config")
"""What of `quant` works without torch; the rest cannot be imported without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import as it is written."""

    names: tuple[str, ...]
    """What it may load, the most exact first: `a.b` and `a` for `from a import b`."""
    line: int
    lazy: bool
    """Whether it stands in a function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The layers: patterns such as `errors` or `wheels.*`, each with its layer and its place in the row."""

    places: dict[str, tuple[int, int]]

    @classmethod
    def read(cls, text: str) -> "Table":
        rows = re.findall(r"^\| (\d) \| (.+?) \|", text, flags=re.MULTILINE)
        return cls(
            places={
                pattern: (int(layer), place)
                for layer, cell in rows
                for place, pattern in enumerate(re.findall(r"`([\w.*]+)`", cell))
            }
        )

    def pattern(self, module: str) -> str | None:
        """Return the entry for `module` (`compat.wheels.range_file`)."""
        if module.removeprefix("compat.") in self.places:
            return module.removeprefix("compat.")
        return next((pattern for pattern in self.places if belongs(module, pattern)), None)

    def allows(self, importer: str, imported: str) -> bool:
        return importer == imported or self.places[imported] < self.places[importer]


def belongs(module: str, pattern: str) -> bool:
    """Tell whether `compat.x.y` is meant by `x.y` or `x.*`; `compat` itself is `__init__`."""
    name = module.removeprefix("compat.") if module != "compat" else "__init__"
    return fnmatchcase(name, pattern) or (pattern.endswith(".*") and name == pattern[:-2])


def modules(root: Path) -> dict[str, Path]:
    """Return every module of `root`/compat by its dotted name."""
    found = {}
    for path in sorted((root / "compat").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str, path: Path) -> Iterator[Import]:
    """Yield the imports of one module, those in functions and literal `import_module` calls included."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]

    def walk(node: ast.AST, *, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            for names in _names(child, package):
                yield Import(names=names, line=getattr(child, "lineno", 0), lazy=lazy)
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from walk(child, lazy=lazy or inside)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), lazy=False)


def _names(node: ast.AST, package: str) -> Iterator[tuple[str, ...]]:
    match node:
        case ast.Import():
            yield from ((alias.name,) for alias in node.names)
        case ast.ImportFrom():
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from ((f"{base}.{alias.name}", base) for alias in node.names)
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__")
            | ast.Attribute(attr="import_module" | "__import__"),
            args=[ast.Constant(value=str() as name), *_],
        ):
            yield (name,)


def problems(root: Path, table: Table) -> list[str]:
    """Return what breaks the rules in `root`/compat, one line each."""
    known = modules(root)
    graph: dict[str, set[str]] = {module: set() for module in known}
    found = []
    for module, path in known.items():
        if table.pattern(module) is None:
            found.append(f"{module} is in no layer: add it to the table in CONTRIBUTING.md")
        for one in imports(module, path):
            where = f"{path.relative_to(root)}:{one.line}"
            target = next((name for name in one.names if name in known), None)
            if target is not None:
                graph[module].add(target)
                found += _layer_problem(table, module, target, where)
            elif one.names[-1].partition(".")[0] == "compat":
                found.append(f"{where}: {one.names[0]} does not exist")
            else:
                found += _foreign_problem(module, one, where)
    return [*found, *_cycles(graph)]


def _layer_problem(table: Table, module: str, target: str, where: str) -> Iterator[str]:
    importer, imported = table.pattern(module), table.pattern(target)
    if importer and imported and not table.allows(importer, imported):
        yield f"{where}: {module} may not import {target}, which is not below it"


def _foreign_problem(module: str, one: Import, where: str) -> Iterator[str]:
    library = one.names[-1].partition(".")[0]
    if library in ANYWHERE:
        return
    if not any(belongs(module, owner) for owner in OWNERS.get(library, ())):
        yield f"{where}: {module} may not import {library}"
    elif library in LAZY and not one.lazy and not _built_on(module, library):
        yield f"{where}: {library} may be imported inside functions only"


def _built_on(module: str, library: str) -> bool:
    """Tell whether a module has the library at its base: layers cannot be defined without torch."""
    return (
        library == "torch"
        and belongs(module, "quant.*")
        and not any(belongs(module, name) for name in TORCHLESS)
    )


def _cycles(graph: dict[str, set[str]]) -> Iterator[str]:
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        yield f"imports in a circle: {' -> '.join(error.args[1])}"


@pytest.fixture(scope="module")
def table() -> Table:
    return Table.read(CONTRIBUTING.read_text(encoding="utf-8"))


def test_every_import_keeps_to_the_table(table: Table) -> None:
    assert problems(ROOT, table) == []


def test_the_check_sees_the_project(table: Table) -> None:
    """Nothing above passes for want of input."""
    assert {"compat", "compat.errors", "compat.__main__"} <= modules(ROOT).keys()
    assert {"errors", "wheels.*", "index.*", "matrix.*", "__main__"} <= table.places.keys()
    seen = {
        name for one in imports("compat._cli.console", ROOT / "compat/_cli/console.py") for name in one.names
    }
    assert {"argparse", "compat.errors"} <= seen


def test_the_probe_needs_the_standard_library_alone() -> None:
    """It runs in environments where this project is not installed."""
    path = ROOT / "compat/probe/probe.py"
    eager = {one.names[-1].partition(".")[0] for one in imports("compat.probe.probe", path) if not one.lazy}
    assert eager
    assert eager <= sys.stdlib_module_names


MADE_UP = Table.read(
    "| 0 | `__init__`, `low`, `later` |\n| 1 | `box.*`, `probe.*` |\n| 3 | `matrix.*` |\n| 4 | `quant.*` |\n"
    "| 5 | `__main__` |\n"
)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"low": "", "later": "from compat import low", "box/a": "import compat.later"}, []),
        ({"box/__init__": "from compat.box.a import x", "box/a": "from .b import y", "box/b": ""}, []),
        (
            {"low": "def f():\n    from compat import later", "later": ""},
            ["compat.low may not import compat.later"],
        ),
        ({"low": "import compat.box.a", "box/a": ""}, ["compat.low may not import compat.box.a"]),
        ({"box/a": "from compat.box import b", "box/b": "def f():\n    from . import a"}, ["in a circle"]),
        (
            {
                "box/a": "from importlib import import_module\nimport_module('compat.box.b')",
                "box/b": "from . import a",
            },
            ["in a circle"],
        ),
        ({"stray": ""}, ["compat.stray is in no layer"]),
        (
            {"low": "from compat.gone import x\nimport compat.lost"},
            ["compat.gone.x does not", "compat.lost does not"],
        ),
        ({"low": "def f():\n    import torch.cuda"}, ["compat.low may not import torch"]),
        ({"box/a": "from vllm import LLM"}, ["compat.box.a may not import vllm"]),
        (
            {"low": "import importlib\nimportlib.import_module('sglang.srt')"},
            ["compat.low may not import sglang"],
        ),
        ({"low": "import numpy"}, ["compat.low may not import numpy"]),
        ({"probe/probe": "def f():\n    import torch"}, []),
        ({"probe/probe": "import torch"}, ["torch may be imported inside functions only"]),
        (
            {"matrix/scheduler": "def f():\n    import torch"},
            ["compat.matrix.scheduler may not import torch"],
        ),
        ({"quant/linear": "import torch", "quant/schemes": "def f():\n    import torch"}, []),
        ({"quant/schemes": "import torch"}, ["torch may be imported inside functions only"]),
        ({"quant/linear": "import vllm"}, ["compat.quant.linear may not import vllm"]),
    ],
)
def test_the_check_goes_red(tmp_path: Path, files: dict[str, str], expected: Sequence[str]) -> None:
    for name, source in {"__init__": "", **files}.items():
        path = tmp_path / "compat" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    found = problems(tmp_path, MADE_UP)
    assert len(found) == len(expected)
    for line, part in zip(found, expected, strict=True):
        assert part in line


@pytest.mark.parametrize("statement", ["import compat", "import compat.__main__"])
def test_the_package_costs_nothing_to_import(statement: str) -> None:
    code = f"{statement}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "compat" in loaded
    assert not loaded & {"packaging", *OWNERS}


def test_no_error_is_defined_outside_the_errors_file() -> None:
    from compat import errors

    ours = {name for name, value in vars(errors).items() if isinstance(value, type)}
    for module, path in modules(ROOT).items():
        if module == "compat.errors":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
                assert not bases & ours, (
                    f"{path.relative_to(ROOT)}:{node.lineno}: move {node.name} to errors.py"
                )
