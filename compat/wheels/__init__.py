"""Read published wheels without installing them or downloading them whole: the only network code."""

from importlib.util import find_spec

from compat.errors import MissingToolError

for _needed in ("requests", "pypi_simple", "platformdirs"):
    if find_spec(_needed) is None:
        # The base install leaves these packages out to stay small, so their absence is no defect.
        raise MissingToolError(
            f"reading wheels needs {_needed}, which is not installed; "
            "run \"pip install 'sglang-vllm-compat[matrix]'\" (for compat index, the extra index is enough)"
        )
