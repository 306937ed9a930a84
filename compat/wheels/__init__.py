"""Reading published wheels without installing or wholly downloading them: the only network code."""

from importlib.util import find_spec

from compat.errors import MissingToolError

for _needed in ("requests", "pypi_simple", "platformdirs"):
    if find_spec(_needed) is None:
        # The base install stays small, so this is an ordinary situation and not a broken one.
        raise MissingToolError(
            f"reading wheels needs {_needed}, which is not installed; "
            "run `pip install 'sglang-vllm-compat[index]'`"
        )
