"""`compat diff`: what changes between two releases or commits, and what of it a tree uses."""

import json
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from checkouts import ENGINE, OLD, commit, source_of, write_small_index
from compat import __main__, errors
from compat._cli import console
from compat.diff.bisect import boundaries
from compat.diff.changes import Change, Comparison
from compat.diff.commit_range import CommitRange
from compat.diff.requirement_changes import requirement_changes
from compat.index.reader import Index
from compat.sources.stores.git_objects import Repository
from sources import content, index, release

SCHEMAS = Path(__file__).parents[2] / "docs/schemas"
PICK = """
def pick(items):
    for each in items:
        if each:
            return each
    return None
"""
BEFORE = {
    "vllm/__init__.py": "from vllm.engine import Engine\n",
    "vllm/engine.py": f"""
LIMIT = 3
logger = object()

class Engine:
    def __init__(self, prompt):
        self.prompt = prompt

def start(model, port=8000):
    return model, port

def stop(now):
    return now
{PICK}""",
    "vllm/tools.py": "class Tool:\n    pass\n",
    "vllm/gone/__init__.py": "def lost():\n    pass\n",
    "vllm/gone/inner.py": "x = 1\n",
    "vllm/tests/helper.py": "def helper():\n    pass\n",
}
AFTER = {
    "vllm/__init__.py": "from vllm.engine import Engine\n",
    "vllm/engine.py": """
class Engine:
    def __init__(self, prompt, stream=False):
        self.prompt = prompt

def start(model, port=8000, *, host=None):
    return model, port

def stop(when):
    return when
""",
    "vllm/utils/pick.py": PICK,
    "vllm/tools.py": "def Tool():\n    pass\n",
    "vllm/extra.py": "def more():\n    pass\n",
}


@pytest.fixture
def two(tmp_path: Path) -> Index:
    releases = (
        release("1.0", BEFORE, ["torch==2.8", "numpy<2", 'outlines>=1; extra == "guided"']),
        release("1.1", AFTER, ["torch==2.9", 'outlines>=1; extra == "guided"', "pillow"]),
    )
    return index(tmp_path / "two.sqlite", content("vllm", "vllm", *releases))


def changes(two: Index) -> dict[str, Change]:
    return {each.path: each for each in Comparison(two, "vllm", 0, 1).everything()}


def test_every_sort_of_change_is_told_once(two: Index) -> None:
    assert {path: change.sort for path, change in changes(two).items()} == {
        "vllm.engine.LIMIT": "removed",
        "vllm.engine.Engine": "signature",
        "vllm.engine.pick": "moved",
        "vllm.engine.start": "signature",
        "vllm.engine.stop": "signature",
        "vllm.extra": "added",
        "vllm.extra.more": "added",
        "vllm.gone": "removed",
        "vllm.tools.Tool": "kind",
        "vllm.utils": "added",
        "vllm.utils.pick": "added",
        "vllm.utils.pick.pick": "added",
    }


def test_a_signature_that_takes_every_old_call_breaks_nothing(two: Index) -> None:
    found = changes(two)
    assert not found["vllm.engine.start"].breaking
    assert found["vllm.engine.stop"].breaking
    assert found["vllm.tools.Tool"].breaking
    assert [(call.old, call.new) for call in found["vllm.engine.stop"].calls] == [("(now)", "(when)")]


def test_a_moved_name_has_its_new_place(two: Index) -> None:
    new = changes(two)["vllm.engine.pick"].successor
    assert new is not None
    assert (new.module, new.name) == ("vllm.utils.pick", "pick")


def test_equal_releases_do_not_differ(two: Index) -> None:
    assert list(Comparison(two, "vllm", 1, 1).everything()) == []


def test_requirements_are_compared_by_distribution_and_extra(two: Index) -> None:
    assert [tuple(each) for each in requirement_changes(two, "vllm", 0, 1)] == [
        ("numpy", ("<2",), ()),
        ("pillow", (), ("any",)),
        ("torch", ("==2.8",), ("==2.9",)),
    ]


def test_options_are_compared_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = run(capsys, "vllm==0.10.0", "vllm==0.11.0", "--format", "json")
    options = json.loads(out)["options"]
    assert "--num-scheduler-steps" in options["removed"]
    assert "--structured-outputs-config" in options["added"]
    _, same = run(capsys, "vllm==0.11.0", "vllm==0.11.0", "--format", "json")
    assert json.loads(same)["options"] == {"removed": [], "added": []}


@pytest.mark.parametrize("switches", [(), (1,), (9,), (3, 4), (2, 5, 8)])
def test_the_boundaries_are_where_the_state_changes(switches: tuple[int, ...]) -> None:
    asked: list[int] = []

    def state(place: int) -> int:
        asked.append(place)
        return sum(place >= switch for switch in switches)

    assert [found.after for found in boundaries(10, state)] == list(switches)
    assert len(asked) == len(set(asked)) <= 2 + 4 * len(switches)


