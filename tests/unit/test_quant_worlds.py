"""What is set up once in a process."""

import pytest

from compat.quant.worlds import once


def test_what_was_set_up_is_not_set_up_again() -> None:
    calls: list[str] = []
    ready = once(calls.append)
    for package in ("sglang", "vllm", "sglang"):
        ready(package)
    assert calls == ["sglang", "vllm"]


def test_what_failed_first_is_told_each_time() -> None:
    """The second attempt of a package would fail because of the first, and hide why that did."""
    calls: list[str] = []

    def fails(package: str) -> None:
        calls.append(package)
        raise ImportError("deep_gemm" if len(calls) == 1 else "group is already initialized")

    ready = once(fails)
    for _ in range(3):
        with pytest.raises(ImportError, match="deep_gemm"):
            ready("sglang")
    assert calls == ["sglang"]
