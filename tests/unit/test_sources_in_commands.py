"""Sources in `--from` and `--to`, and what is judged of them besides names."""

import errno
import json
import os
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from checkouts import NEW, OLD, commit, git, source_of, write_small_index
from compat import errors
from compat.errors import UsageError
from compat.explain.lookup.server_options import options_by_release
from compat.index.extended import open_index
from compat.lsp import document
from compat.mcp import tools
from compat.pairs.cli import main as pairs
from compat.settings.collect import SettingsCollector
from compat.settings.releases import PackageSettings
from compat.sources import describe, opening
from compat.sources.command_line import with_named_sources, with_sources
from compat.sources.opening import SETTINGS, open_sources, write_own_file
from compat.sources.settings import put_settings
from compat.upgrade.assess import Start, steps_between
from compat.upgrade.pair import Proposal

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

ENVIRONMENT = (
    'import os\nA = os.environ.get("VLLM_A")\n'
    'x = {k.replace("SGL_", "SGLANG_"): v for k, v in os.environ.items()}\n'
)
ARGUMENTS = (
    'parser.add_argument("--new-option", help="--old-option is deprecated, use --new-option instead")\n'
)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAT_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    return write_small_index(tmp_path, {"1.0": OLD, "1.1": NEW})


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    files = {"vllm/envs.py": ENVIRONMENT, "vllm/engine/arg_utils.py": ARGUMENTS, "tools/x.py": ENVIRONMENT}
    commit(tmp_path / "repo", source_of(NEW, **files))
    return tmp_path / "repo"


def test_a_source_has_the_settings_that_a_release_with_these_files_would_have(
    shipped: Path, checkout: Path
) -> None:
    opened = open_sources({"vllm": [f"git+file:{checkout}"]}, path=shipped, further=(SETTINGS,))
    (version,) = opened.texts["vllm"]
    settings = PackageSettings("vllm")
    settings.put("1.1", {("variable", "VLLM_GONE")}, {})
    put_settings([settings], opened.files)
    collector = SettingsCollector("vllm")
    files = {path: (checkout / path).read_bytes() for path in ("vllm/envs.py", "vllm/engine/arg_utils.py")}
    collector.add(version, files)
    assert settings.versions == ["1.1", version]
    assert settings.of(version) == collector.settings.of(version)
    assert ("variable", "VLLM_A") in settings.of(version)
    assert ("rename", "SGL_ SGLANG_") in settings.of(version)
    assert settings.of("1.1") == {("variable", "VLLM_GONE")}
    assert settings.notes == collector.settings.notes
    assert set(settings.notes) == {"--new-option"}


def test_without_need_no_settings_are_read(shipped: Path, checkout: Path) -> None:
    opened = open_sources({"vllm": [str(checkout)]}, path=shipped)
    settings = PackageSettings("vllm")
    put_settings([settings], opened.files)
    assert settings.versions == []


