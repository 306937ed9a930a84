"""Every parser of text from outside reads or refuses what it gets, with work proportional to its length.

Work is counted in function calls. That regular expressions are linear as well is decided in test_patterns.py.
"""

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compat.bundle.provided import read_provided
from compat.errors import UsageError
from compat.explain.engine import explain
from compat.locks.lockfile import lock_paths, parse_requirements, read_lock
from compat.matrix.model.outcome import Cell, read_any_outcome, read_outcome
from compat.scan.cli import main as scan
from compat.scan.releases.project_pins import pinned_specifiers
from compat.scan.settings.kinds import Kind
from compat.scan.settings.programs import option_uses
from compat.scan.settings.readers import contents
from compat.scan.sources.discovery import Unreadable
from compat.scan.sources.notebook import code_of
from counting import calls

PINS = (
    "vllm",
    "sglang[srt]",
    " " * 40,
    "==0.9.0",
    ">=",
    "!1",
    ",",
    "\n",
    '"',
    "'",
    "[",
    "dependencies = ",
    "FROM vllm/vllm-openai:v0.9.0\n",
    "ARG X=${X:-${",
    "${X}",
    "git+https://x/vllm@v0.9.0",
    "vllm @ https://x/vllm-0.9.0-",
    "# comment\n",
    "install_requires=",
    "vllm==0.9.0 \\\n",
)
FILES = ("pyproject.toml", "setup.cfg", "setup.py", "requirements.txt", "Dockerfile")


def pins_of(name: str, text: str) -> Callable[[], object]:
    def read() -> object:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, name).write_text(text, encoding="utf-8")
            return pinned_specifiers(folder, [])

    return read


def grows_linearly(work: Callable[[int], Callable[[], object]], times: int = 100) -> None:
    """Check that four times the input is about four times the work."""
    work(4 * times)()  # what is loaded or compiled once
    assert calls(work(4 * times)) <= 4.3 * calls(work(times)) + 500


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("piece", PINS)
def test_the_work_for_pins_grows_with_the_file(name: str, piece: str) -> None:
    grows_linearly(lambda times: pins_of(name, f"vllm==0.9.0\n{piece * times}"))


SCRIPTS = (
    "$(", "${", "`", '"', "'a", "<<A\n", "<a", "A=(", "\\\n", "--x ", "vllm serve m \\\n --x", '"a b ',
    "VLLM_USE_V1=$VLLM_USE_V1 ", "export VLLM_USE_V1=1 ", "command: [\n", "- a\n", "run: |\n", "RUN [\n",
    "RUN a \\\n#\n", "```\n", "command: a\n", "A=(--x)\nvllm serve $A\n", "vllm serve a |",
    "- name: a\n  args:\n  - b\n",
)  # fmt: skip
KINDS: tuple[Kind, ...] = ("shell", "dockerfile", "yaml", "markdown", "make", "env")


def settings_of(kind: Kind, text: str) -> Callable[[], object]:
    return lambda: [(each.variables(), option_uses(each.commands())) for each in contents(kind, text)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("piece", SCRIPTS)
def test_the_work_for_a_script_grows_with_the_file(kind: Kind, piece: str) -> None:
    grows_linearly(lambda times: settings_of(kind, f"```sh\n{piece * times}\n```\n"), 200)


@given(text=st.lists(st.sampled_from(SCRIPTS), max_size=30).map("".join), kind=st.sampled_from(KINDS))
def test_any_script_is_read(text: str, kind: Kind) -> None:
    for each in contents(kind, text):
        for use in option_uses(each.commands()):
            assert text.startswith(use.option[:3], use.word.start)


def test_a_requirement_of_many_spaces(tmp_path: Path) -> None:
    project = '[project]\nname = "a"\ndependencies = ["vllm' + " " * 16_000 + '==0.9.0"]\n'
    (tmp_path / "pyproject.toml").write_text(project)
    assert pinned_specifiers(str(tmp_path)) == {"vllm": {"==0.9.0": "pyproject.toml"}}


@given(
    st.sampled_from(FILES), st.lists(st.sampled_from(PINS) | st.text(max_size=5), max_size=20).map("".join)
)
def test_any_file_of_requirements_is_read(name: str, text: str) -> None:
    pins_of(name, text.encode(errors="replace").decode())()


LISTS = (
    "torch==2.7.0",
    "a @ file:///x",
    "name   1.0  /src",
    " " * 30,
    "\n",
    "*",
    "# c",
    "-e x",
    "[",
    "{",
    "=",
    ";",
)


@given(st.lists(st.sampled_from(LISTS) | st.text(max_size=4), max_size=20).map("".join))
def test_any_list_of_provided_packages_is_read_or_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "list")
        path.write_text(text.encode(errors="replace").decode(), encoding="utf-8")
        try:
            read_provided(path)
        except UsageError as error:
            assert "\n" not in str(error).replace("\\n", "")  # noqa: PT017 -- any message is right


LOCKED = (
    "torch==2.7.0",
    " \\\n",
    "    --hash=sha256:" + "0" * 64,
    "\n",
    " " * 30,
    "--hash=",
    "# c\n",
    ";",
    "==",
)


@pytest.mark.parametrize("piece", LOCKED)
def test_the_work_for_a_lock_grows_with_the_file(piece: str) -> None:
    def work(times: int) -> Callable[[], object]:
        def read() -> None:
            with pytest.raises(UsageError):
                parse_requirements(f"torch==2.7.0 {piece * times}\nx", "here")

        return read

    grows_linearly(work)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def changed(document: Any, data: st.DataObject) -> Any:
    """Return a document of which one value, at any depth, is another one or missing."""
    if isinstance(document, dict) and document and data.draw(st.integers(0, 3)):
        key = data.draw(st.sampled_from(sorted(document)))
        if data.draw(st.integers(0, 4)) == 0:
            return {name: value for name, value in document.items() if name != key}
        return {**document, key: changed(document[key], data)}
    return data.draw(JSON)


