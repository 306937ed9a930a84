"""The files that decide the verdict of a cell, found by following imports."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import compat
from compat.matrix.judge.deciding_files import deciding_files, files_digest

CODE = Path(compat.__file__).parent
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the Python files of this project."""
    folder = tmp_path_factory.mktemp("project")
    ignored = shutil.ignore_patterns("__pycache__", "data", "corpus")
    for name in ("compat", "tests", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def digest(project: Path, *, gpu: bool) -> str:
    files = deciding_files(project / "compat", project / "tests" / "gpu" if gpu else None)
    return files_digest(files, [project])


BOTH = (
    "compat/matrix/cell.py",
    "compat/matrix/model/outcome.py",
    "compat/matrix/install/prepare.py",
    "compat/matrix/install/verify_files.py",
    "compat/matrix/judge/inputs.py",
    "compat/matrix/judge/compare.py",
    "compat/matrix/judge/collection_plugin.py",
    "compat/probe/expectation.py",
    "compat/probe/probe.py",
    "compat/index/query/expected_modules.py",
    "compat/index/query/name_resolution.py",
    "compat/model/guards.py",
    "compat/requirements/graph.py",
    "compat/__init__.py",
)
ON_GPU = (
    "compat/quant/linear.py",
    "compat/runtime/load.py",
    "tests/conftest.py",
    "tests/gpu/conftest.py",
    "tests/gpu/gpu_cases.py",
    "tests/unit/quant_llama.py",
    "pyproject.toml",
)


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("name", [*BOTH, *ON_GPU])
def test_a_change_of_a_file_that_decides_changes_the_digest(name: str, gpu: bool, project: Path) -> None:  # noqa: FBT001 -- a parameter of the test
    before = digest(project, gpu=gpu)
    path = project / name
    content = path.read_bytes()
    path.write_bytes(content + b"\n# changed\n")
    try:
        changed = digest(project, gpu=gpu) != before
    finally:
        path.write_bytes(content)
    assert changed or (name in ON_GPU and not gpu)


@pytest.mark.parametrize("name", ["compat/scan/cli.py", "compat/bundle/build.py", "tests/unit/test_scan.py"])
def test_a_file_that_no_cell_imports_changes_nothing(name: str, project: Path) -> None:
    files = deciding_files(project / "compat", project / "tests" / "gpu")
    assert (project / name).is_file()
    assert project / name not in files


def test_new_imports_are_followed(tmp_path: Path) -> None:
    """Relative ones, those in functions, modules in strings and files beside the module count."""
    contents = {
        "compat/__init__.py": "",
        "compat/matrix/__init__.py": "",
        "compat/matrix/cell.py": "def f():\n    from .near import g\n",
        "compat/matrix/near.py": "from compat import far\nMODULE = 'compat.deep.started'\n",
        "compat/matrix/unused.py": "",
        "compat/far.py": "FILE = 'beside.py'\n",
        "compat/beside.py": "import requests, os.path\n",
        "compat/deep/__init__.py": "",
        "compat/deep/started.py": "this is no Python\n",
        "requests.py": "",
        "tests/gpu/test_it.py": "import helper\nfrom compat.quant import x\n",
        "tests/unit/helper.py": "import other_helper\n",
        "tests/unit/other_helper.py": "",
        "tests/unit/unused.py": "",
        "compat/quant/__init__.py": "",
        "conftest.py": "",
    }
    for name, content in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    found = {path.relative_to(tmp_path).as_posix() for path in deciding_files(tmp_path / "compat", None)}
    quant = {name for name in contents if name.startswith("compat/quant")}
    code = {name for name in contents if name.startswith("compat/")} - quant - {"compat/matrix/unused.py"}
    assert found == code
    on_gpu = deciding_files(tmp_path / "compat", tmp_path / "tests" / "gpu")
    assert {path.relative_to(tmp_path).as_posix() for path in on_gpu} == code | quant | {
        "tests/gpu/test_it.py",
        "tests/unit/helper.py",
        "tests/unit/other_helper.py",
        "conftest.py",
        "requests.py",  # the project folder is on the import path of the tests
    }


def test_nothing_that_a_cell_really_imports_is_missing() -> None:
    """A child process imports the entry point and what its functions import, and lists its modules."""
    script = (
        "import json, sys, compat.matrix.cell\n"
        "import compat.index.query.expected_modules, compat.index.reader, compat.index.writer\n"
        "print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.partition('.')[0] == 'compat']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {Path(name).resolve() for name in json.loads(done.stdout)}
    assert len(loaded) > 30
    assert loaded <= set(deciding_files(CODE.resolve(), None))
