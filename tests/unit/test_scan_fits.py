"""The releases that a tree fits, and the comparison of two releases."""

import json
from pathlib import Path
from typing import Any

import pytest

from compat.errors import UsageError
from compat.index.reader import Index
from compat.scan.cli import main
from compat.scan.findings import Finding, unread_finding
from compat.scan.fits import fit_of

VERSIONS = ("0.1", "0.2", "0.3", "0.4", "0.5rc1", "0.5")


def broken(*ranges: tuple[str, str], name: str = "x") -> Finding:
    """Return a finding in ranges of releases."""
    finding = unread_finding("a.py", "")
    return finding._replace(rule="CPT001", package="vllm", statement=f"import {name}", broken_in=ranges)


def document(path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Return the JSON document of a scan."""
    main([str(path), "--format", "json", *arguments])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_releases_with_the_fewest_findings_fit() -> None:
    findings = [broken(("0.1", "0.1"), ("0.5rc1", "0.5")), broken(("0.3", "0.3"), ("0.5", "0.5"), name="y")]
    fit = fit_of("vllm", VERSIONS, findings, "0.5")
    assert fit.releases == (("0.2", "0.2"), ("0.4", "0.4"))
    assert (fit.findings, fit.judged_findings, fit.telling) == (0, 2, 2)
    assert fit.text == "fits vllm 0.2, 0.4; 2 findings in 0.5 (only 2 names distinguish releases)"


def test_a_release_that_fits_is_not_compared_with_itself() -> None:
    fit = fit_of(
        "vllm", VERSIONS, [broken(("0.1", "0.5")), *(broken(("0.1", "0.2"), name=n) for n in "abc")], "0.5"
    )
    assert fit.text == "fits vllm 0.3..0.5 best (1 finding)"
    few = fit_of("vllm", VERSIONS, [broken(("0.1", "0.2"))], "0.5")
    assert few.text == "fits vllm 0.3..0.5 (1 name distinguishes releases)"


def test_releases_that_the_tree_refuses_do_not_fit() -> None:
    findings = [broken(("0.4", "0.4"))]
    fit = fit_of("vllm", VERSIONS, findings, "0.5", [("vllm", "0.2"), ("vllm", "0.5"), ("sglang", "0.1")])
    assert fit.releases == (("0.1", "0.1"), ("0.3", "0.3"))
    assert fit.text == "fits vllm 0.1, 0.3; the code itself refuses 0.5 (1 name distinguishes releases)"
    everything = fit_of("vllm", VERSIONS, findings, "0.5", [("vllm", each) for each in VERSIONS])
    assert everything.text == "fits vllm 0.1..0.3, 0.5 (1 name distinguishes releases)"


def test_a_package_that_raises_for_a_release_refuses_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import vllm\nif vllm.__version__ == '0.10.2':\n    from vllm.worker.worker import Worker\n"
        "elif vllm.__version__ == '0.10.1.1':\n    from vllm.v1.worker.gpu_worker import Worker\n"
        "else:\n    raise ValueError(vllm.__version__)\n"
    )
    (tmp_path / "use.py").write_text("import mine\n")
    (fit,) = document(tmp_path, capsys)["fits"]
    assert fit["releases"] == [{"first": "0.10.1.1", "last": "0.10.2"}]
    # Where only some releases import the package, it refuses only those.
    (tmp_path / "use.py").write_text("import vllm\nif vllm.__version__ == '0.10.1':\n    import mine\n")
    (fit,) = document(tmp_path, capsys)["fits"]
    first, second = fit["releases"]
    assert (first["last"], second["first"]) == ("0.10.0", "0.10.1.1")
    assert second["last"] == Index().versions("vllm")[-1]


def test_a_tree_of_scripts_learns_what_it_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "serve.sh").write_text("vllm serve model --chat-template-content-format string\n")
    (fit,) = document(tmp_path, capsys)["fits"]
    assert (fit["package"], fit["findings"], fit["telling"]) == ("vllm", 0, 1)
    assert fit["releases"][-1]["last"] == Index().versions("vllm")[-1]
    assert fit["releases"][0]["first"] != Index().versions("vllm")[0]
    (tmp_path / "serve.sh").write_text("vllm serve model\n")
    assert document(tmp_path, capsys)["fits"] == []


def test_what_breaks_everywhere_tells_no_releases_apart() -> None:
    fit = fit_of("vllm", VERSIONS, [broken(("0.1", "0.5"))], "0.5")
    assert fit.releases == (("0.1", "0.5"),)
    assert fit.telling == 0
    assert fit.text == "fits vllm 0.1..0.5, every indexed release alike"


def test_findings_in_the_best_releases_are_counted() -> None:
    findings = [broken(("0.1", "0.5")), *(broken(("0.4", "0.5"), name=name) for name in "abc")]
    fit = fit_of("vllm", VERSIONS, findings, "0.5")
    assert fit.text == "fits vllm 0.1..0.3 best (1 finding); 4 findings in 0.5"


def test_a_tree_without_pins_learns_what_it_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text("from vllm.utils import FlexibleArgumentParser\n")
    (fit,) = document(tmp_path, capsys)["fits"]
    assert fit["package"] == "vllm"
    assert fit["findings"] == 0
    (release_range,) = fit["releases"]
    index = Index()
    last = index.versions("vllm").index(release_range["last"])
    assert index.branches("vllm.utils", "FlexibleArgumentParser", "vllm", last)
    assert not index.branches("vllm.utils", "FlexibleArgumentParser", "vllm", last + 1)
    assert fit["judged"] == {"version": index.versions("vllm")[-1], "findings": 1}


def test_a_pin_without_findings_is_not_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "requirements.txt").write_text("vllm==0.10.0\n")
    (tmp_path / "a.py").write_text("from vllm.utils import FlexibleArgumentParser\n")
    assert document(tmp_path, capsys)["fits"] == []
    (tmp_path / "requirements.txt").write_text("vllm==0.23.0\n")
    assert document(tmp_path, capsys)["fits"] != []


def test_the_fits_agree_with_a_scan_of_all_releases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text(
        "import vllm\n"
        "if vllm.__version__ < '0.11':\n"
        "    from vllm.utils import FlexibleArgumentParser\n"
        "else:\n"
        "    from vllm.utils.argparse_utils import FlexibleArgumentParser\n"
        "from vllm.v1.worker.gpu_model_runner import GPUModelRunner\n"
    )
    every = document(tmp_path, capsys, "--vllm", "all")["findings"]
    versions = Index().versions("vllm")
    clean = set(versions)
    for finding in every:
        for each in finding["broken_in"]:
            clean -= set(versions[versions.index(each["first"]) : versions.index(each["last"]) + 1])
    (fit,) = document(tmp_path, capsys)["fits"]
    told = {
        version
        for each in fit["releases"]
        for version in versions[versions.index(each["first"]) : versions.index(each["last"]) + 1]
    }
    assert told == clean


def test_from_and_to_report_only_what_is_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text(
        "from vllm.no_release_has_this import X\n"
        "from vllm.utils import FlexibleArgumentParser\n"
        "from vllm.distributed.utils import StatelessProcessGroup\n"
    )
    found = document(tmp_path, capsys, "--from", "0.10.0", "--to", "vllm==0.33.0")
    (finding,) = found["findings"]
    assert finding["line"] == 2
    assert finding["broken_in"] == [{"first": "0.33.0", "last": "0.33.0"}]
    assert [each["name"] for each in found["changes"]] == ["vllm.distributed.utils.StatelessProcessGroup"]
    back = document(tmp_path, capsys, "--from", "0.33.0", "--to", "0.10.0")
    assert back["findings"] == []


def test_from_defaults_to_the_pin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "requirements.txt").write_text("vllm>=0.8,<=0.10.0\n")
    (tmp_path / "a.py").write_text("from vllm.utils import FlexibleArgumentParser\n")
    found = document(tmp_path, capsys, "--to", "0.33.0")
    assert [each["versions"] for each in found["releases"]] == [["0.10.0", "0.33.0"]]
    assert len(found["findings"]) == 1


def test_a_release_that_may_be_of_either_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import sglang.srt\nimport vllm.utils\n")
    with pytest.raises(UsageError, match="may be of either package; name the package"):
        main([str(tmp_path), "--from", "0.4.0"])
    with pytest.raises(UsageError, match="leave out --sglang and --vllm"):
        main([str(tmp_path), "--from", "vllm==0.4.0", "--vllm", "0.4.0"])
    with pytest.raises(UsageError, match="name the release to start from with --from"):
        main([str(tmp_path), "--to", "vllm==0.4.0"])


@pytest.mark.parametrize("form", ["sarif", "github", "html"])
def test_every_format_says_what_fits(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text("from vllm.utils import FlexibleArgumentParser\n")
    main([str(tmp_path), "--format", form, "--vllm", "0.23.0"])
    assert "0.5.1" in capsys.readouterr().out


def test_two_releases_of_one_package_in_one_option_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import vllm\n")
    with pytest.raises(UsageError, match=r"--from: vllm 0\.18\.1 and 0\.19\.0; name one of them"):
        main([str(tmp_path), "--from", "0.18.1", "--from", "vllm==0.19.0"])
