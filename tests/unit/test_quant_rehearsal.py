"""Test the stand-in for a GPU, and the rehearsal of a made-up release in a child process of the matrix."""

import os
import sys
from pathlib import Path

import pytest
import torch

import compat
from compat._cli.progress import Silent
from compat.matrix.judge import rehearsals
from compat.matrix.judge.rehearsals import Rehearsal
from compat.probe.probe_process import child_variables
from compat.probe.probe_runner import ProbeRunner
from compat.quant.backends.rehearsal import CAPABILITY, SCHEMES, stand_in
from compat.quant.schemes import Scheme
from installed import distribution


def test_what_is_wanted_on_the_gpu_is_made_on_the_cpu() -> None:
    with stand_in():
        made = [
            torch.empty(3, device="cuda"),
            torch.empty(3, device=torch.device("cuda", 0)),
            torch.empty(3).to("cuda:0"),
            torch.empty(3).to(device="cuda"),
            torch.empty(3).cuda(),
        ]
    assert {each.device.type for each in made} == {"cpu"}


def test_the_device_is_there_for_as_long_as_the_rehearsal_lasts() -> None:
    before = torch.cuda.is_available()
    with stand_in():
        assert torch.cuda.is_available()
        assert torch.cuda.device_count() == 1
        assert torch.cuda.get_device_capability() == CAPABILITY
    assert torch.cuda.is_available() == before


def test_every_kind_of_scheme_is_rehearsed() -> None:
    assert {each.kind for each in SCHEMES} == {each.kind for each in Scheme.__subclasses__()}


Q = "sglang/srt/layers/quantization"
SGLANG = {
    "sglang/__init__.py": "",
    "sglang/srt/__init__.py": "",
    "sglang/srt/layers/__init__.py": "",
    f"{Q}/__init__.py": "",
    "sglang/srt/distributed/__init__.py": "",
    "sglang/srt/distributed/parallel_state.py": """
        def model_parallel_is_initialized():
            return bool(__name__)
    """,
    f"{Q}/base_config.py": """
        class QuantizationConfig:
            def __init__(self, settings):
                self.settings = settings

            @classmethod
            def from_config(cls, settings):
                return cls(settings)

            def get_min_capability(self):
                return self.least

            def get_supported_act_dtypes(self):
                return list(self.dtypes)
    """,
    "sglang/srt/layers/linear.py": """
        import torch

        class UnquantizedLinearMethod:
            def apply(self, layer, x):
                return x @ layer.weight

        class ReplicatedLinear(torch.nn.Module):
            def __init__(self, inputs, outputs, *, bias, params_dtype, quant_config, prefix):
                super().__init__()
                self.weight = torch.empty(outputs, inputs, dtype=params_dtype, device="cuda")
                found = quant_config.method if quant_config else UnquantizedLinearMethod
                self.quant_method = found()
    """,
    f"{Q}/fp8.py": """
        import torch
        from sglang.srt.layers.linear import UnquantizedLinearMethod
        from sglang.srt.layers.quantization.base_config import QuantizationConfig

        class Fp8LinearMethod:
            def apply(self, layer, x):
                return x @ layer.weight

        class Fp8Config(QuantizationConfig):
            least, dtypes = 80, (torch.bfloat16, torch.float16)

            @property
            def method(self):
                static = self.settings["activation_scheme"] == "static"
                return UnquantizedLinearMethod if static else Fp8LinearMethod
    """,
    f"{Q}/awq.py": """
        import torch
        from sglang.srt.layers.quantization.base_config import QuantizationConfig

        class AWQLinearMethod:
            def apply(self, layer, x):
                return x @ layer.weight

        class AWQConfig(QuantizationConfig):
            least, dtypes, method = 70, (torch.float16,), AWQLinearMethod
    """,
}
"""A made-up sglang 0.4.7 with three of the ways: what it falls back to, refuses and lacks is told apart."""


@pytest.fixture
def rehearsed(tmp_path: Path) -> Rehearsal:
    """Rehearse the made-up sglang as the matrix does."""
    distribution(tmp_path / "site", "sglang", "0.4.7", SGLANG)
    (tmp_path / "cell").mkdir()
    with (tmp_path / "log").open("a+b", buffering=0) as log:
        variables = {**child_variables(os.environ), "PYTHONPATH": str(tmp_path / "site")}
        runner = ProbeRunner(
            python=Path(sys.executable), folder=tmp_path / "cell", log=log, timeout=120, variables=variables
        )
        given = rehearsals.variables(runner, Path(compat.__file__).parent, None)
        return rehearsals.rehearse("sglang", runner, given, Silent())


def test_the_matrix_reads_what_the_rehearsal_writes(rehearsed: Rehearsal) -> None:
    assert rehearsed.problems == ()
    # Unquantized, fp8 in blocks and of the whole tensor in both dtypes, and both AWQ in one.
    assert rehearsed.layers.built == 8
    # Both AWQ in the other dtype; five GPTQ, four of which have two ways, because there is no vllm beside it.
    assert rehearsed.layers.refused == 2 + 2 * (5 + 4)
    assert rehearsed.layers.broken == len(rehearsed.broken)
    told = {entry.location: entry.observed for entry in rehearsed.broken}
    assert told["layer:sglang/fp8-tensor-static/fp8/float16"] == (
        "Fp8Config gave UnquantizedLinearMethod, not Fp8LinearMethod"
    )
    assert told["layer:sglang/w8a8-int8/w8a8_int8/bfloat16"].startswith("SymbolUnavailable: ")
