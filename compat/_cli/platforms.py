"""Refuse what only works on Linux, for which alone sglang and vllm publish wheels with their kernels."""

import sys

from compat.errors import UsageError


def require_linux(what: str) -> None:
    """Return on Linux.

    Args:
        what: the command or option, for the message.

    Raises:
        UsageError: the system is another one.
    """
    if not sys.platform.startswith("linux"):
        raise UsageError(
            f"{what} works on Linux only, as the wheels of sglang and vllm do; run it there, in WSL or in a "
            "container"
        )
