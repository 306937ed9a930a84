"""`compat export ruff`: ruff with the exported configuration reports the same names as scan."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from compat.errors import NothingSelectedError, UsageError
from compat.export.cli import main
from compat.export.site import build
from compat.scan.cli import main as scan

SOURCE = """\
import vllm.worker.worker
import vllm.lora.models as models
from vllm import LLM, SamplingParams
from vllm.model_executor.layers.quantization.gptq import GPTQLinearMethod
from vllm.model_executor.layers.quantization.auto_gptq import AutoGPTQLinearMethod
from vllm.utils import FlexibleArgumentParser
from vllm.utils.argparse_utils import FlexibleArgumentParser as Again
from vllm.engine.arg_utils import EngineArgs, AsyncEngineArgs
from vllm.entrypoints.openai.cli_args import make_arg_parser
"""


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ruff") / "compat-ruff.toml"
    done = subprocess.run(
        [sys.executable, "-m", "compat.export", "ruff", "--vllm", "0.23.0"],
        capture_output=True,
        check=True,
        timeout=300,
    )
    path.write_bytes(done.stdout)
    return path


def ruff(*arguments: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in (0, 1), done.stderr
    return sorted(int(line) for line in re.findall(r"code\.py:(\d+):\d+: TID251", done.stdout))


def test_ruff_finds_the_same_lines(
    configuration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = tmp_path / "code.py"
    code.write_text(SOURCE)
    scan([str(code), "--vllm", "0.23.0", "--format", "json"])
    lines = sorted({each["line"] for each in json.loads(capsys.readouterr().out)["findings"]})
    assert lines == [1, 2, 4, 6]
    assert sorted(set(ruff("--config", str(configuration), str(code)))) == lines


def test_a_project_extends_it(configuration: Path, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(SOURCE)
    (tmp_path / "ruff.toml").write_text(f"extend = {json.dumps(str(configuration))}\n")
    assert sorted(set(ruff(str(tmp_path)))) == [1, 2, 4, 6]


def test_a_ban_names_the_present_location(configuration: Path) -> None:
    assert configuration.read_text().startswith(
        "# Names that other releases have and vllm 0.23.0 lacks, for ruff"
    )
    text = configuration.read_text()
    assert (
        '"vllm.utils.FlexibleArgumentParser".msg = "not in vllm 0.23.0; '
        'use: from vllm.utils.argparse_utils import FlexibleArgumentParser"\n'
    ) in text
    assert "sglang.srt" not in text


def test_a_release_has_to_be_named_and_known() -> None:
    with pytest.raises(NothingSelectedError):
        main(["ruff"])
    with pytest.raises(UsageError, match="nearest: "):
        main(["ruff", "--vllm", "0.99"])


def test_an_interrupted_site_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    (site / "data").mkdir(parents=True)
    (site / "data" / build.MARK).write_text("earlier")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "pairs_table", interrupted)  # the last step before the names are looked up
    with pytest.raises(KeyboardInterrupt):
        main(["site", "--output", str(site)])
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()] == [
        Path("site", "data", build.MARK)
    ]
    assert (site / "data" / build.MARK).read_text() == "earlier"
