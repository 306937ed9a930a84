"""What source files say about environment variables and options, and the data file of all releases."""

from pathlib import Path

import pytest

from compat.errors import IntegrityError
from compat.index.reader import Index
from compat.model.package_names import SGLANG, VLLM
from compat.settings.collect import SettingsCollector, write_settings
from compat.settings.extract import groups_of, read_settings
from compat.settings.names import module_program, subcommand
from compat.settings.releases import OPTIONS, VARIABLES, PackageSettings, read_packages


@pytest.mark.parametrize(
    ("source", "variables"),
    [
        ('os.environ.get("VLLM_A")', {"VLLM_A"}),
        ('x = os.environ["VLLM_A"]', {"VLLM_A"}),
        ('os.environ["VLLM_A"] = "1"', set()),
        ('del os.environ["VLLM_A"]', set()),
        ('os.environ.setdefault("VLLM_A", "1")', set()),
        ('x = os.environ.setdefault("VLLM_A", "1")', {"VLLM_A"}),
        ('m.setenv("VLLM_A", "1")', set()),
        ('env = {**os.environ, "VLLM_A": "1"}', set()),
        ('T = {"VLLM_A": lambda: os.getenv("VLLM_B")}', {"VLLM_A", "VLLM_B"}),
        ("class Envs:\n    SGLANG_A = EnvBool(False)", {"SGLANG_A"}),
        ("SGLANG_A = 1", set()),
        ('"""VLLM_A is read."""', set()),
        ('get_bool_env_var("SGLANG_A")', {"SGLANG_A"}),
        ('os.environ.get("CUDA_VISIBLE_DEVICES")', set()),
        ('x = ("VLLM_A"', set()),
    ],
)
def test_variables_that_a_file_reads(source: str, variables: set[str]) -> None:
    assert read_settings(source.encode(), options=False).variables == variables


def test_names_that_a_file_puts_together() -> None:
    source = b'x = os.getenv(f"VLLM_{a}_SIZE")\ny = k.replace("SGL_", "SGLANG_", 1)'
    found = read_settings(source, options=False)
    assert found.patterns == {"VLLM_*_SIZE"}
    assert found.renames == {("SGL_", "SGLANG_")}


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ('p.add_argument("--a-b", "-a")', {"--a-b"}),
        ('p.add_argument("--a_b")', {"--a-b"}),
        ("class ServerArgs:\n    tp_size: int = 1", {"--tp-size"}),
        ('class ServerArgs:\n    tp_size: A[int, Arg(aliases=["--tp"])] = 1', {"--tp-size", "--tp"}),
        ("class ServerArgs:\n    inner: A[int, Arg(no_cli=True)] = 1", set()),
        ('class Memory(Struct):\n    _NS_PATH = "memory"\n    page_size: int = 1', {"--page-size"}),
        ("class Other:\n    page_size: int = 1", set()),
        ('class Args:\n    a: int\n    b: int\np.add_argument("--a")\np.add_argument("--c")', {"--a", "--c"}),
        ('if "--omni" in sys.argv: pass', set()),
        ('p.add_argument("--x")\nif "--x" in sys.argv: pass', {"--x"}),
    ],
)
def test_options_that_a_file_defines(source: str, options: set[str]) -> None:
    assert read_settings(source.encode(), options=True).options == options
    assert read_settings(source.encode(), options=False).options == set()


def test_what_is_said_about_a_setting() -> None:
    source = b"""
p.add_argument("--old", help="Deprecated. Use --new instead.")
warn("VLLM_OLD is deprecated, use --new")
warn("VLLM_NEW is fast")
"""
    assert dict(read_settings(source, options=True).notes) == {
        "--old": "Deprecated. Use --new instead.",
        "VLLM_OLD": "VLLM_OLD is deprecated, use --new",
    }


def test_the_groups_of_files_and_programs() -> None:
    assert list(groups_of(VLLM, "vllm/entrypoints/openai/cli_args.py")) == ["server"]
    assert list(groups_of(SGLANG, "sglang/bench_serving.py")) == ["bench"]
    assert list(groups_of(SGLANG, "vllm/entrypoints/x.py")) == []
    assert subcommand(VLLM, "bench") is not None
    assert subcommand(VLLM, "collect-env") is None
    assert module_program("sglang.launch_server") is not None
    assert module_program("vllm.mine") is None


def package() -> PackageSettings:
    collector = SettingsCollector(VLLM)
    path = "vllm/engine/arg_utils.py"
    collector.add("0.1.0", {path: b'p.add_argument("--a")\nos.getenv("VLLM_A")'})
    collector.add("0.2.0", {path: b'p.add_argument("--b")\nwarn("--a was removed, use --b")'})
    collector.add("0.3.0", {path: b'p.add_argument("--a")\nos.getenv("VLLM_A")'})
    return collector.settings


def test_the_file_has_what_was_collected(tmp_path: Path) -> None:
    write_settings(tmp_path / "x.tsv", [package()])
    (read,) = read_packages(tmp_path / "x.tsv")
    assert (read.package, read.versions) == (VLLM, ["0.1.0", "0.2.0", "0.3.0"])
    assert read.found == {
        (f"{OPTIONS}server", "--a"): 0b101,
        (f"{OPTIONS}server", "--b"): 0b010,
        (VARIABLES, "VLLM_A"): 0b101,
    }
    assert read.notes == {"--a": "--a was removed, use --b"}
    assert read.of("0.2.0") == {(f"{OPTIONS}server", "--b")}
    before = (tmp_path / "x.tsv").read_bytes()
    write_settings(tmp_path / "x.tsv", [read])
    assert (tmp_path / "x.tsv").read_bytes() == before


@pytest.mark.parametrize("text", [None, "", "something else\n"])
def test_a_file_that_is_no_list_of_settings_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "x.tsv").write_text(text)
    with pytest.raises(IntegrityError, match=r"x\.tsv"):
        read_packages(tmp_path / "x.tsv")


def test_the_shipped_file_covers_the_releases_of_the_index() -> None:
    index = Index()
    for each in read_packages():
        assert tuple(each.versions) == tuple(index.versions(each.package))
        assert len(each.found) > 500
