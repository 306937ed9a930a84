"""`compat upgrade`: how far a tree can go, what blocks later releases, the pair, and `--fix`."""

import json
from pathlib import Path
from typing import Any

import pytest

from compat import errors
from compat.errors import NothingSelectedError, UsageError
from compat.index.reader import Index
from compat.scan.cli import main as scan
from compat.upgrade.cli import main
from compat.upgrade.pins import pin_changes

SOURCE = (
    "from vllm.utils import FlexibleArgumentParser\n"
    "from vllm.distributed.utils import StatelessProcessGroup\n"
    "from vllm.attention.layer import Attention\n"
)
BROKEN = "from vllm.no_release_has_this import X\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text("vllm>=0.9,<=0.10.0\n")
    (tmp_path / "serve.py").write_text(SOURCE)
    return tmp_path


def judged(path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Return the JSON document of an upgrade."""
    main([str(path), "--format", "json", *arguments])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def findings(path: Path, version: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the findings of a scan for one release, without notes."""
    scan([str(path), "--vllm", version, "--format", "json"])
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
    return [each for each in found if each["level"] != "note"]


def test_what_it_says_of_each_release_is_what_a_scan_says(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (package,) = judged(tree, capsys)["packages"]
    versions = Index().versions("vllm")
    assert package["current"] == {
        "version": "0.10.0",
        "source": "vllm>=0.9,<=0.10.0 in requirements.txt",
        "findings": 0,
    }
    assert findings(tree, package["as_is"], capsys) == []
    assert all(each["safety"] == "safe" for each in findings(tree, package["after_safe_fixes"], capsys))
    assert package["target"] == versions[-1]
    for each in package["later"]:
        for version in (each["first"], each["last"]):
            found = findings(tree, version, capsys)
            assert sum(each["findings"].values()) == len(found)
            assert each["findings"]["safe fix"] == sum(one["safety"] == "safe" for one in found)
    assert [(each["since"], each["effort"]) for each in package["blockers"]] == [
        ("0.11.1", "safe fix"),
        ("0.16.0", "unsafe fix"),
    ]


def test_what_breaks_today_is_in_the_way_of_nothing(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = judged(tree, capsys)["packages"][0]
    (tree / "old.py").write_text(BROKEN)
    after = judged(tree, capsys)["packages"][0]
    assert after.pop("current")["findings"] == before.pop("current")["findings"] + 1
    assert after == before


def test_from_and_to_bound_the_releases(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tree), "--from", "0.10.0", "--to", "0.11.0"]) == errors.CLEAN
    assert "in the way" not in capsys.readouterr().out
    assert main([str(tree), "--from", "0.10.0", "--to", "0.11.1"]) == errors.FINDINGS
    assert "0.11.1  1 finding: 1 safe fix" in capsys.readouterr().out
    with pytest.raises(UsageError, match="the start"):
        main([str(tree), "--to", "0.9.0"])


def test_fix_writes_the_safe_fixes_and_shows_the_pin(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("libcst")
    reached = judged(tree, capsys)["after_safe_fixes"]["versions"]["vllm"]
    assert main([str(tree), "--fix"]) == errors.FINDINGS, "later releases are still out of reach"
    shown = capsys.readouterr().out
    assert f"requirements.txt: vllm>=0.9,<=0.10.0 -> vllm>=0.9,<={reached}" in shown
    assert (tree / "requirements.txt").read_text() == "vllm>=0.9,<=0.10.0\n"
    assert "from vllm.utils.argparse_utils import FlexibleArgumentParser" in (tree / "serve.py").read_text()
    assert findings(tree, reached, capsys) == []


def test_both_packages_get_a_pair_that_goes_together(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "other.py").write_text("from sglang.srt.utils import is_cuda\n")
    found = judged(tree, capsys)
    versions = found["as_is"]["versions"]
    assert versions.keys() == {"sglang", "vllm"}
    assert {each["package"] for each in found["packages"]} == versions.keys()
    assert found["as_is"]["commands"][0].startswith(f"compat pairs {versions['sglang']} {versions['vllm']} ")


def test_what_the_code_uses_as_a_class_is_work_by_hand(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "serve.py").write_text(
        "from vllm.model_executor.layers.fused_moe.layer import FusedMoE\nclass Mine(FusedMoE): ...\n"
    )
    (package,) = judged(tree, capsys, "--from", "0.23.0")["packages"]
    assert {each["effort"] for each in package["blockers"]} == {"by hand"}


def test_a_page_escapes_what_the_tree_says(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "a<b>.py").write_text(SOURCE)
    main([str(tree), "--format", "html"])
    page = capsys.readouterr().out
    assert "a&lt;b&gt;.py" in page
    assert "a<b>" not in page


def test_a_tree_without_the_packages_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import os  # not vllm\n")
    with pytest.raises(NothingSelectedError, match="no file uses sglang or vllm"):
        main([str(tmp_path)])


@pytest.mark.parametrize(
    ("pin", "new"),
    [
        ("vllm==0.10.0", "vllm==0.33.0"),
        ("vllm>=0.9,<0.11", "vllm>=0.9,<=0.33.0"),
        ("vllm~=0.10.0", "vllm==0.33.0"),
        ("vllm>=0.9", None),
    ],
)
def test_a_pin_changes_no_more_than_needed(tmp_path: Path, pin: str, new: str | None) -> None:
    (tmp_path / "requirements.txt").write_text(f"{pin}\n")
    changes = list(pin_changes(str(tmp_path), {"vllm": "0.33.0"}))
    assert [each.text for each in changes] == ([f"requirements.txt: {pin} -> {new}"] if new else [])


def test_a_path_that_does_not_exist_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none: no such file or folder"):
        main([str(tmp_path / "none")])


def test_one_finding_is_not_told_as_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text(BROKEN)
    main([str(tmp_path)])
    assert "the newest release with 1 finding;" in capsys.readouterr().out


def test_what_the_safe_fixes_lead_to_is_no_longer_in_the_way(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("libcst")
    reached = judged(tree, capsys)["after_safe_fixes"]["versions"]["vllm"]
    assert main([str(tree), "--to", reached]) == errors.FINDINGS
    assert main([str(tree), "--to", reached, "--fix"]) == errors.CLEAN
    assert main([str(tree), "--to", reached]) == errors.CLEAN