LOCK = Path(__file__).parents[2] / "locks" / "seed.json"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_lock_is_read_or_refused(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        text_path, json_path = lock_paths("seed", Path(name))
        text_path.write_bytes(LOCK.with_suffix(".txt").read_bytes())
        json_path.write_text(json.dumps(changed(json.loads(LOCK.read_text()), data)))
        try:
            read_lock("seed", Path(name))
        except UsageError as error:
            assert 'run "python -m compat.pairs lock seed"' in str(error)  # noqa: PT017 -- any other reason is right


OUTCOME = {
    "schema": 1, "pair_id": "one", "level": "import", "state": "passed", "reason": "",
    "counts": {"modules": 2, "listed": 9, "imported": 8, "checked": 7, "conditional": 2},
    "layers": {"vllm": {"built": 3, "refused": 1}},
    "machine": {"python": "3.11.7", "driver": ""}, "seconds": 12.5, "peak_bytes": 9,
    "digests": {"pair": "a", "lock": "b", "index": "c", "probe": "d"},
    "disagreements": [{"location": "m:f", "expected": "a", "observed": "b"}],
}  # fmt: skip


@settings(deadline=None)
@given(st.data())
def test_any_outcome_is_read_or_has_failed(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "one-import")
        folder.mkdir()
        (folder / "outcome.json").write_text(json.dumps(changed(OUTCOME, data)))
        found = read_outcome(folder / "outcome.json", Cell(pair_id="one"))
        assert found.passed or found.reason
        json.dumps(found.document(), allow_nan=False)
        assert read_any_outcome(folder).passed == found.passed


def test_the_work_for_an_outcome_grows_with_the_file(tmp_path: Path) -> None:
    entry = {"location": "m:f", "expected": "a", "observed": "b"}

    def work(times: int) -> Callable[[], object]:
        path = tmp_path / f"{times}.json"
        path.write_text(
            json.dumps(OUTCOME | {"state": "failed", "reason": "x", "disagreements": [entry] * times})
        )
        return partial(read_outcome, path, Cell(pair_id="one"))

    grows_linearly(work)


CELLS = (
    "import vllm\n",
    "x = 1",
    "!ls",
    "%time ",
    "%%bash\n",
    "?",
    "(",
    ")",
    '"',
    "'",
    '"""',
    "\\",
    "\n",
    " " * 20,
)


@pytest.mark.parametrize("piece", CELLS)
def test_the_work_for_a_notebook_grows_with_its_cells(piece: str) -> None:
    def work(times: int) -> Callable[[], object]:
        cells = [
            {"cell_type": "code", "source": piece * times},
            *({"cell_type": "code", "source": [piece, "!ls\n"]} for _ in range(times)),
        ]
        return partial(code_of, json.dumps({"cells": cells}).encode())

    grows_linearly(work)


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(CELLS), max_size=8).map("".join) | JSON, max_size=5))
def test_any_notebook_is_read_or_refused(sources: list[Any]) -> None:
    document = {"cells": [{"cell_type": "code", "source": source} for source in sources]}
    try:
        found = code_of(json.dumps(document).encode())
    except Unreadable:
        return
    assert len(found.origins) == found.data.count(b"\n") + bool(found.origins)


@pytest.mark.parametrize(
    "line",
    [
        "import vllm.nothing{}\n",
        "from vllm.nothing{} import x{}\n",
        "import nothing{}\n",
        "import vllm\nvllm.x{}\n",
        "def f{}():\n    import vllm.nothing{}\nf{}()\n",
        "class A{}:\n    @property\n    def f{}(self):\n        import vllm.nothing{}\n",
        "try:\n    import vllm.nothing{}\nexcept ImportError:\n    x{} = 1\n",
    ],
)
def test_the_work_of_a_scan_grows_with_the_imports(line: str, tmp_path: Path) -> None:
    """Thousands of imports of modules that do not exist took minutes."""

    def work(times: int) -> Callable[[], object]:
        path = tmp_path / f"{times}.py"
        path.write_text("".join(line.replace("{}", str(number)) for number in range(times)))
        return partial(scan, [str(path), "--vllm", "0.23.0", "--output", str(tmp_path / "out")])

    grows_linearly(work)


@pytest.mark.parametrize(
    "call", ['.replace("a", "aaaaaaaaaa")', ".ljust(10**9)", ".zfill(10**9)", " * 10**6 * 2"]
)
def test_what_a_scan_computes_has_a_bound(call: str, tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "a.py"
    path.write_text(
        f'import vllm\nx = "a"\nif x{call * 9} == vllm.__version__:\n    import vllm.worker.worker\n'
    )
    tracemalloc.start()
    scan([str(path), "--vllm", "0.23.0", "--output", str(tmp_path / "out")])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000_000


def test_a_requirement_of_many_parts_in_a_log() -> None:
    """The work of this line grew with the sixth power of its length."""
    line = "ImportError: vllm 0.9.0 requires torch" + ",a" * 2000 + " but you have\n"
    assert explain([line.encode() * 50])


def test_a_project_file_that_is_nested_too_deeply_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text(f"# vllm\nx = {'[' * 50_000}\n")
    (tmp_path / "a.py").write_text("import vllm.worker.worker\n")
    assert scan([str(tmp_path), "--vllm", "0.23.0"]) == 1
    assert "Traceback" not in capsys.readouterr().err
