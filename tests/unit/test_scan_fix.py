"""`compat scan --fix`: which imports it rewrites, which it keeps, and atomic replacement of files."""

import ast
import json
import stat
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from compat import errors
from compat.scan.cli import main

GPTQ = "vllm.model_executor.layers.quantization.gptq"
AUTO = "vllm.model_executor.layers.quantization.auto_gptq"
BASE = "vllm.entrypoints"
MOE = "vllm.model_executor.layers.fused_moe"
"""Its `FusedMoE` is a class up to 0.23.0, a function up to 0.26.0, and then called `FusedMoEFactory`."""
CLI = "vllm.entrypoints.openai.cli_args"
"""Its functions are in `….launchers.cli_args` from 0.29.0, in `….common.cli_args` in 0.33.0."""

LAUNCHERS = "vllm.entrypoints.launchers.cli_args"

OLD = f"from {GPTQ} import GPTQLinearMethod as G"
NEW = f"from {AUTO} import AutoGPTQLinearMethod as G"

Fix = Callable[..., str]


@pytest.fixture
def fix(tmp_path: Path) -> Fix:
    """Return a function that fixes source for some releases and returns the result.

    The successor of vllm's GPTQ class is a guess with a confidence of 0.54, so that its fix is unsafe.
    """

    def run(source: str, release: str, option: str = "--unsafe-fixes") -> str:
        path = tmp_path / "code.py"
        path.write_text(textwrap.dedent(source))
        main([str(tmp_path), "--vllm", release, option])
        changed = path.read_text()
        ast.parse(changed)
        main([str(tmp_path), "--vllm", release, option])
        assert path.read_text() == changed, "a second run changes something"
        return changed

    return run


def test_the_import_and_the_uses_are_renamed(fix: Fix) -> None:
    changed = fix(
        f"""
        # about it
        from {GPTQ} import GPTQLinearMethod  # why

        class Mine(GPTQLinearMethod):
            def f(self, x=GPTQLinearMethod):
                return GPTQLinearMethod.apply, "GPTQLinearMethod2"
        """,
        "0.23.0",
    )
    assert changed == textwrap.dedent(
        f"""
        # about it
        from {AUTO} import AutoGPTQLinearMethod  # why

        class Mine(AutoGPTQLinearMethod):
            def f(self, x=AutoGPTQLinearMethod):
                return AutoGPTQLinearMethod.apply, "GPTQLinearMethod2"
        """
    )


@pytest.mark.parametrize(
    "rest",
    [
        "AutoGPTQLinearMethod = 1",
        "__all__ = ['GPTQLinearMethod']",
        "def f():\n    AutoGPTQLinearMethod = 2\n    return GPTQLinearMethod",
        "if x:\n    GPTQLinearMethod = None",
    ],
)
def test_a_name_that_something_else_has_stays(fix: Fix, rest: str) -> None:
    changed = fix(f"from {GPTQ} import GPTQLinearMethod\n{rest}\n", "0.23.0")
    assert changed == f"from {AUTO} import AutoGPTQLinearMethod as GPTQLinearMethod\n{rest}\n"


