"""Guards that are in other files of the tree, and files that only other releases import."""

from pathlib import Path

import pytest

from scan_guard_cases import BROKEN, RELEASES, broken


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


@pytest.mark.parametrize("test", ["is_old()", "versions.is_old()", "OLD", "not NEW"])
def test_a_module_that_a_test_of_another_file_chooses_breaks_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], test: str
) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "versions.py").write_text(
        "import vllm\nfrom packaging.version import parse\n\n"
        "OLD = parse(vllm.__version__) < parse('0.11')\nNEW: bool = not OLD\n\n\n"
        "def is_old():\n    return OLD\n"
    )
    (package / "__init__.py").write_text(
        f"from mine import versions\nfrom mine.versions import *\nif {test}:\n    from mine import patches\n"
    )
    (package / "patches.py").write_text("import mine.old\n")
    (package / "old.py").write_text("import vllm.worker.worker\n")
    assert broken(tmp_path, capsys, "") == {}
    (tmp_path / "more.py").write_text("import mine.patches\n")
    assert broken(tmp_path, capsys, "") == {1: BROKEN}


def test_what_lies_beside_a_module_that_other_releases_import_breaks_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "mine" / "v0102" / "vllm"
    (package / "more").mkdir(parents=True)
    (package / "more" / "workers.py").write_text("import vllm.worker.worker\n")
    (package / "patch.py").write_text("def patch():\n    from mine.v0102.vllm.more import workers\n")
    (tmp_path / "use.py").write_text(CHOICE.format("import mine.v0102.vllm.patch"))
    assert broken(tmp_path, capsys, "") == {}
    (tmp_path / "more.py").write_text("import mine.v0102.vllm.patch\n")
    assert broken(tmp_path, capsys, "") == {1: BROKEN}


def test_the_version_of_a_renamed_import_chooses_modules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "patches.py").write_text("import vllm.worker.worker\n")
    (tmp_path / "use.py").write_text(
        "import vllm as package\n\n\ndef patch():\n    match package.__version__:\n"
        "        case '0.10.2':\n            import patches\n        case _:\n            pass\n"
    )
    assert broken(tmp_path, capsys, "") == {}
    (tmp_path / "use.py").write_text("import patches\n")
    assert broken(tmp_path, capsys, "") == {1: BROKEN}


def test_many_files_of_a_package_that_only_other_releases_import_break_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "vllm_0_10"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "config.py").write_text("import vllm.worker.worker\n")
    for number in range(8):
        (package / f"part_{number}.py").write_text(
            f"from .config import x\nfrom . import part_{number + 1}\n"
        )
    (tmp_path / "use.py").write_text(CHOICE.format("from vllm_0_10 import part_0"))
    assert broken(tmp_path, capsys, "") == {}
    (tmp_path / "more.py").write_text("import vllm_0_10.part_4\n")
    assert broken(tmp_path, capsys, "") == {1: BROKEN}


def test_a_module_that_nothing_imports_is_run_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "use.py").write_text(CHOICE.format("import coder, other"))
    (tmp_path / "other.py").write_text("import vllm.worker.worker\nif __name__ == '__main__':\n    pass\n")
    assert broken(tmp_path, capsys, "import vllm.worker.worker\n") == {1: BROKEN * 2}


