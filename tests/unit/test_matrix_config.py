import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from compat.errors import NothingSelectedError, UsageError
from compat.matrix.config import Matrix, folded, read_matrix

ROOT = Path(__file__).parents[2]

COVERING = ("*", "*:*", "vllm*", "vllm.*", "vllm.*:*", "?glang.*", "[!m]*", "s*", "sgl*[.]*")

WHOLE = """
[defaults]
python = "3.11"

[[pair]]
id = "seed"
sglang = "0.4.7"
sglang-extras = ["srt"]
vllm = "0.9.0.1"
overrides = { torch = "==2.7.1", cuda_tile = "; sys_platform == 'never'" }
expect = [
    { location = "m:*", reason = "why", link = "there", when = "cuda" },
    { location = "n", reason = "why not" },
]

[[pair]]
id = "vllm-alone"
vllm = "0.9.0.1"
python = "3.12"
"""


def read(text: str, tmp_path: Path) -> Matrix:
    path = tmp_path / "matrix.toml"
    path.write_text(text)
    return read_matrix(path)


def test_every_key_is_read(tmp_path: Path) -> None:
    seed, alone = read(WHOLE, tmp_path).pairs
    assert (seed.id, seed.python, seed.sglang, seed.vllm) == (
        "seed",
        "3.11",
        Version("0.4.7"),
        Version("0.9.0.1"),
    )
    assert seed.sglang_extras == ("srt",)
    assert dict(seed.overrides) == {"torch": "==2.7.1", "cuda-tile": "; sys_platform == 'never'"}
    assert [(entry.location, entry.reason, entry.link, entry.when) for entry in seed.expect] == [
        ("m:*", "why", "there", "cuda"),
        ("n", "why not", "", "always"),
    ]
    assert (alone.sglang, alone.vllm, alone.python) == (None, Version("0.9.0.1"), "3.12")


def test_the_matrix_of_this_project_is_valid() -> None:
    assert "seed-alone" in read_matrix(ROOT / "matrix.toml").ids


