"""The shipped file of companions, on failures that people have reported."""

import json
from pathlib import Path

import pytest

from compat.check import cli
from compat.companions.reader import Companions, distributions_of


@pytest.mark.parametrize(
    ("pins", "module", "needs", "cause"),
    [
        (
            ["vllm==0.10.0", "openai==1.100.0", "transformers==4.53.3"],
            "vllm.entrypoints.openai.protocol",
            ("openai.types.responses", "ResponseTextConfig", "openai", "1.100.0"),
            "symbol_removed",
        ),
        (
            ["vllm==0.22.0", "torch==2.5.1"],
            "vllm.compilation.passes.inductor_pass",
            ("torch._inductor.custom_graph_pass", "CustomGraphPass", "torch", "2.5.1"),
            "not_yet_added",
        ),
        (
            ["sglang==0.5.15", "transformers==4.57.6"],
            "sglang.srt.configs.cohere2_moe",
            ("transformers.configuration_utils", "PreTrainedConfig", "transformers", "4.57.6"),
            "not_yet_added",
        ),
    ],
)
def test_reported_failures_have_their_root_cause(
    pins: list[str],
    module: str,
    needs: tuple[str, str, str, str],
    cause: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main([*pins, "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    first = next(each for each in found if module in {place["module"] for place in each["places"]})
    told = first["needs"]
    assert (told["module"], told["name"], told["distribution"], told["installed"]) == needs
    assert first["cause"] == cause
    assert "serve" in first["entry"]
    assert first["fix"]["command"].startswith(f'pip install "{needs[2]}==')


def test_a_refused_numpy_is_a_requirement(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["vllm==0.10.1.1", "numpy==2.3.0", "transformers==4.55.4", "--format", "json"]) == 1
    first = json.loads(capsys.readouterr().out)["findings"][0]
    assert first["cause"] == "requirement_violated"
    assert first["needs"]["requirement"] == "numpy<2.3"
    assert first["by"] == {"distribution": "numba", "module": "numba"}


def test_a_release_with_its_own_companions_starts() -> None:
    pins = ["vllm==0.10.0", "openai==1.97.0", "transformers==4.53.3", "mistral-common==1.8.2"]
    assert cli.main([*pins, "--entry", "serve"]) == 0


def test_the_shipped_file_knows_its_distributions() -> None:
    companions = Companions()
    assert {"transformers", "torch", "openai", "pydantic", "xgrammar", "huggingface-hub"} <= companions.read
    assert companions.indexed("vllm")[-1]
    assert companions.broken_pairs("sglang", "0.4.0")["0.17.0"][0] == "sglang.srt.layers.quantization"


def test_an_import_in_a_function_is_a_finding_for_an_entry_only(capsys: pytest.CaptureFixture[str]) -> None:
    """With all modules, what no import breaks is left out; for a server, a call that must fail is told."""
    found = {}
    for entry in ("serve", "all"):
        cli.main(["vllm==0.21.0", "transformers==4.57.6", "--entry", entry, "--format", "json"])
        findings = json.loads(capsys.readouterr().out)["findings"]
        found[entry] = {each["needs"]["name"]: each for each in findings if each["deferred"]}
    assert found["all"] == {}
    told = found["serve"]["TokenizersBackend"]
    assert told["places"] == [{"module": "vllm.tokenizers.registry", "line": 233}]
    assert told["breaks"] == []
    assert told["needs"]["releases"] == [">=5.0.0rc0"]


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("zmq", "pyzmq"),
        ("PIL.Image", "pillow"),
        ("flashinfer", "flashinfer-python"),
        ("cv2", "opencv-python-headless"),
    ],
)
def test_the_wheels_tell_which_distribution_carries_a_module(module: str, distribution: str) -> None:
    assert distribution in distributions_of(module)


def test_a_module_that_no_wheel_carries_has_no_distribution() -> None:
    assert distributions_of("aiter") == ()


def test_a_name_that_a_module_gets_while_it_runs_is_no_finding(capsys: pytest.CaptureFixture[str]) -> None:
    # torch._dynamo.config hands itself to a function that adds `patch`; only torch 1.13 defines it plainly.
    lock = Path(__file__).parents[2] / "locks" / "vllm-alone.txt"
    cli.main(["--lock", str(lock), "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    asked = {f"{each['needs']['module']}.{each['needs']['name']}" for each in document["findings"]}
    assert "torch._dynamo.config.patch" not in asked
    companions = Companions()
    states = companions.ranges("torch", "torch:_dynamo.config.patch")
    assert states[-1][2] == "uncertain"
    assert companions.ranges("torch", "torch:library.custom_op")[0][2] == "absent", "torch itself is closed"