@pytest.mark.parametrize("first", ["code", "other"])
def test_modules_that_import_one_another_are_reported_when_one_of_them_is_imported(
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


def test_alternatives_are_reported_where_none_works(
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
    """The result is independent of the order of the releases and of the file that is checked first."""
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


def test_a_module_is_chosen_by_a_version_that_a_function_of_the_file_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = (
        "from importlib.metadata import PackageNotFoundError, version\n\n\n"
        "def get_version(name):\n    try:\n        return version(name)\n"
        "    except PackageNotFoundError:\n        return None\n\n\n"
        "package_name = 'vllm'\npackage_version = get_version(package_name)\n"
        "if package_version == '0.10.2':\n    from .v_0_10.llm import LLM\n"
        "else:\n    {}\n"
    )
    folder = tmp_path / "mine" / "v_0_10"
    folder.mkdir(parents=True)
    (tmp_path / "mine" / "__init__.py").write_text(choice.format("pass"))
    (folder / "__init__.py").write_text("")
    (folder / "llm.py").write_text("from .engine import Engine\nimport vllm.worker.worker\n")
    (folder / "engine.py").write_text("\n\nimport vllm.worker.worker\n")
    assert broken(tmp_path, capsys, "") == {}
    (tmp_path / "more.py").write_text("from mine.v_0_10 import engine\n")
    assert broken(tmp_path, capsys, "") == {3: BROKEN}
    (tmp_path / "mine" / "__init__.py").write_text(choice.format("raise ValueError(package_version)"))
    assert broken(tmp_path, capsys, "") == {}


def test_a_chain_of_modules_is_followed_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine" / "old"
    folder.mkdir(parents=True)
    (tmp_path / "choice.py").write_text(CHOICE.format("from mine.old.step0 import x"))
    for number in range(8):
        (folder / f"step{number}.py").write_text(f"from mine.old.step{number + 1} import x\n")
    (folder / "step8.py").write_text("import vllm.worker.worker\n")
    assert broken(tmp_path, capsys, "") == {}
    (tmp_path / "choice.py").write_text("from mine.old.step0 import x\n")
    assert broken(tmp_path, capsys, "") == {1: BROKEN}


def test_a_word_with_the_name_of_a_module_in_it_does_not_import_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(8):
        (tmp_path / f"use{number}.py").write_text("import vllm\nfrom vllm import LLM\nllm = LLM()\nllm.x\n")
    (tmp_path / "llm.py").write_text("import vllm.worker.worker\n")
    (tmp_path / "choice.py").write_text(CHOICE.format("import llm"))
    assert broken(tmp_path, capsys, "") == {}


OWN = """
    from vllm.distributed import parallel_state
    def use():
        from vllm.distributed.parallel_state import _MINE
        return parallel_state._MINE.rank
    """


@pytest.mark.parametrize(
    "given",
    [
        "from vllm.distributed import parallel_state\n\n\ndef f():\n    parallel_state._MINE = 1\n",
        "import vllm.distributed.parallel_state as ps\nps._MINE = 1\n",
        "import vllm\nsetattr(vllm.distributed.parallel_state, '_MINE', 1)\n",
        "import vllm.distributed.parallel_state as ps\nfor x in ('_MINE',):\n    setattr(ps, x, 1)\n",
    ],
)
def test_a_name_that_the_tree_gives_to_a_module_is_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    assert broken(tmp_path, capsys, OWN) == {4: list(RELEASES), 5: list(RELEASES)}
    (tmp_path / "other.py").write_text(given)
    assert broken(tmp_path, capsys, OWN) == {}


def test_what_is_behind_a_test_of_such_a_name_may_be_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.py").write_text("import vllm.envs\nvllm.envs.MINE = True\n")
    source = """
        import vllm.envs
        from vllm.envs import MINE
        if vllm.envs.MINE:
            import vllm.worker.worker
        if hasattr(vllm.envs, "MINE"):
            import vllm.worker.worker
        if getattr(vllm.envs, "MINE", None) is not None:
            import vllm.worker.worker
        if MINE:
            import vllm.worker.worker
        """
    assert broken(tmp_path, capsys, source) == dict.fromkeys((5, 7, 9, 11), BROKEN)


@pytest.mark.parametrize(
    "other",
    [
        "class _MINE:\n    pass\n\n\nimport vllm\nvllm.envs._MINE = 1\n",
        "import other.parallel_state as ps\nps._MINE = 1\n",
        "import vllm.distributed.parallel_state as ps\nprint(ps, '_MINE')\n",
    ],
)
def test_a_name_that_is_assigned_to_another_object_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], other: str
) -> None:
    (tmp_path / "other.py").write_text(other)
    assert broken(tmp_path, capsys, OWN) == {4: list(RELEASES), 5: list(RELEASES)}


def test_what_a_release_had_and_the_tree_replaces_is_missing_where_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.py").write_text(
        "import vllm.envs\nold = vllm.envs.VLLM_USE_V1\nvllm.envs.VLLM_USE_V1 = False\n"
    )
    found = broken(tmp_path, capsys, "")
    assert list(found) == [2]
    assert "0.23.0" in found[2]


def test_a_folder_that_is_called_like_a_package_is_not_yet_that_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "vendor" / "vllm"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "layers.py").write_text("from vllm.worker.worker import Worker\n")
    (folder / "mine.py").write_text("")
    assert broken(tmp_path, capsys, "") == {1: BROKEN}
    for name in ("engine", "worker", "attention", "v1"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("")
    assert broken(tmp_path, capsys, "") == {}
