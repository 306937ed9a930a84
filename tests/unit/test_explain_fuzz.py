"""`explain` raises for no input, and its work is proportional to the size of the input."""

from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compat.explain.engine import explain
from compat.explain.log import log_reader
from compat.explain.log.cleaning import clean
from compat.explain.log.log_reader import read
from compat.explain.output import as_json, as_text
from compat.model.diagnosis import CAUSES, FIX_KINDS
from counting import calls
from failures import samples
from messy import MESSES

PIECES = (
    b"Traceback (most recent call last):\n",
    b'  File "/home/user/venv/lib/python3.11/site-packages/vllm/config.py", line 12, in <module>\n',
    b'  File "/x/vllm.py", line 1\n',
    b"    from vllm.model_executor.layers.quantization.gptq import GPTQLinearMethod\n",
    b"    from sglang.srt.layers.quantization import (\n",
    b"    ^^^^~~~~\n",
    b"ImportError: cannot import name 'A' from 'vllm' (unknown location)\n",
    b"ModuleNotFoundError: No module named 'vllm.a.b'; 'vllm' is not a package\n",
    b"NameError: name 'gptq' is not defined\n",
    b"TypeError: 'NoneType' object is not callable\n",
    b"TypeError: EngineArgs.__init__() got an unexpected keyword argument 'num_scheduler_steps'\n",
    b"vllm serve: error: unrecognized arguments: --num-scheduler-steps 8\n",
    b"The conflict is caused by:\n    The user requested torch==2.6.0\n",
    b"    vllm 0.9.1 depends on torch==2.7.0\n",
    b"  cause: Because vllm==0.9.1 depends on torch==2.7.0 and sglang==0.4.7 depends on torch==2.7.1\n",
    b"error: No solution found when resolving dependencies\n",
    b"ERROR: Could not find a version that satisfies the requirement vllm==0.99 (from versions: none)\n",
    b"AttributeError: '_OpNamespace' '_C' object has no attribute 'rms_norm'\n",
    b"ImportError: /a/vllm/_C.abi3.so: undefined symbol: _ZN3c106detail19maybe_wrap_dim_slowEllb\n",
    b"ImportError: libcudart.so.12: cannot open shared object file\n",
    b"ImportError: a>=1 is required for a normal functioning of this module, but found a==0.1\n",
    b"ValueError: Unknown quantization method: aqlm. Must be one of []\n",
    b"\nThe above exception was the direct cause of the following exception:\n\n",
    b"\nDuring handling of the above exception, another exception occurred:\n\n",
    b"  + Exception Group Traceback (most recent call last):\n  | ",
    b"  +-+---------------- 1 ----------------\n",
    b"vllm==0.9.0.1\nsglang 0.4.7\nvllm version: 99999999999.1\n",
    b"(VllmWorker rank=0 pid=1) ",
    b"[rank0]: ",
    b"ERROR 05-26 10:00:00 [core.py:400] ",
    b"\x1b[31m",
    b"\r\n",
    b"\r",
    b"\0",
    b"\xff\xfe",
    b"E   ",
    b"> ",
    b'{"log": "Traceback (most recent call last):\\n  File \\"a.py\\", line 1\\nImportError: x\\n"}\n',
    b"'" * 50,
    b"((((",
    b"a" * 300,
)

fragments = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=40).map(b"".join)
"""Logs that look like failures, in any order, with anything in between."""


def sound(log: bytes) -> None:
    found = explain([log])
    assert found
    for each in found:
        assert each.cause in CAUSES
        assert each.fix.kind in FIX_KINDS
    as_text(found)
    as_json(found).encode()


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=2_000))
def test_any_bytes(log: bytes) -> None:
    sound(log)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(fragments)
def test_anything_that_looks_like_a_failure(log: bytes) -> None:
    sound(log)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(samples()), st.sampled_from(sorted(MESSES)), st.data())
def test_a_real_failure_cut_anywhere(sample: Any, mess: str, data: st.DataObject) -> None:
    log = MESSES[mess](sample.log)
    start = data.draw(st.integers(0, len(log)))
    sound(log[start : data.draw(st.integers(start, len(log)))])


@given(fragments, st.integers(1, 50))
def test_where_the_pieces_are_cut_does_not_matter(log: bytes, size: int) -> None:
    whole = read([log])
    pieces = read(log[start : start + size] for start in range(0, len(log), size))
    if b"\0" not in log and b"\r" not in log:  # logs with these are normalized chunk by chunk
        assert [f.chain for f in pieces.failures] == [f.chain for f in whole.failures]


@pytest.mark.parametrize("piece", PIECES)
def test_twice_the_log_is_at_most_twice_the_work(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reader, "BLOCK", 1_000)  # many blocks of few lines, as in a log of many megabytes

    def log(times: int) -> bytes:
        return b"".join(piece + b"Error %d\n" % number for number in range(times))

    clean.cache_clear()
    small, large = (calls(partial(read, [log(times)])) for times in (300, 600))
    assert large <= 2.2 * small + 200


@pytest.mark.parametrize("piece", PIECES)
def test_one_line_without_end_is_cut(piece: bytes) -> None:
    line = piece.replace(b"\n", b" ").replace(b"\r", b" ")
    small, large = (calls(partial(read, [line * (size // len(line) + 1)])) for size in (40_000, 400_000))
    assert large <= 10.5 * small + 200
