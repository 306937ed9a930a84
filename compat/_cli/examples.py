"""Examples for the end of each `--help`; the tests run them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXAMPLES: Mapping[str, Sequence[str]] = {
    "compat": (
        "compat explain fails.log",
        "compat scan src --vllm '>=0.20'",
    ),
    "compat resolve": (
        "compat resolve Fp8LinearMethod --vllm 0.9.0.1",
        "compat resolve GPTQLinearMethod --all",
        "compat resolve 'from vllm.utils import FlexibleArgumentParser' --vllm latest --format import",
    ),
    "compat explain": (
        "compat explain fails.log",
        "python serve.py 2>&1 | compat explain",
        "compat explain --which fails.log",
    ),
    "compat check": (
        "compat check vllm==0.11.0 openai==1.99.1",
        "compat check vllm==0.33.0 sglang==0.5.23 --entry serve",
        "compat check vllm==0.11.0 'transformers>=5' --format json",
    ),
    "compat doctor": (
        "compat doctor",
        "compat doctor --python .venv --no-imports",
    ),
    "compat scan": (
        "compat scan",
        "compat scan src --vllm '>=0.20,<0.27'",
        "compat scan src --vllm 0.21.0..0.23.0 --diff",
        "compat scan src --from vllm==0.18.1 --to vllm==0.33.0",
        "compat scan - --vllm latest < serve.py",
        "compat scan . --format sarif --output compat.sarif",
    ),
    "compat upgrade": (
        "compat upgrade",
        "compat upgrade src --from 0.18.1 --to 0.33.0",
        "compat upgrade . --format html > upgrade.html",
    ),
    "compat rule": ("compat rule CPT001", "compat rule symbol_renamed", "compat rule"),
    "compat init": (
        "compat init",
        "compat init --write",
        "compat init --pair 0.5.14 0.23.0 --tests 'pytest -m engine'",
    ),
    "compat export": ("compat export ruff --vllm 0.23.0", "compat export site --output site"),
    "compat mcp": ("compat mcp",),
    "compat lsp": ("compat lsp",),
    "compat index": ("compat index info",),
    "compat matrix": (
        "compat matrix list",
        "compat matrix run seed",
        "compat matrix gate --require import",
    ),
    "compat pairs": (
        "compat pairs --for sglang==0.5.17",
        "compat pairs 0.5.23 0.33.0",
        "compat pairs 0.5.23 0.33.0 --offline",
        "compat pairs 0.5.23 0.33.0 --format requirements > requirements.txt",
    ),
    "compat pairs lock": ("compat pairs lock newest",),
    "compat completion": ("compat completion bash > ~/.local/share/bash-completion/completions/compat",),
    "compat bundle": ("compat bundle newest --output newest-bundle --arch sm_90",),
}
"""Command lines, by the program of their parser."""
