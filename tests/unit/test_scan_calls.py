"""`compat scan`: calls with arguments that a release does not take, or without a required one (CPT005)."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat.scan.cli import main
from compat.scan.prefilter.possible_calls import may_call

Scan = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def scan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Scan:
    """Return a function that scans source as one file and returns its findings of this rule."""

    def run(source: str, release: str = "0.33.0", package: str = "vllm") -> list[dict[str, Any]]:
        (tmp_path / "code.py").write_text(textwrap.dedent(source))
        main([str(tmp_path), "--format", "json", "--select", "CPT005", f"--{package}", release])
        found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
        return found

    return run


@pytest.mark.parametrize(
    ("source", "statement", "reason"),
    [
        (  # a field of a dataclass
            'from vllm import EngineArgs\nEngineArgs(model="m", num_scheduler_steps=8)',
            "EngineArgs(num_scheduler_steps=)",
            "EngineArgs does not take num_scheduler_steps; the call fits up to 0.10.0",
        ),
        (  # handed on by `**kwargs`
            'from vllm import LLM\nLLM("m", use_v2_block_manager=True)',
            "LLM(use_v2_block_manager=)",
            "LLM does not take use_v2_block_manager; the call fits up to 0.9.2",
        ),
        (  # a msgspec struct
            "from vllm import SamplingParams\nSamplingParams(best_of=2, guided_decoding=None)",
            "SamplingParams(best_of=, guided_decoding=)",
            "SamplingParams does not take best_of and guided_decoding; the call fits up to 0.11.2",
        ),
        (  # a method of an object
            "from vllm import LLM\nllm = LLM('m')\nllm.generate(prompt_token_ids=[[1]])",
            "LLM.generate(prompt_token_ids=)",
            "LLM.generate does not take prompt_token_ids; the call fits up to 0.10.1.1",
        ),
        (  # of an object that is not bound to a name
            "import vllm\nvllm.LLM('m').generate(prompt_token_ids=[[1]])",
            "LLM.generate(prompt_token_ids=)",
            "",
        ),
        (  # of an attribute
            """
            from vllm import LLM
            class Mine:
                def __init__(self):
                    self.llm = LLM("m")
                def run(self):
                    return self.llm.generate(prompt_token_ids=[[1]])
            """,
            "LLM.generate(prompt_token_ids=)",
            "",
        ),
        (  # a method by its class
            "from vllm import LLM\nLLM.generate(None, prompt_token_ids=[[1]])",
            "LLM.generate(prompt_token_ids=)",
            "",
        ),
        (  # the constructor of a base class, through a class of the tree
            """
            from vllm import LLM
            class Base(LLM): ...
            class Mine(Base):
                def __init__(self):
                    super().__init__("m", use_v2_block_manager=True)
            """,
            "LLM(use_v2_block_manager=)",
            "",
        ),
        (  # an argument that is required now
            "from vllm.v1.core.block_pool import BlockPool\nBlockPool(num_gpu_blocks=1, enable_caching=True)",
            "BlockPool(…)",
            "BlockPool requires hash_block_size; the call fits up to 0.11.2",
        ),
        (  # more positional arguments than it takes
            "from vllm.multimodal.inputs import MultiModalFieldElem\nMultiModalFieldElem(1, 2, 3, 4)",
            "MultiModalFieldElem(…)",
            "MultiModalFieldElem takes at most 2 positional arguments; the call fits up to 0.15.1",
        ),
        (
            "import functools\nfrom vllm import LLM\nfunctools.partial(LLM, use_v2_block_manager=True)",
            "LLM(use_v2_block_manager=)",
            "",
        ),
    ],
)
def test_a_call_that_does_not_fit_is_a_finding(scan: Scan, source: str, statement: str, reason: str) -> None:
    (finding,) = scan(source)
    assert (finding["rule"], finding["level"], finding["form"]) == ("CPT005", "error", "call")
    assert finding["import"] == statement
    assert finding["runs"][0]["reason"].startswith(reason)
    assert finding["safety"] is None
    assert statement in finding["message"]


@pytest.mark.parametrize(
    "source",
    [
        'from vllm import EngineArgs\nEngineArgs(model="m", max_num_seqs=8)',
        "from vllm import EngineArgs\nEngineArgs(**options)",
        "from vllm import EngineArgs\nEngineArgs(no_release_has_this=1)",
        "from vllm import LLM\nLLM(*arguments)",
        "from vllm import EngineArgs\nclass EngineArgs: ...\nEngineArgs(num_scheduler_steps=8)",
        "from vllm import EngineArgs\ndef f(EngineArgs):\n    EngineArgs(num_scheduler_steps=8)",
        "from vllm import LLM\nllm = LLM('m')\nllm = other()\nllm.generate(prompt_token_ids=[[1]])",
        # guards
        """
        import vllm
        if vllm.__version__ < "0.10":
            vllm.EngineArgs(num_scheduler_steps=8)
        """,
        """
        from vllm import EngineArgs
        try:
            EngineArgs(num_scheduler_steps=8)
        except TypeError:
            EngineArgs()
        """,
        """
        import inspect
        from vllm import EngineArgs
        if "num_scheduler_steps" in inspect.signature(EngineArgs).parameters:
            EngineArgs(num_scheduler_steps=8)
        """,
        "from vllm import EngineArgs\nEngineArgs(num_scheduler_steps=8)  # compat: ignore[CPT005]",
        # a decorator wraps the constructor
        "from vllm.model_executor.models.llama import LlamaModel\nLlamaModel(no=1)",
        # pydantic models ignore what they do not know
        "from vllm.entrypoints.openai.engine.protocol import ErrorInfo\nErrorInfo(more=1)",
    ],
)
def test_a_call_that_fits_or_is_not_known_is_no_finding(scan: Scan, source: str) -> None:
    assert scan(source) == []


def test_releases_in_which_the_call_fits_are_left_out(scan: Scan) -> None:
    source = 'from vllm import EngineArgs\nEngineArgs(model="m", num_scheduler_steps=8)\n'
    assert scan(source, "0.9.0..0.10.0") == []
    (finding,) = scan(source, "0.9.0..0.11.0")
    assert [each["first"] for each in finding["broken_in"]] == ["0.10.1"]
    assert finding["broken_in"][0]["last"] == "0.11.0"


def test_a_parameter_that_took_the_place_of_another_one_is_named(scan: Scan) -> None:
    source = """
    from vllm.distributed.kv_transfer.kv_connector.v1.nixl_connector import NixlAgentMetadata
    NixlAgentMetadata(
        engine_id="", agent_metadata=b"", kv_caches_base_addr=[0], num_blocks=1, block_len=1,
        attn_backend_name="", kv_cache_layout="HND",
    )
    """
    (finding,) = scan(source, "0.11.0")
    assert "block_lens took its place" in finding["message"]


def test_calls_of_sglang_are_checked(scan: Scan) -> None:
    source = 'from sglang.srt.server_args import ServerArgs\nServerArgs(model_path="m", enable_ep_moe=True)\n'
    (finding,) = scan(source, "0.5.5", "sglang")
    assert finding["import"] == "ServerArgs(enable_ep_moe=)"


def test_a_class_that_is_rebuilt_elsewhere_is_not_known(scan: Scan) -> None:
    source = 'from sglang.srt.server_args import ServerArgs\nServerArgs(model_path="m", enable_ep_moe=True)\n'
    assert scan(source, "0.5.23", "sglang") == []


@pytest.mark.parametrize(
    ("patch", "found"),
    [
        ('@patch("vllm.engine.arg_utils", "EngineArgs")\ndef mine(): ...', False),
        ("EngineArgs.__init__ = mine", False),
        ("setattr(EngineArgs, '__init__', mine)", False),
        ("OtherArgs.__init__ = mine", True),
        ("EngineArgs.__repr__ = mine", True),
        ("import vllm.engine.arg_utils as a\na.EngineArgs = Mine", False),
        ('setattr(arg_utils, "EngineArgs", Mine)', False),
        ("self.EngineArgs = Mine", True),
        ("assert a.EngineArgs == Mine", True),
    ],
)
def test_what_the_tree_replaces_is_not_known(scan: Scan, patch: str, found: bool, tmp_path: Path) -> None:  # noqa: FBT001
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "replaced.py").write_text(f"{patch}\n")
    source = "from vllm import EngineArgs\nEngineArgs(num_scheduler_steps=8)\n"
    assert bool(scan(source)) is found


@pytest.mark.parametrize(
    ("source", "parsed"),
    [
        ("from vllm.logger import init_logger\nlogger = init_logger(__name__)\n", False),
        ("from vllm.config import VllmConfig\ndef f(x: VllmConfig): ...\n", False),
        ("from vllm.config import (\n    VllmConfig,  # a comment\n)\nclass A(nn.Module): ...\n", False),
        ("import vllm.envs as envs\nx = envs.VLLM_USE_V1\n", False),
        ("from vllm import LLM\nllm = LLM(m)\n", True),
        ("from vllm import (\n    LLM as Engine,\n)\nEngine\\\n(x=1)\n", True),
        ("import vllm\nvllm.LLM(x)\n", True),
        ("import vllm.utils as u\nu.f(x=1)\n", True),
        ("from vllm.logger import init_logger\ninit_logger(__name__, 1)\n", True),
        ("from vllm import \\\n    LLM\nLLM(x)\n", True),
        ("from own import Base\nimport vllm\nclass A(Base): ...\n", True),
    ],
)
def test_files_that_cannot_have_a_finding_need_not_be_parsed(source: str, parsed: bool) -> None:  # noqa: FBT001
    def fits(path: str, positional: int) -> bool:
        assert path == "vllm.logger.init_logger"
        return positional == 1

    assert may_call(source.encode(), fits) is parsed
