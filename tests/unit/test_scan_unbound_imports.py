"""Imports of names that another module of the tree binds only in some releases are reported."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat.scan.cli import main

RELEASES = ("0.10.2", "0.11.0", "0.23.0")
"""`vllm.worker.worker` exists only in the first of these."""
NEW = ["0.11.0", "0.23.0"]

ATTEMPT = """
    try:
        from vllm.worker.worker import Worker
    except ImportError:
        pass
    """
VERSION = """
    import vllm
    from packaging.version import Version
    if Version(vllm.__version__) < Version("0.11"):
        from vllm.worker.worker import Worker
    """

Scan = Callable[[dict[str, str]], dict[tuple[str, int], list[str]]]
Told = dict[tuple[str, int], list[str]]


def findings(folder: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str]) -> list[dict[str, Any]]:
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source).lstrip("\n"))
    arguments = [argument for release in RELEASES for argument in ("--vllm", release)]
    main([str(folder), "--format", "json", "--select", "CPT001", *arguments])
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
    return found


@pytest.fixture
def scan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Scan:
    """Return a function that scans files and returns file, line and releases of each finding."""

    def run(files: dict[str, str]) -> Told:
        told: Told = {}
        for each in findings(tmp_path, capsys, files):
            name = str(Path(each["path"]).relative_to(tmp_path))
            releases = [
                release
                for row in each["broken_in"]
                for release in RELEASES[RELEASES.index(row["first"]) : RELEASES.index(row["last"]) + 1]
            ]
            told.setdefault((name, each["line"]), []).extend(releases)
        return told

    return run


@pytest.mark.parametrize("compat", [ATTEMPT, VERSION])
@pytest.mark.parametrize(
    "use",
    [
        "from mine.compat import Worker\n",
        "from .compat import Worker as W\n",
        "import mine.compat as c; c.Worker\n",
        "from mine import compat; x = compat.Worker.y\n",
        "from . import compat as c; c.Worker\n",
        "import mine.compat; mine.compat.Worker\n",
        "from .compat import *; print(Worker)\n",
        "from mine.compat import *; x = lambda y=Worker: y\n",
        "def f(): from .compat import Worker\n",
    ],
)
def test_an_import_of_an_unbound_name_is_reported(scan: Scan, compat: str, use: str) -> None:
    assert scan({"mine/__init__.py": "", "mine/compat.py": compat, "mine/use.py": use}) == {
        ("mine/use.py", 1): NEW
    }


@pytest.mark.parametrize(
    "use",
    [
        "try:\n    from .compat import Worker\nexcept ImportError:\n    pass\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .compat import Worker\n",
        "import vllm\nif vllm.__version__ == '0.10.2':\n    from .compat import Worker\n",
        "import mine.compat as c\nif hasattr(c, 'Worker'):\n    print(c)\n",
        "import mine.compat as c\nc.Worker = 1\n",
        "from .other import Worker\n",
        "from .compat import *\nWorker = 1\nprint(Worker)\n",
        "from .compat import *\ndef f(Worker): return Worker\n",
        "from .compat import Version\n",
    ],
)
def test_an_import_that_does_not_need_the_name_is_not_reported(scan: Scan, use: str) -> None:
    other = "class Worker: pass\n"
    files = {"mine/__init__.py": "", "mine/compat.py": VERSION, "mine/other.py": other, "mine/use.py": use}
    assert scan(files) == {}


@pytest.mark.parametrize(
    "compat",
    [
        "try:\n    from vllm.worker.worker import Worker\nexcept ImportError:\n    Worker = None\n",
        f"{textwrap.dedent(VERSION)}else:\n    from vllm.v1.worker.gpu_worker import Worker\n",
        f"{textwrap.dedent(VERSION)}else:\n    raise RuntimeError('too new')\n",
        f"{textwrap.dedent(VERSION)}class Worker: pass\n",
        f"Worker = None\n{textwrap.dedent(VERSION)}",
        f"{textwrap.dedent(VERSION)}def __getattr__(name): return 1\n",
        f"{textwrap.dedent(VERSION)}globals()['Worker'] = 1\n",
        "import torch\nif torch.x:\n    from vllm import LLM as Worker\n",
        "try:\n    import torch\n    from vllm import LLM as Worker\nexcept ImportError:\n    pass\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from vllm import LLM as Worker\n",
        "from third import *\n" + textwrap.dedent(VERSION),
    ],
)
def test_a_name_that_is_bound_or_unknown_is_not_reported(scan: Scan, compat: str) -> None:
    files = {"mine/__init__.py": "", "mine/compat.py": compat, "mine/use.py": "from .compat import Worker\n"}
    assert scan(files) == {}


def test_only_a_module_that_breaks_itself_is_reported(scan: Scan) -> None:
    compat = f"{textwrap.dedent(VERSION)}import vllm.worker.model_runner\n"
    files = {"mine/__init__.py": "", "mine/compat.py": compat, "mine/use.py": "from .compat import Worker\n"}
    assert scan(files) == {("mine/compat.py", 5): NEW}


def test_it_is_followed_from_module_to_module(scan: Scan) -> None:
    files = {
        "mine/__init__.py": "from .compat import *\n",
        "mine/compat.py": ATTEMPT,
        "mine/again.py": "try:\n    from mine import Worker\nexcept ImportError:\n    pass\n",
        "first.py": "from mine import Worker\n",
        "second.py": "from mine.again import Worker\n",
        "third.py": "from first import Worker\n",
    }
    assert scan(files) == {("first.py", 1): NEW, ("second.py", 1): NEW}


def test_a_module_whose_names_all_work_is_looked_at_when_it_asks_for_the_version(scan: Scan) -> None:
    compat = "import vllm\nif vllm.__version__ == '0.10.2':\n    from vllm import LLM\n"
    files = {"compat.py": compat, "use.py": "from compat import LLM\n"}
    assert scan(files) == {("use.py", 1): NEW}


def test_a_failed_import_from_the_tree_decides_a_flag(scan: Scan) -> None:
    use = """
        try:
            from compat import Worker
            OLD = True
        except ImportError:
            OLD = False
        if OLD:
            import vllm.worker.worker
        if not OLD:
            import vllm.no_such_module
        """
    assert scan({"compat.py": ATTEMPT, "use.py": use}) == {("use.py", 9): NEW}


def test_the_cause_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    use = {"use.py": "from compat import Worker\n"}
    (finding,) = findings(tmp_path, capsys, {"compat.py": ATTEMPT, **use})
    assert finding["import"] == "from compat import Worker"
    assert finding["form"] == "reexport"
    assert finding["fixable"] is False
    (run,) = finding["runs"]
    assert (run["first"], run["last"]) == ("0.11.0", "0.23.0")
    assert run["cause"] == "symbol_moved"
    assert run["reason"].startswith("compat.py:2 leaves it unbound: ")
    assert "from vllm.v1.worker" in run["reason"]
    compat = "import vllm\nif vllm.__version__ == '0.10.2':\n    from vllm import LLM as Worker\n"
    (finding,) = findings(tmp_path, capsys, {"compat.py": compat, **use})
    (run,) = finding["runs"]
    assert run["reason"] == "compat.py:3 binds it only in other releases"