def test_a_name_that_another_file_takes_stays(fix: Fix, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("from code import GPTQLinearMethod\n")
    changed = fix(f"from {GPTQ} import GPTQLinearMethod\n", "0.23.0")
    assert changed == f"from {AUTO} import AutoGPTQLinearMethod as GPTQLinearMethod\n"


def test_only_what_moved_leaves_its_statement(fix: Fix) -> None:
    source = """
        from vllm.entrypoints.openai.cli_args import (
            make_arg_parser as parser,  # one
            validate_parsed_serve_args,  # compat: ignore
        )
        from vllm import LLM
        """
    changed = fix(source, "0.29.0")
    assert changed == textwrap.dedent(
        """
        from vllm.entrypoints.openai.cli_args import (
            validate_parsed_serve_args,  # compat: ignore
        )
        from vllm.entrypoints.launchers.cli_args import (
            make_arg_parser as parser,  # one
        )
        from vllm import LLM
        """
    )


LAYOUTS = {
    "brackets": ("from {old} import (make_arg_parser)", "from {new} import (make_arg_parser)"),
    "lines": (
        """
        from {old} import (  # noqa: F401
            # the first
            make_arg_parser as make,  # one
            # the second
            validate_parsed_serve_args  # two
            # the end
        )  # after
        """,
    ),
    "backslashes": (
        "from {old} \\\n    import make_arg_parser, \\\n        validate_parsed_serve_args as v\n",
    ),
    "spaces": ("from  {old}  import  make_arg_parser  as  make,validate_parsed_serve_args  # x\n",),
    "two on a line": (
        "from {old} import (\n    make_arg_parser, validate_parsed_serve_args,\n    # none\n)\n",
    ),
    "in a block": (
        "if x:\n  from {old} import (\n      make_arg_parser,  # a\n\n      validate_parsed_serve_args)\n",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_an_import_that_moves_as_a_whole_keeps_its_layout(fix: Fix, layout: tuple[str, ...]) -> None:
    source, expected = textwrap.dedent(layout[0]), textwrap.dedent(layout[-1])
    changed = fix(source.format(old=CLI), "0.29.0")
    assert changed == expected.format(new=LAUNCHERS, old=LAUNCHERS)


def test_each_part_of_a_split_import_keeps_its_comments(fix: Fix) -> None:
    changed = fix(
        """
        from vllm.utils import (
            # stays
            is_list_of,  # compat: ignore

            # goes
            FlexibleArgumentParser,  # parser
            # stays, too
            cdiv  # compat: ignore
        )  # noqa: F401
        """,
        "0.33.0",
    )
    assert changed == textwrap.dedent(
        """
        from vllm.utils import (
            # stays
            is_list_of,  # compat: ignore
            # stays, too
            cdiv  # compat: ignore
        )  # noqa: F401
        from vllm.utils.argparse_utils import (
            # goes
            FlexibleArgumentParser  # parser
        )  # noqa: F401
        """
    )


def test_what_stays_of_one_line_in_brackets_follows_the_bracket_at_once(fix: Fix) -> None:
    changed = fix("from vllm.utils import (FlexibleArgumentParser, random_uuid)\n", "0.11.1")
    assert "import (random_uuid)" in changed


def test_every_alternative_has_the_layout_and_the_comment_for_tools(fix: Fix) -> None:
    changed = fix(f"from {CLI} import (\n    make_arg_parser,  # one\n)  # noqa: F401\n", ">=0.28.0,<0.33")
    assert changed == textwrap.dedent(
        f"""\
        try:
            from {LAUNCHERS} import (
                make_arg_parser,  # one
            )  # noqa: F401
        except ImportError:
            from {CLI} import (
                make_arg_parser,  # one
            )  # noqa: F401
        """
    )


def test_a_private_name_that_moved_is_changed_as_well(fix: Fix) -> None:
    """A successor that is private as well is a note, which does not prevent the fix."""
    changed = fix("from vllm.utils import _generate_random_fp8\n", "0.23.0")
    assert changed == "from vllm.utils.torch_utils import _generate_random_fp8\n"


def test_for_a_range_the_alternatives_are_tried_in_turn(fix: Fix) -> None:
    changed = fix(
        f"""
        def f():
          from {CLI} import make_arg_parser as make, validate_parsed_serve_args
          return make
        """,
        ">=0.28.0",
    )
    assert changed == textwrap.dedent(
        f"""
        def f():
          try:
            from {BASE}.common.cli_args import make_arg_parser as make, validate_parsed_serve_args
          except ImportError:
            try:
              from {BASE}.launchers.cli_args import make_arg_parser as make, validate_parsed_serve_args
            except ImportError:
              from {CLI} import make_arg_parser as make, validate_parsed_serve_args
          return make
        """
    )


STYLED = f"""
import vllm
from packaging import version
if version.parse(vllm.__version__) >= version.parse("0.20"):
    from vllm import LLM as x
from {GPTQ} import GPTQLinearMethod  # why
"""
GUARDED = f"""
import vllm
from packaging import version
if version.parse(vllm.__version__) >= version.parse("0.20"):
    from vllm import LLM as x
if version.parse(vllm.__version__) >= version.parse("0.22.0"):
    from {AUTO} import AutoGPTQLinearMethod as GPTQLinearMethod
else:
    from {GPTQ} import GPTQLinearMethod  # why
"""


@pytest.mark.parametrize("release", [">=0.21.0,<0.24", ">=0.19.0,!=0.22.0,!=0.22.1,<0.24"])
def test_for_a_range_the_test_that_the_file_has_is_written(fix: Fix, release: str) -> None:
    """The test names the release in which the name is new, even if that release is not scanned."""
    assert fix(STYLED, release) == GUARDED


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ('Version("0.20") <= Version(vllm.__version__)', 'Version(vllm.__version__) >= Version("0.22.0")'),
        (
            "x and Version(vllm.__version__) < Version('0.20')",
            "Version(vllm.__version__) >= Version('0.22.0')",
        ),
        ('not Version(version("vllm")) > Version("0.20")', 'Version(version("vllm")) >= Version("0.22.0")'),
        ('vllm_at_least("0.20")', 'vllm_at_least("0.22.0")'),
    ],
)
def test_every_form_of_version_test_is_adopted(fix: Fix, given: str, written: str) -> None:
    head = (
        "import vllm\nfrom importlib.metadata import version\nfrom packaging.version import Version\n"
        "def vllm_at_least(x):\n    return Version(vllm.__version__) >= Version(x)\nx = 1\n"
        f"if {given}:\n    from vllm import LLM\n"
    )
    changed = fix(f"{head}def f():\n    from {GPTQ} import GPTQLinearMethod as G\n", ">=0.21.0,<0.24")
    assert changed == f"{head}def f():\n    if {written}:\n        {NEW}\n    else:\n        {OLD}\n"


@pytest.mark.parametrize(
    ("order", "have"),
    [("{test}{use}", "vllm_is"), ("{use}{test}", "Version(vllm.__version__)")],
)
def test_a_variable_is_used_where_it_is_bound_and_its_value_before(fix: Fix, order: str, have: str) -> None:
    head = "import vllm\nfrom packaging.version import Version\n"
    test = "vllm_is = Version(vllm.__version__)\nif vllm_is >= Version('0.20'):\n    from vllm import LLM\n"
    written = f"if {have} >= Version('0.22.0'):\n    {NEW}\nelse:\n    {OLD}\n"
    changed = fix(head + order.format(test=test, use=f"{OLD}\n"), ">=0.21.0,<0.24")
    assert changed == head + order.format(test=test, use=written)


def test_two_releases_separate_three_locations(fix: Fix) -> None:
    head = "import vllm\nif vllm.__version__ >= '0.28.0':\n    from vllm import LLM\n"
    changed = fix(f"{head}from {CLI} import make_arg_parser\n", ">=0.28.0")
    assert changed == head + textwrap.dedent(
        f"""\
        if vllm.__version__ >= '0.33.0':
            from {BASE}.common.cli_args import make_arg_parser
        elif vllm.__version__ >= '0.29.0':
            from {BASE}.launchers.cli_args import make_arg_parser
        else:
            from {CLI} import make_arg_parser
        """
    )


@pytest.mark.parametrize(
    "head",
    [
        "",  # nothing is asked
        "import vllm\nif vllm.__version__ == '0.20':\n    from vllm import LLM\n",  # not which is newer
        "import vllm\nif vllm.__version__ >= '0.20':\n    x = 1\n",  # no import depends on it
        "import vllm\nif vllm.__version__ >= '0':\n    from vllm import LLM\n",
        "def f():\n    import vllm as v\n    if v.__version__ >= '0.20':\n        from vllm import LLM\n",
    ],
)
def test_without_a_test_to_take_over_the_alternatives_are_tried(fix: Fix, head: str) -> None:
    changed = fix(f"{head}{OLD}\n", ">=0.21.0,<0.24")
    assert changed == f"{head}try:\n    {NEW}\nexcept ImportError:\n    {OLD}\n"


def test_a_test_that_would_be_wrong_is_not_written(fix: Fix) -> None:
    head = "import vllm\nif vllm.__version__ >= '0.9.0':\n    from vllm import LLM\n"
    changed = fix(f"{head}{OLD}\n", ">=0.9.2,<0.24")  # as texts '0.9.2' is the larger
    assert changed == f"{head}try:\n    {NEW}\nexcept ImportError:\n    {OLD}\n"


def test_a_file_without_a_style_gets_that_of_the_tree(fix: Fix, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(STYLED.rpartition("from")[0])
    changed = fix(f"import os\n{OLD}\n", ">=0.21.0,<0.24")
    assert changed == (
        "import os\nimport vllm\nfrom packaging import version\n"
        'if version.parse(vllm.__version__) >= version.parse("0.22.0"):\n'
        f"    {NEW}\nelse:\n    {OLD}\n"
    )


@pytest.mark.parametrize("more", ["tried", "taken"])
def test_the_style_of_the_tree_is_left_where_it_does_not_fit(fix: Fix, tmp_path: Path, more: str) -> None:
    (tmp_path / "other.py").write_text(STYLED.rpartition("from")[0])
    head = ""
    if more == "tried":
        (tmp_path / "third.py").write_text("try:\n    from vllm import LLM\nexcept ImportError:\n    pass\n")
    else:
        head = "version = 1\n"
    changed = fix(f"{head}{OLD}\n", ">=0.21.0,<0.24")
    assert changed == f"{head}try:\n    {NEW}\nexcept ImportError:\n    {OLD}\n"


def test_a_module_under_another_name_is_moved(fix: Fix) -> None:
    changed = fix(f"import {CLI} as args\nargs.make_arg_parser\n", "0.33.0")
    assert changed == "from vllm.entrypoints.common import cli_args as args\nargs.make_arg_parser\n"


@pytest.mark.parametrize(
    ("source", "release"),
    [
        (f"try:\n    {NEW}\nexcept ImportError:\n    {OLD}\n", ">=0.20"),
        (f"try:\n    {OLD}\nexcept ImportError:\n    G = None\n", "0.23.0"),
        (f"from {GPTQ} import GPTQLinearMethod; x = 1\n", "0.23.0"),
        (f"import {CLI}\n{CLI}.make_arg_parser\n", "0.33.0"),
        (f"from {GPTQ} import GPTQLinearMethod  # compat: ignore\n", "0.23.0"),
        (f"from {GPTQ} import GPTQLinearMethod\n", "0.21.0"),
    ],
)  # fmt: skip
def test_what_works_or_has_another_form_is_left(fix: Fix, source: str, release: str) -> None:
    assert fix(source, release) == source


@pytest.mark.parametrize(
    ("source", "release", "reason"),
    [
        (f"from {GPTQ} import GPTQLinearMethod\n", "0.33.0", "a guess with a confidence of 0.54"),
        ("from vllm.worker.worker import Worker\n", "0.23.0", "the successor has another signature"),
        ("from vllm.core.block.interfaces import Block\n", "0.33.0", "may be a different object"),
        ("from vllm.attention import Attention\n", "0.33.0", "the successor has another signature"),
        (f"from {MOE} import FusedMoE\n", "0.33.0", "a class became a function"),
    ],
)
def test_an_unsafe_fix_is_written_only_on_request(
    fix: Fix, capsys: pytest.CaptureFixture[str], source: str, release: str, reason: str
) -> None:
    assert fix(source, release, "--fix") == source
    told = capsys.readouterr().err
    assert "unsafe: " in told
    assert reason in told
    assert "(1 with --unsafe-fixes)" in told
    assert fix(source, release) != source


@pytest.mark.parametrize("release", ["0.33.0", ">=0.22"])
@pytest.mark.parametrize(
    "use",
    [
        "class Mine(FusedMoE): ...",
        "class Mine(FusedMoE[int]): ...",
        "isinstance(x, FusedMoE)",
        "isinstance(x, (int, FusedMoE))",
        "FusedMoE.make_expert_params_mapping()",
        "def f(x: type[FusedMoE]): ...",
    ],
)
def test_a_function_is_never_written_where_a_class_is_needed(fix: Fix, use: str, release: str) -> None:
    source = f"from {MOE} import FusedMoE\n{use}\n"
    assert fix(source, release) == source


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # The origin of the first two is in place, that of the others moved.
        ("from vllm.sequence import Logprob", "from vllm.logprobs import Logprob"),
        ("from vllm.sequence import (SamplingParams)", "from vllm.sampling_params import (SamplingParams)"),
        ("from vllm.attention import AttentionType", "from vllm.v1.attention.backend import AttentionType"),
        (
            "from vllm.attention.layer import AttentionType as T",
            "from vllm.v1.attention.backend import AttentionType as T",
        ),
    ],
)
def test_a_re_export_that_is_gone_follows_its_origin(fix: Fix, old: str, new: str) -> None:
    assert fix(f"{old}\n", "0.33.0", "--fix") == f"{new}\n"