class TestCommands:
    """The command, on the shipped index and on repositories."""

    pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

    @pytest.fixture
    def repository(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Seven commits, of which the fifth renames a function that `use.py` imports."""
        monkeypatch.setenv("COMPAT_CACHE_DIR", str(tmp_path / "cache"))
        path = write_small_index(tmp_path, {"1.0": OLD})
        monkeypatch.setattr("compat.index.extended.SHIPPED", str(path))
        monkeypatch.setattr("compat.sources.opening.SHIPPED", str(path))
        repo = tmp_path / "repo"
        for number in range(1, 8):
            engine = ENGINE if number < 5 else ENGINE.replace("stop", "halt")
            commit(repo, source_of(OLD, **{"vllm/engine.py": f"{engine}N = {number}\n"}), f"change {number}")
        (tmp_path / "use.py").write_text("from vllm.engine import start, stop\n")
        monkeypatch.chdir(tmp_path)
        return repo

    def test_bisect_finds_the_first_commit_that_breaks_a_tree(
        self, repository: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        found = Repository(repository).commits("HEAD~6", "HEAD", "test")
        assert [each.subject for each in found] == [f"change {number}" for number in range(1, 8)]
        broken = CommitRange(Repository(repository), found, "vllm", "test").first_break(
            ["vllm.engine:start", "vllm.engine:stop"]
        )
        assert broken is not None
        assert (broken.commit.subject, broken.names) == ("change 5", ("vllm.engine:stop",))
        capsys.readouterr()

    def test_the_command_prints_the_commit_and_the_lines_that_break(
        self, repository: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, out = run(
            capsys, "--bisect", f"git+file:{repository}@HEAD~6..", "--used-by", "use.py", "--format", "json"
        )
        schema = json.loads((SCHEMAS / "diff-bisect.json").read_text(encoding="utf-8"))
        document = json.loads(out)
        Draft202012Validator(schema).validate(document)
        assert (code, document["commits"], document["first"]["subject"]) == (errors.FINDINGS, 7, "change 5")
        assert document["first"]["names"][0]["uses"] == [{"path": "use.py", "line": 1}]
        assert document["read"] < 7

    def test_nothing_is_broken_by_commits_that_only_add(self, repository: Path) -> None:
        found = Repository(repository).commits("HEAD~6", "HEAD~3", "test")
        assert (
            CommitRange(Repository(repository), found, "vllm", "test").first_break(["vllm.engine:stop"])
            is None
        )

    def test_a_range_that_goes_back_is_refused(self, repository: Path) -> None:
        with pytest.raises(errors.UsageError, match="not an ancestor"):
            Repository(repository).commits("HEAD", "HEAD~2", "test")


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    code = console.run(__main__.main, ["diff", *argv])
    return code, capsys.readouterr().out


def test_what_a_tree_uses_is_told_with_its_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    use = tmp_path / "use.py"
    use.write_text("import os\nfrom vllm.utils import FlexibleArgumentParser\nfrom vllm import LLM\n")
    code, out = run(capsys, "vllm==0.10.0", "vllm==0.12.0", "--used-by", str(use), "--format", "json")
    (change,) = [each for each in json.loads(out)["changes"] if each["name"] == "FlexibleArgumentParser"]
    assert code == errors.FINDINGS
    assert (change["change"], change["replacement"]["module"]) == ("moved", "vllm.utils.argparse_utils")
    assert change["uses"] == [{"path": str(use), "line": 2}]


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_every_format_tells_the_same_names(capsys: pytest.CaptureFixture[str], form: str) -> None:
    code, out = run(capsys, "0.15.0", "vllm==0.15.1", "--format", form)
    _, document = run(capsys, "0.15.0", "vllm==0.15.1", "--format", "json")
    told = [each for each in json.loads(document)["changes"] if each["change"] != "added"]
    assert told
    assert all(f"{each['module']}:{each['name']}".rstrip(":") in out for each in told)
    assert code == (errors.FINDINGS if any(each["breaking"] for each in told) else errors.CLEAN)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["0.15.0"], "name two releases"),
        (["99.0", "98.0"], "no package has these releases"),
        (["vllm==0.15.0", "sglang==0.5.0"], "compare two of one package"),
        (["./nowhere/", "0.15.0"], "does not exist"),
        (["--bisect", "git+file:.@HEAD"], "name one range"),
        (["--bisect", "git+file:.@HEAD~1..HEAD"], "pass --used-by"),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    assert console.run(__main__.main, ["diff", *argv]) == errors.USAGE
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