def test_a_build_of_ones_own_has_its_settings(
    shipped: Path, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compat.sources.opening.SourceFiles.__init__.__defaults__", (shipped,))
    own = tmp_path / "own.sqlite"
    write_own_file(str(checkout), "acme", own)
    settings = PackageSettings("vllm")
    put_settings([settings], [str(own)])
    assert len(settings.versions) == 1


def test_a_named_source_becomes_a_release_of_its_package(
    shipped: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {
        "--from": ("1.0",),
        "--to": (f"git+file:{checkout}",),
        "--both": (f"vllm=={checkout}", "vllm==1.0"),
    }
    files, found = with_named_sources(asked, (), shipped)
    version = found["--to"][0].removeprefix("vllm==")
    assert version.startswith("1.1+g")
    assert found == {
        "--from": ("1.0",),
        "--to": (f"vllm=={version}",),
        "--both": (f"vllm=={version}", "vllm==1.0"),
    }
    assert open_index(files, shipped).versions("vllm")[:3] == ("1.0", "1.1", version)
    assert "the nearest release is 1.1" in capsys.readouterr().err


def test_a_range_of_commits_is_no_single_release(shipped: Path, checkout: Path) -> None:
    first = commit(checkout, source_of(OLD))
    last = commit(checkout, source_of(NEW))
    with pytest.raises(UsageError, match=r"--from .*: it is 2 commits; name one of them"):
        with_named_sources({"--from": (f"git+file:{checkout}@{first}..{last}",)}, (), shipped)


def test_a_source_stands_after_the_release_that_it_is_nearest_to(shipped: Path, tmp_path: Path) -> None:
    commit(tmp_path / "repo", source_of(OLD, **{"vllm/extra.py": "x = 1\n"}))
    opened = open_sources({"vllm": [str(tmp_path / "repo")]}, path=shipped)
    (version,) = opened.texts["vllm"]
    index = open_index(opened.files, shipped)
    assert index.versions("vllm") == ("1.0", "1.1", version)
    assert steps_between(index, Start("vllm", "1.0", ""), version) == ["1.0", version]
    assert steps_between(index, Start("vllm", version, ""), "1.1") == [version, "1.1"]
    assert steps_between(index, Start("vllm", "1.0", ""), "1.1") == ["1.0", "1.1"]
    with pytest.raises(UsageError, match=r"vllm .*, nearest to 1.0, is older than 1.1, the start"):
        steps_between(index, Start("vllm", "1.1", ""), version)


@pytest.mark.parametrize(
    ("address", "overrides", "commands"),
    [
        ("./vllm dir", (), ("uv pip install sglang==0.5.8 './vllm dir'",)),
        (
            "dist/vllm-1.2-py3-none-any.whl",
            (),
            ("uv pip install sglang==0.5.8 dist/vllm-1.2-py3-none-any.whl",),
        ),
        ("git+file:/r@v1", (), ("uv pip install sglang==0.5.8 'vllm @ git+file:///r@v1'",)),
        (
            "./vllm",
            ("torch==2.9.1", "numba<1"),
            (
                "printf '%s\\n' torch==2.9.1 'numba<1' > overrides.txt",
                "uv pip install --overrides overrides.txt sglang==0.5.8 ./vllm",
            ),
        ),
        ("env:.venv", (), ("uv pip install sglang==0.5.8",)),
    ],
)
def test_the_command_installs_the_source_itself(
    address: str, overrides: tuple[str, ...], commands: tuple[str, ...]
) -> None:
    proposal = Proposal(
        versions={"sglang": "0.5.8", "vllm": "1.1+g1234567"}, overrides=overrides, addresses={"vllm": address}
    )
    assert proposal.commands == commands


def test_an_agent_is_told_what_the_source_is(
    shipped: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "open_sources", partial(open_sources, path=shipped))
    monkeypatch.setattr(tools, "open_index", partial(open_index, path=shipped))
    tools._index.cache_clear()
    first, second, *_ = tools.resolve("vllm.engine:Engine", vllm=f"git+file:{checkout}").splitlines()
    tools._index.cache_clear()
    assert first.startswith(f"vllm git+file:{checkout}: commit ")
    assert "the nearest release is 1.1" in first
    assert second.endswith("vllm.engine:Engine: defined")


@pytest.mark.parametrize("tool", ["resolve", "explain", "scan", "check"])
def test_an_agent_is_told_that_a_source_does_not_exist(tool: str, tmp_path: Path) -> None:
    arguments: dict[str, dict[str, Any]] = {
        "resolve": {"query": "LLM"},
        "explain": {"log": "x"},
        "scan": {"path": str(tmp_path)},
        "check": {"requirements": []},
    }
    with pytest.raises(UsageError, match="nowhere does not exist"):
        getattr(tools, tool)(**arguments[tool], vllm="./nowhere")


def test_an_editor_checks_against_the_source_that_the_project_names(
    shipped: Path, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "with_sources", partial(with_sources, path=shipped))
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(f'[tool.compat]\nvllm = "git+file:{checkout}"\n')
    options = document.OpenDocument(str(project / "a.py"), "import vllm\n").options
    (version,) = options.vllm
    assert version.startswith("1.1+g")
    assert open_index(options.indexes, shipped).versions("vllm")[-1] == version


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_source_is_described(
    form: str,
    shipped: Path,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(describe, "with_named_sources", partial(with_named_sources, path=shipped))
    monkeypatch.setattr(describe, "open_index", partial(open_index, path=shipped))
    assert describe.describe([f"git+file:{checkout}"], form) == errors.CLEAN
    printed = capsys.readouterr().out
    if form == "text":
        assert "the nearest release is 1.1 (" in printed
        assert "2 modules that no release has: vllm.engine.arg_utils, vllm.envs" in printed
        assert "4 modules that a build makes: vllm._C, vllm._version" in printed
        return
    (source,) = json.loads(printed)["sources"]
    assert (source["package"], source["nearest"]) == ("vllm", "1.1")
    assert source["new_modules"] == ["vllm.engine.arg_utils", "vllm.envs"]
    assert source["modules"] > len(source["generated"]) == 4


def test_what_is_no_source_is_not_described() -> None:
    with pytest.raises(UsageError, match=r"'0.33.0' is no source; a source is a folder"):
        describe.describe(["0.33.0"], "text")


@pytest.mark.parametrize("options", [["--probe"], ["--format", "toml"], ["--format", "requirements"]])
def test_a_source_of_a_pair_is_never_built(options: list[str]) -> None:
    with pytest.raises(
        UsageError, match="needs a resolution, and that of a checkout or build would build it"
    ):
        pairs(["0.5.8", "./vllm", *options])


def test_a_source_of_a_pair_is_judged_by_its_metadata(
    shipped: Path,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = '[project]\nname = "vllm"\nversion = "1.2"\ndependencies = ["xgrammar==0.0.1"]\n'
    commit(checkout, source_of(NEW, **{"pyproject.toml": project}))
    opened = open_sources({"vllm": [f"git+file:{checkout}"]}, path=shipped)
    monkeypatch.setattr(
        "compat.sources.command_line.with_named_sources",
        lambda named, _: (opened.files, {**named, "vllm": opened.texts["vllm"]}),
    )
    assert pairs(["0.5.8", f"git+file:{checkout}"]) == errors.FINDINGS
    captured = capsys.readouterr()
    assert "requires ==0.0.1  use xgrammar==" in captured.out
    assert captured.out.endswith("clashes of further requirements\n")
    assert "judged by its metadata" in captured.err


def test_a_range_longer_than_the_cache_keeps_is_read_whole(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MOST_KEPT", 1)
    first, *_, last = [
        commit(tmp_path / "r", source_of(NEW, **{"vllm/a.py": f"x = {n}\n"})) for n in range(3)
    ]
    opened = open_sources({"vllm": [f"git+file:{tmp_path / 'r'}@{first}..{last}"]}, path=shipped)
    assert open_index(opened.files, shipped).versions("vllm")[2:] == opened.texts["vllm"]
    assert len(opened.texts["vllm"]) == 3
    monkeypatch.setattr(opening, "MOST_COMMITS", 2)
    with pytest.raises(UsageError, match=r"it is 3 commits; name at most 2"):
        open_sources({"vllm": [f"git+file:{tmp_path / 'r'}@{first}..{last}"]}, path=shipped)


def test_of_a_range_that_must_be_one_commit_nothing_is_read(
    shipped: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = commit(checkout, source_of(OLD))
    last = commit(checkout, source_of(NEW))
    with pytest.raises(UsageError, match="it is 2 commits"):
        with_named_sources({"--to": (f"git+file:{checkout}@{first}..{last}",)}, (), shipped)
    assert capsys.readouterr().err == ""


def test_a_source_in_a_submodule_has_the_commit_of_the_submodule(shipped: Path, tmp_path: Path) -> None:
    inner = commit(tmp_path / "inner", source_of(NEW))
    commit(tmp_path / "outer", {"README": "x"})
    git(
        tmp_path / "outer",
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        str(tmp_path / "inner"),
    )
    git(tmp_path / "outer", "commit", "-qm", "with it")
    opened = open_sources({"vllm": [str(tmp_path / "outer")]}, path=shipped)
    assert f"checkout {inner[:7]};" in opened.notes[0]


def test_a_source_that_was_read_needs_no_cache_that_can_be_written(
    shipped: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_sources({"vllm": [str(checkout)]}, path=shipped)

    def refuse(path: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(os, "utime", refuse)
    assert open_sources({"vllm": [str(checkout)]}, path=shipped) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}/bare", r"is a git repository without files; name a commit: git\+file:.*/bare@HEAD"),
        ("{}/vllm-1-py3-none-any.whl", "is no file"),
        ("git+file:{}/bare@..main", r"write a range of commits as FIRST\.\.LAST"),
        ("git+file:{}/bare@a...b", r"write a range of commits as FIRST\.\.LAST"),
        ("git+https://example.com/vllm@main", "nothing is downloaded; clone it"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_to_write(
    shipped: Path, checkout: Path, tmp_path: Path, text: str, message: str
) -> None:
    git(checkout, "clone", "-q", "--bare", str(checkout), str(tmp_path / "bare"))
    (tmp_path / "vllm-1-py3-none-any.whl").mkdir()
    with pytest.raises(UsageError, match=message):
        open_sources({"vllm": [text.format(tmp_path)]}, path=shipped)


def test_a_pipe_in_a_tree_is_not_waited_for(shipped: Path, tmp_path: Path) -> None:
    commit(tmp_path / "repo", source_of(NEW))
    os.mkfifo(tmp_path / "repo/pyproject.toml")
    assert open_sources({"vllm": [str(tmp_path / "repo")]}, path=shipped).texts["vllm"]


def test_the_folder_of_the_package_itself_is_a_clean_checkout(shipped: Path, tmp_path: Path) -> None:
    head = commit(tmp_path / "repo", source_of(NEW))
    opened = open_sources({"vllm": [str(tmp_path / "repo/vllm")]}, path=shipped)
    assert f": checkout {head[:7]};" in opened.notes[0]


def test_explain_judges_an_option_by_the_settings_of_a_source(shipped: Path, checkout: Path) -> None:
    opened = open_sources({"vllm": [str(checkout)]}, path=shipped, further=(SETTINGS,))
    index = open_index(opened.files, shipped)
    found = options_by_release(SimpleNamespace(index=index), "vllm")  # type: ignore[arg-type]
    assert found == (frozenset(), frozenset(), frozenset({"--new-option"}))
