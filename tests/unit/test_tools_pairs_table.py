"""The table in `docs/pairs.md` is the one that the command prints."""

import json
from pathlib import Path

import pytest

from compat import errors
from compat._cli import console
from pairs_table import main

PAGE = Path(__file__).parents[2] / "docs" / "pairs.md"


def test_the_page_holds_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.run(main, []) == errors.CLEAN
    printed = capsys.readouterr().out
    assert printed.count("\n") > 50
    assert printed in PAGE.read_text(encoding="utf-8"), "write it anew: python tools/pairs_table.py"


def test_json_has_one_pair_for_each_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.run(main, ["--since", "0.5.20", "--format", "json"]) == errors.CLEAN
    pairs = json.loads(capsys.readouterr().out)["pairs"]
    assert {"sglang": "0.5.21", "vllm": "0.29.0"} in pairs
    assert pairs[0]["sglang"] == "0.5.20"
    assert console.run(main, ["--since", "99"]) == errors.NOTHING_SELECTED
