"""Guards that other files of the tree hold, and files that only other releases import."""

from pathlib import Path

import pytest

from scan_guard_cases import BROKEN, broken


def test_helpers_of_other_modules_of_the_tree_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("from .versions import is_old\n")
    (package / "versions.py").write_text(
        "import vllm\nfrom packaging.version import parse\n\n\n"
        "def is_old():\n    return parse(vllm.__version__) < parse('0.11')\n"
    )
    (package / "use.py").write_text(
        "from . import is_old\nfrom mine.versions import is_old as again\n"
        "if is_old():\n    import vllm.worker.worker\nif again():\n    import vllm.worker.worker\n"
        "if not is_old():\n    import vllm.worker.worker\n"
    )
    assert broken(tmp_path, capsys, "") == {8: BROKEN}


def test_a_flag_that_is_worked_out_when_asked_for_may_be_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flags.py").write_text(
        "import os\n\n\ndef __getattr__(name):\n    return os.environ.get(name)\n"
    )
    source = """
        import vllm
        import flags
        def version_is(wanted):
            if flags.VLLM_VERSION is not None:
                version = flags.VLLM_VERSION
            else:
                version = vllm.__version__
            return version == wanted
        if version_is("0.8.5"):
            import vllm.worker.worker
        if not version_is("0.8.5"):
            import vllm.worker.worker
        """
    assert broken(tmp_path, capsys, source) == {13: BROKEN}


def test_a_function_is_looked_for_in_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = """
        import vllm
        from packaging.version import Version
        def old_way():
            import vllm.worker.worker
        if Version(vllm.__version__) < Version("0.11"):
            old_way()
        """
    assert broken(tmp_path, capsys, source) == {}
    (tmp_path / "other.py").write_text("from code import old_way\nold_way()\n")
    assert broken(tmp_path, capsys, source) == {5: BROKEN}


CHOICE = "import vllm\nif vllm.__version__ == '0.10.2':\n    {}\n"


@pytest.mark.parametrize(
    "chosen",
    [
        "from mine import code",
        "from mine.code import *",
        "import mine.code as c",
        "from . import code",
        "from .code import x",
        "load('mine.code.Thing')",
        "from mine import between",
    ],
)
def test_a_module_that_only_other_releases_import_breaks_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], chosen: str
) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text(CHOICE.format(chosen))
    (package / "code.py").write_text(
        "import vllm.worker.worker\n\n\ndef f():\n    import vllm.worker.worker\n"
    )
    if "between" in chosen:
        (package / "between.py").write_text("from mine.code import x\n")
    assert broken(tmp_path, capsys, "") == {}
    (tmp_path / "more.py").write_text("import mine.code\n")
    assert broken(tmp_path, capsys, "") == {1: BROKEN, 5: BROKEN}


def test_a_module_that_nothing_imports_is_run_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "use.py").write_text(CHOICE.format("import coder, other"))
    (tmp_path / "other.py").write_text("import vllm.worker.worker\nif __name__ == '__main__':\n    pass\n")
    assert broken(tmp_path, capsys, "import vllm.worker.worker\n") == {1: BROKEN * 2}


@pytest.mark.parametrize("first", ["code", "other"])
def test_modules_that_import_one_another_are_told_when_one_of_them_is_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], first: str
) -> None:
    (tmp_path / "other.py").write_text("import code\nimport vllm.worker.worker\n")
    (tmp_path / "use.py").write_text(f"import {first}\n{CHOICE.format('import code, other')}")
    source = "import other\nimport vllm.worker.worker\n"
    assert broken(tmp_path, capsys, source) == {2: BROKEN * 2}
    (tmp_path / "use.py").write_text(CHOICE.format("import code, other"))
    assert broken(tmp_path, capsys, source) == {}


@pytest.mark.parametrize("long", ["first", "second"])
def test_the_files_that_may_call_a_function_are_all_asked_until_one_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], long: str
) -> None:
    source = "def old_way():\n    import vllm.worker.worker\n"
    guarded = "import vllm\nfrom code import old_way\nif vllm.__version__ < '0.11':\n    old_way()\n"
    (tmp_path / "first.py").write_text(guarded)
    (tmp_path / "second.py").write_text(guarded)
    assert broken(tmp_path, capsys, source) == {}
    (tmp_path / f"{long}.py").write_text(f"{guarded}old_way()\n")
    assert broken(tmp_path, capsys, source) == {2: BROKEN}


def test_the_alternatives_are_told_where_none_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = """
        try:
            from vllm.no_such_module import Worker
        except ImportError:
            try:
                from vllm.worker.worker import Worker
            except ImportError:
                from vllm.neither import Worker
        """
    assert broken(tmp_path, capsys, source) == {8: BROKEN}


def test_a_module_that_many_name_is_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever release is asked about first, and from wherever it is asked."""
    for number in range(8):
        (tmp_path / f"use{number}.py").write_text(CHOICE.format("import coder"))
    (tmp_path / "coder.py").write_text("import asked\nimport vllm.worker.worker\n")
    moved = "from vllm.model_executor.layers.quantization.gptq import GPTQLinearMethod\n"  # in 0.22.0
    (tmp_path / "asked.py").write_text(moved)
    (tmp_path / "more.py").write_text(CHOICE.format("import asked"))
    assert broken(tmp_path, capsys, "") == {1: BROKEN[1:], 2: BROKEN}


def test_modules_of_the_same_name_elsewhere_are_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(8):
        other = tmp_path / f"other{number}"
        other.mkdir()
        (other / "__init__.py").write_text("from .engine import Engine\nfrom . import engine\n")
        (other / "engine.py").write_text("from vllm.engine import arg_utils\n")
        (tmp_path / f"use{number}.py").write_text(f"from other{number}.engine import Engine\n")
    old = tmp_path / "old"
    old.mkdir()
    (old / "__init__.py").write_text("")
    (old / "engine.py").write_text("import vllm.worker.worker\n")
    (tmp_path / "choice.py").write_text(CHOICE.format("from old import engine"))
    assert broken(tmp_path, capsys, "") == {}
    (tmp_path / "choice.py").write_text("from old import engine\n")
    assert broken(tmp_path, capsys, "") == {1: BROKEN}