PAIR = '[[pair]]\nid = "a"\npython = "3.11"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "pair: the matrix is empty"),
        ('pair = "seed"', "pair: must be an array"),
        pytest.param(f"pair = {'[' * 100_000}", "not valid TOML", id="nested"),
        ("pair = [1]", "pair[0]: must be a table"),
        ("[[pairs]]\n", 'pairs: unknown key (did you mean "pair"?)'),
        ("[default]\n", 'default: unknown key (did you mean "defaults"?)'),
        ('[defaults]\npythn = "3.11"', 'defaults.pythn: unknown key (did you mean "python"?)'),
        ("[defaults]\npython = 3.11", "defaults.python: must be a string"),
        ('[defaults]\npython = "three"', "defaults.python: 'three' is not a Python version"),
        ('[[pair]]\nvllm = "1"', "pair[0].id: is missing"),
        ('[[pair]]\nid = ""\n', "pair[0].id: must be a string"),
        ('[[pair]]\nid = "../a"\n', "pair[0].id: '../a' must consist of"),
        ('[[pair]]\nid = "a"\nvllm = "1"\n', "pair[0].python: is missing"),
        (f'{PAIR}vlm = "1"', 'pair[0].vlm: unknown key (did you mean "vllm"?)'),
        (f'{PAIR}colour = "1"', "pair[0].colour: unknown key (known: id, python"),
        (PAIR, "pair[0]: names no release"),
        (f'{PAIR}vllm = "one"', "pair[0].vllm: 'one' is not a version"),
        (f"{PAIR}sglang = 1", "pair[0].sglang: must be a string"),
        (f'{PAIR}vllm = "1"\nsglang-extras = ["srt"]', "pair[0].sglang-extras: the pair has no sglang"),
        (f'{PAIR}sglang = "1"\nsglang-extras = "srt"', "pair[0].sglang-extras: must be an array"),
        (
            f'{PAIR}sglang = "1"\nsglang-extras = ["a b"]',
            "pair[0].sglang-extras: 'a b' is not a package name",
        ),
        (f'{PAIR}vllm = "1"\noverrides = ["torch"]', "pair[0].overrides: must be a table"),
        (f'{PAIR}vllm = "1"\noverrides = {{ torch = "2.7" }}', "pair[0].overrides.torch: '2.7' is no"),
        (
            f'{PAIR}vllm = "1"\noverrides = {{ torch = "@ file:///tmp/torch.whl" }}',
            "pair[0].overrides.torch: '@ file:///tmp/torch.whl' is a URL; give a specifier, a marker or both",
        ),
        (
            f'{PAIR}vllm = "1"\noverrides = {{ torch = "[a] @ git+ssh://h/r ; python_version > \'3\'" }}',
            "is a URL",
        ),
        (
            f'{PAIR}vllm = "1"\noverrides = {{ torch = "==2\\n--index-url http://h" }}',
            "is not a version specifier",
        ),
        (f'{PAIR}vllm = "1"\noverrides = {{ torch = 2 }}', "pair[0].overrides.torch: must be a string"),
        (
            f'{PAIR}vllm = "1"\noverrides = {{ "a b" = "==2" }}',
            "pair[0].overrides.a b: 'a b' is not a package name",
        ),
        (f'{PAIR}vllm = "1"\noverrides = {{ a_b = "==2", a-b = "==2" }}', "a-b: a-b is overridden twice"),
        (f'{PAIR}vllm = "1"\nexpect = ["m"]', "pair[0].expect[0]: must be a table"),
        (f'{PAIR}vllm = "1"\nexpect = [{{ location = "m" }}]', "pair[0].expect[0].reason: is missing"),
        (
            f'{PAIR}vllm = "1"\nexpect = [{{ location = "m", reson = "r" }}]',
            'pair[0].expect[0].reson: unknown key (did you mean "reason"?)',
        ),
        (
            f'{PAIR}vllm = "1"\nexpect = [{{ location = "m", reason = "r", when = "no_cuda" }}]',
            "pair[0].expect[0].when: 'no_cuda' is unknown (did you mean \"no-cuda\"?)",
        ),
        *(
            (
                f'{PAIR}vllm = "1"\nexpect = [{{ location = "{location}", reason = "r" }}]',
                f"pair[0].expect[0].location: {location!r} covers every name or layer of ",
            )
            for location in (
                "*",
                "*:*",
                "vllm*",
                "vllm.*",
                "vllm.*:*",
                "?glang.*",
                "[!m]*",
                "s*",
                "sgl*[.]*",
                "layer:*",
                "layer:vllm/*",
            )
        ),
        (
            f'{PAIR}vllm = "1"\nexpect = [{{ location = "m", reason = "r", spreads = 1 }}]',
            "pair[0].expect[0].spreads: must be true or false",
        ),
        (
            f'{PAIR}vllm = "1"\nexpect = [{{ location = "m:*", reason = "r", spreads = true }}]',
            "pair[0].expect[0].location: 'm:*' is not a module",
        ),
        (f'{PAIR}vllm = "1"\n{PAIR}vllm = "2"', "pair[1].id: 'a' is a duplicate of pair[0].id"),
        (
            '[defaults]\npython = "3.11"\n[[pair]]\nid = "a.b"\nvllm = "1"\n[[pair]]\nid = "A-b"\nvllm = "2"',
            "pair[1].id: 'A-b' differs only in punctuation or case from 'a.b' in pair[0].id",
        ),
        ("[[pair]", "not valid TOML"),
    ],
)
def test_a_mistake_is_reported_with_its_key_path(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(text, tmp_path)
    assert str(caught.value).startswith("matrix.toml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_matrix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a directory; give --matrix a file"):
        read_matrix(tmp_path)


def test_the_error_of_a_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml: no such file"):
        read_matrix(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("patterns", "ids"),
    [
        (["seed"], ["seed"]),
        (["vllm-alone", "seed"], ["seed", "vllm-alone"]),
        (["*"], ["seed", "vllm-alone"]),
        (["s*", "seed"], ["seed"]),
        (["*-alone"], ["vllm-alone"]),
    ],
)
def test_ids_and_globs_select_in_the_order_of_the_file(
    patterns: list[str], ids: list[str], tmp_path: Path
) -> None:
    assert [pair.id for pair in read(WHOLE, tmp_path).select(patterns)] == ids


def test_a_selector_that_matches_nothing_is_an_error_with_the_nearest_id(tmp_path: Path) -> None:
    matrix = read(WHOLE, tmp_path)
    with pytest.raises(UsageError, match=r"'sed' matches no pair .*did you mean \"seed\""):
        matrix.select(["seed", "sed"])
    with pytest.raises(NothingSelectedError, match="seed, vllm-alone"):
        matrix.select([])


def test_folding_is_that_of_nox() -> None:
    assert folded("Torch_2.11 x") == "torch-2-11-x"


def test_reading_the_matrix_needs_packaging_only() -> None:
    code = (
        "import json, sys, pathlib; from compat.matrix.config import read_matrix;"
        "read_matrix(pathlib.Path('matrix.toml')); print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)} - set(sys.stdlib_module_names)
    foreign = {name for name in loaded if not name.startswith("_")}  # such as a debugger's or a site's hooks
    assert foreign <= {"compat", "packaging", "tomli"}
    assert {"compat", "packaging"} <= foreign
