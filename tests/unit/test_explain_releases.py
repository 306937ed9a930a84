"""Answers of explain that the outlines make possible: releases from lines, ranges, options, attributes."""

import json
from pathlib import Path

import pytest

from compat.explain import cli
from compat.explain.engine import explain, which
from compat.explain.log.installer_output import unwrapped
from compat.model.diagnosis import Diagnosis

SITE = "/opt/venv/lib/python3.11/site-packages"
NARROW = f"""
Traceback (most recent call last):
  File "{SITE}/vllm/transformers_utils/configs/ovis.py", line 76, in <module>
    AutoConfig.register("aimv2", AIMv2Config)
  File "{SITE}/vllm/transformers_utils/configs/__init__.py", line 28, in <module>
    from vllm.transformers_utils.configs.ovis import OvisConfig
ValueError: nothing that is known
"""
"""Two frames that only vllm 0.9.1 has."""


def first(text: str, **releases: str) -> Diagnosis:
    return explain(text, **releases)[0]  # type: ignore[arg-type]


def test_the_lines_of_frames_tell_the_release() -> None:
    (found,) = which(NARROW)
    assert (found.package, found.releases, found.unfitting) == ("vllm", ("0.9.1",), 0)
    assert found.line == "vllm 0.9.1, by 2 places in the log"


def test_a_line_that_no_release_has_is_of_a_fork() -> None:
    (found,) = which(NARROW.replace("line 76", "line 9076"))
    assert (found.releases, found.unfitting) == ((), 1)
    assert "a fork, a local build" in found.line


def test_the_prefix_of_a_log_line_is_read() -> None:
    (found,) = which("INFO 08-18 17:34:23 [__init__.py:235] Automatically detected platform cuda.\n")
    assert "0.10.0" in found.releases


def test_a_folder_of_the_same_name_in_another_package_is_none_of_ours() -> None:
    text = NARROW.replace("/site-packages/vllm/", "/site-packages/verl/utils/vllm/")
    assert "verl/utils/vllm" in text
    assert which(text) == ()


def test_a_version_after_a_colon_is_read_in_a_short_text() -> None:
    error = (
        "TypeError: AsyncEngineArgs.__init__() got an unexpected keyword argument 'guided_decoding_backend'"
    )
    assert first(f"vllm: 0.3.3\n{error}\n").cause == "not_yet_added"


def test_only_the_releases_are_printed_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    log.write_text(NARROW)
    assert cli.main(["--which", "--format", "json", str(log)]) == 0
    (found,) = json.loads(capsys.readouterr().out)["packages"]
    assert found == {"package": "vllm", "releases": ["0.9.1"], "places": 2, "unfitting": 0}
    log.write_text("nothing\n")
    assert cli.main(["--which", str(log)]) == 1


def test_a_release_from_lines_is_used_like_a_given_one() -> None:
    error = "ImportError: cannot import name 'ValidatorIterator' from 'vllm.transformers_utils.tokenizer'\n"
    found = first(NARROW.replace("ValueError: nothing that is known\n", error))
    assert "by 2 places in the log" in " ".join(found.evidence)


def test_an_argument_that_the_newest_release_has_tells_that_the_release_is_older() -> None:
    error = "TypeError: EngineArgs.__init__() got an unexpected keyword argument 'worker_extension_cls'"
    found = first(error)
    assert (found.cause, found.version) == ("not_yet_added", None)
    assert found.fix.text.startswith("Your vllm is older than 0.8.0.")


def test_an_argument_that_is_gone_tells_the_releases_that_have_it() -> None:
    found = first("TypeError: EngineArgs.__init__() got an unexpected keyword argument 'num_scheduler_steps'")
    assert (found.cause, found.version) == ("symbol_removed", None)
    assert "0.5.5 to 0.10.0; yours is older, or newer than 0.10.0" in found.fix.text


def test_an_argument_that_no_release_has_names_no_release_to_install() -> None:
    error = "TypeError: EngineArgs.__init__() got an unexpected keyword argument 'model_hf_config'"
    found = first(error, vllm="0.10.1.1")
    assert (found.cause, found.fix.command) == ("unknown", None)
    assert "no release of vllm has a EngineArgs that takes model_hf_config" in found.evidence