@pytest.mark.parametrize("path", [MOE, f"{MOE}.layer", "vllm.model_executor.layers.fused_moe.layer"])
def test_what_one_path_is_refused_is_not_written_through_another(fix: Fix, path: str) -> None:
    source = f"from {path} import FusedMoE\nclass Mine(FusedMoE): ...\n"
    assert fix(source, "0.33.0") == source


def test_a_file_keeps_encoding_line_ends_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    head = "# -*- coding: latin-1 -*-\r\nx = 'é'\r\n".encode("latin-1")
    path.write_bytes(head + f"from {GPTQ} import GPTQLinearMethod\r\n".encode())
    path.chmod(0o755)
    assert main([str(path), "--vllm", "0.23.0", "--fix", "--unsafe-fixes"]) == errors.CLEAN
    assert path.read_bytes() == head + f"from {AUTO} import AutoGPTQLinearMethod\r\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_diff_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "code.py"
    source = f"from {GPTQ} import GPTQLinearMethod"
    path.write_text(source)
    assert main([str(path), "--vllm", "0.23.0", "--diff", "--unsafe-fixes"]) == errors.FINDINGS
    assert path.read_text() == source
    lines = capsys.readouterr().out.splitlines()
    assert f"-{source}" in lines
    assert f"+from {AUTO} import AutoGPTQLinearMethod" in lines


def test_a_file_that_cannot_be_written_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "code.py"
    source = f"from {GPTQ} import GPTQLinearMethod\n"
    path.write_text(source)

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        main([str(path), "--vllm", "0.23.0", "--unsafe-fixes"])
    assert path.read_text() == source
    assert [each.name for each in tmp_path.iterdir()] == ["code.py"]


def test_fixable_findings_are_reported_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "code.py"
    old = (
        "vllm.utils import FlexibleArgumentParser",
        f"{GPTQ} import GPTQLinearMethod",
        "vllm.nowhere import X",
    )
    path.write_text("".join(f"from {each}\n" for each in old))
    main([str(path), "--vllm", "0.23.0", "--format", "json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [(each["fixable"], each["safety"]) for each in found] == [
        (True, "safe"),
        (False, "unsafe"),
        (False, None),
    ]
    assert [each["replacement"] and each["replacement"]["safety"] for each in found] == [
        "safe",
        "unsafe",
        None,
    ]