def test_fields_of_a_struct_and_of_the_bases_are_arguments() -> None:
    text = """Traceback (most recent call last):
  File "/home/user/app/strategy.py", line 61, in process
    return EngineCoreRequest(
TypeError: Unexpected keyword argument 'prompt'
"""
    assert "0.8.4" in " ".join(first(text).evidence)


@pytest.mark.parametrize(
    ("option", "cause", "said"),
    [
        ("--max-loaded-loras 1", "not_yet_added", "0.4.10.post2"),
        ("--enable_metrics", "unknown", "--enable-metrics"),
        ("--never-heard-of 1", "unknown", "leave it out"),
    ],
)
def test_options_of_a_server_are_known_without_a_release(option: str, cause: str, said: str) -> None:
    found = first(f"`launch_server.py: error: unrecognized arguments: {option}`")
    assert found.cause == cause
    assert said in found.fix.text


def test_an_attribute_of_a_class_is_told_by_ranges() -> None:
    found = first("AttributeError: 'VllmConfig' object has no attribute 'prompt_adapter_config'")
    assert (found.cause, found.symbol) == ("symbol_removed", "VllmConfig.prompt_adapter_config")
    assert "0.6.4 to 0.9.2" in found.fix.text


def test_a_message_leads_to_its_place() -> None:
    text = "CUDA out of memory occurred when warming up sampler with 256 dummy requests. Please try lowering "
    text += "`max_num_seqs` or `gpu_memory_utilization` when initializing the engine."
    found = first(f"RuntimeError: {text}")
    assert found.cause == "unknown"
    assert any("gpu_model_runner.py has this message in vllm" in line for line in found.evidence)


def test_lines_that_a_terminal_wrapped_are_joined() -> None:
    wrapped = b"""sglang 0.5.12.post1 requires flashinfer_cubin==0.6.11.post1, but you have flashi
nfer-cubin 0.6.11.post2 which is incompatible.
sglang 0.5.12.post1 requires llguidance<0.8.0,>=0.7.11, but you have llguidance
1.7.5 which is incompatible.
another line"""
    lines = unwrapped(wrapped).split(b"\n")
    assert lines[0].endswith(b"but you have flashinfer-cubin 0.6.11.post2 which is incompatible.")
    assert lines[1].endswith(b"but you have llguidance 1.7.5 which is incompatible.")
    assert lines[2] == b"another line"


def test_what_is_not_about_the_packages_gets_no_command() -> None:
    line = "llava 1.2.2.post1 requires torch==2.1.2, but you have torch 2.4.0 which is incompatible."
    found = first(line)
    assert (found.cause, found.fix.command) == ("requirement_violated", None)


def test_poetry_is_read() -> None:
    text = """Because no versions of vllm match >0.6.4.post1,<0.7.0
 and vllm (0.6.4.post1) depends on transformers (>=4.45.2), vllm requires transformers (>=4.45.2).
Thus, vllm (>=0.6.4.post1,<0.7.0) requires tokenizers (>=0.20,<0.21).
And because langchain-upstage (0.3.0) depends on tokenizers (>=0.19.1,<0.20.0), version solving failed.
"""
    assert (first(text).cause, first(text).package) == ("requirement_violated", "tokenizers")


def test_a_function_of_the_extension_itself_is_no_matter_of_torch() -> None:
    symbol = "_Z20cutlass_moe_mm_sm100RN2at6TensorERKS0_S3_bb"
    found = first(f"ImportError: /home/u/vllm/vllm/_C.abi3.so: undefined symbol: {symbol}")
    assert (found.cause, found.fix.command) == ("abi_mismatch", None)
    assert found.fix.text.startswith("Rebuild vllm")


def test_no_install_command_for_linux_is_given_on_a_mac() -> None:
    error = "TypeError: EngineArgs.__init__() got an unexpected keyword argument 'worker_extension_cls'"
    found = first(f"INFO 02-21 10:28:19 [__init__.py:217] Platform plugin metal is activated\n{error}\n")
    assert found.fix.command is None
    assert "macOS" in found.fix.text
