"""Build the inputs of the recorded commands: source trees, reports, an environment and wheels.

The logs of `tests/corpus`, `matrix.toml` and the locks are read where they are; everything else is made here,
the same bytes every time.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

GPTQ = "vllm.model_executor.layers.quantization.gptq"
"""Its `GPTQLinearMethod` became `auto_gptq.AutoGPTQLinearMethod` in vllm 0.22.0."""
CLI = "vllm.entrypoints.openai.cli_args"
"""Moved in vllm 0.29.0 and again in 0.33.0."""

PROJECT: Mapping[str, str] = {
    "pyproject.toml": """
        [project]
        name = "mine"
        version = "1"
        dependencies = ["vllm>=0.10.2,<0.24", "sglang==0.5.23"]
        """,
    "mine/__init__.py": "from .versions import is_old\n",
    "mine/versions.py": """
        import vllm
        from packaging.version import parse


        def is_old():
            return parse(vllm.__version__) < parse("0.11")
        """,
    "mine/plain.py": f"""
        # A comment that stays.
        import os, vllm.worker.worker
        from {GPTQ} import GPTQLinearMethod  # why
        from vllm import LLM, NoSuchThing
        from vllm.worker.model_runner import *
        from {CLI} import (
            make_arg_parser as parser,  # one
            validate_parsed_serve_args,  # compat: ignore
        )
        from vllm.core.scheduler import Scheduler  # compat: ignore[CPT001] known


        class Method(GPTQLinearMethod):
            def load(self):
                from vllm.core.block.interfaces import Block

                return Block, GPTQLinearMethod.apply
        """,
    "mine/attributes.py": """
        import importlib
        from unittest import mock

        import vllm
        import vllm.envs as envs
        from vllm.distributed.parallel_state import _TP

        mode = envs.VLLM_USE_V1
        worker = importlib.import_module("vllm.worker.worker")
        other = getattr(envs, "VLLM_USE_V1")
        fine = getattr(envs, "VLLM_USE_V1", None)
        deep = vllm.no_such_thing.more


        @mock.patch("vllm.worker.worker.Worker")
        def test_it(patched): ...
        """,
    "mine/guarded.py": """
        import contextlib
        import importlib.util
        from typing import TYPE_CHECKING

        import vllm
        from packaging import version

        from mine import is_old

        if TYPE_CHECKING:
            import vllm.worker.worker
        try:
            from vllm.worker.worker import Worker
        except ImportError:
            from vllm.v1.worker.gpu_worker import Worker
        try:
            import vllm.worker.model_runner
            OLD = True
        except ImportError:
            OLD = False
        if version.parse(vllm.__version__) >= version.parse("0.11"):
            import vllm.worker.cache_engine
        if not is_old():
            import vllm.worker.worker_base
        if importlib.util.find_spec("vllm.worker.worker") is not None:
            import vllm.worker.worker
        with contextlib.suppress(ImportError):
            import vllm.worker.worker


        class Engine:
            def __init__(self):
                self.new = version.parse(vllm.__version__) >= version.parse("0.11")

            def load(self):
                if not self.new:
                    import vllm.worker.worker
                if OLD:
                    from vllm.worker.worker import Worker
                import vllm.worker.utils
        """,
    "mine/handed.py": """
        try:
            from vllm.worker.worker import Worker
        except ImportError:
            pass
        """,
    "mine/takes.py": "from .handed import Worker\nimport mine.handed as h\nprint(h.Worker)\n",
    "mine/stubs.py": """
        from sglang.srt.managers.scheduler import SchedulerMlxOverlapMixin
        from sglang.srt.mem_cache.pool_host.mamba import transfer_mamba_state
        from sglang.srt.layers.quantization.gptq import GPTQLinearMethod
        from sglang.srt.layers.quantization import Fp8LinearMethod
        """,
    "mine/types.pyi": "from vllm.worker.worker import Worker\ndef run(x: Worker) -> None: ...\n",
    "mine/lazy.py": """
        TABLE = {"Worker": "vllm.worker.worker", "LLM": "vllm"}


        def __getattr__(name):
            import importlib

            return getattr(importlib.import_module(TABLE[name]), name)
        """,
    "mine/broken.py": "def f(:\n    from vllm import LLM\n",
    "mine/untouched.py": "import os\nprint(os.sep)\n",
    "notebook.ipynb": json.dumps(
        {
            "cells": [
                {"cell_type": "markdown", "source": ["# Title"]},
                {"cell_type": "code", "source": ["%pip install vllm\n", f"from {GPTQ} import GPTQConfig\n"]},
                {"cell_type": "code", "source": ["from vllm.worker.worker import Worker\n", "!ls"]},
            ],
            "nbformat": 4,
        }
    ),
    "bad.ipynb": "{}",
}
"""A project that pins releases and has a finding of every rule."""

STYLES: Mapping[str, str] = {
    "versions.py": f"""
        import vllm
        from packaging import version
        if version.parse(vllm.__version__) >= version.parse("0.20"):
            from vllm import LLM as x
        from {GPTQ} import GPTQLinearMethod  # why
        """,
    "texts.py": f"""
        import vllm
        if vllm.__version__ >= '0.20.0':
            from vllm import LLM
        from {GPTQ} import GPTQLinearMethod as G
        """,
    "tries/attempt.py": f"""
        def f():
          from {CLI} import make_arg_parser as make, validate_parsed_serve_args
          return make
        """,
    "tries/alias.py": f"import {CLI} as args\nargs.make_arg_parser\n",
    "tries/other_call.py": "from vllm.worker.worker import Worker\n",
    "tries/windows.py": f"import os\r\nfrom {GPTQ} import GPTQLinearMethod\r\n",
}
"""Files that `scan --fix` rewrites in different ways."""

CONFIGURED: Mapping[str, str] = {
    "pyproject.toml": """
        [tool.compat]
        vllm = ["0.21.0", "0.23.0"]
        ignore = ["CPT004"]
        exclude = ["old"]
        baseline = "known.json"
        """,
    "known.json": json.dumps(
        {
            "schema": 1,
            "findings": [
                {"path": "a.py", "rule": "CPT001", "import": f"from {GPTQ} import GPTQLinearMethod"}
            ],
        }
    ),
    "a.py": f"from {GPTQ} import GPTQLinearMethod\nfrom vllm import NoSuchThing\n",
    "old/b.py": "from vllm import NoSuchThing\n",
    "requirements.txt": "vllm==0.19.0\n",
}
"""A project with a configuration and a baseline."""

MISCONFIGURED: Mapping[str, str] = {
    "pyproject.toml": '[tool.compat]\nvlm = "0.21.0"\n',
    "a.py": "import vllm\n",
}

TESTS: Mapping[str, str] = {
    "test_one.py": f"def test_gone():\n    from {GPTQ} import GPTQLinearMethod\n\n\ndef test_fine(): pass\n",
    "test_two.py": "from vllm.worker.worker import Worker\n",
}
"""Tests that fail because the installed vllm lacks a name."""

SMALL_MATRIX: Mapping[str, str] = {
    "matrix.toml": """
        [defaults]
        python = "3.11"

        [[pair]]
        id = "both"
        sglang = "0.4.7"
        vllm = "0.9.0.1"
        """,
    "has.txt": "torch==2.7.1+cu126\nnvidia-*\n",
}
"""A pair whose wheels are on the local index."""

BAD_MATRICES: Mapping[str, str] = {
    "key.toml": '[defaults]\npython = "3.11"\n[[pair]]\nid = "a"\nvlm = "0.9.0.1"\n',
    "version.toml": '[defaults]\npython = "3.11"\n[[pair]]\nid = "a"\nvllm = "0.9.x"\n',
    "unknown.toml": '[defaults]\npython = "3.11"\n[[pair]]\nid = "a"\nvllm = "0.9.99"\n',
    "twice.toml": '[defaults]\npython = "3.11"\n' + '[[pair]]\nid = "a"\nvllm = "0.9.0.1"\n' * 2,
    "torn.toml": "[defaults\n",
}

ANSI = "\x1b[31mTraceback\x1b[0m (most recent call last):\n"
LOGS: Mapping[str, str] = {
    "empty.log": "",
    "other.log": "INFO everything is fine\n",
    "coloured.log": ANSI
    + f'  File "run.py", line 1, in <module>\n    from {GPTQ} import GPTQLinearMethod\n'
    + f"ModuleNotFoundError: No module named '{GPTQ}'\n",
}


def _outcome(pair: str, state: str, **more: Any) -> dict[str, Any]:
    """Return an outcome of one cell as `compat matrix run` writes it."""
    return {
        "schema": 1,
        "pair_id": pair,
        "level": "import",
        "state": state,
        "reason": "",
        "pair": "",
        "counts": {"modules": 3, "listed": 40, "imported": 39, "checked": 30, "conditional": 10},
        "agreed": {"defined": 30, "origin": 4},
        "disagreements": [],
        "expected": [],
        "declared": [],
        "digests": {"pair": "a", "lock": "b", "index": "c", "probe": "d"},
        "machine": {"python": "3.11.7", "torch": "2.7.1", "driver": ""},
        "seconds": 95.0,
        "peak_bytes": 9_400_000_000,
        "shared_bytes": 0,
        "budget_bytes": 0,
        "started": "2026-01-02T03:04:05+00:00",
        **more,
    }


def reports() -> dict[str, str]:
    """Return the files of a report folder with a cell in every state, by path."""
    wrong = {"location": "vllm.a:f", "expected": "defined", "observed": "<lambda> | None"}
    known = {"disagreement": {**wrong, "location": "vllm.b"}, "reason": "needs a driver", "link": "here"}
    outcomes = {
        "seed-import": _outcome("seed", "passed", expected=[known], declared=["torch: 2.7.1 for 2.7.0"]),
        "seed-alone-import": _outcome(
            "seed-alone", "failed", reason="1 disagreement <&> \x1b[31mred", disagreements=[wrong]
        ),
        "home-grown-import": _outcome("home-grown", "blocked", reason="uv: no network"),
        "torch-2.8-gpu": _outcome("torch-2.8", "not-run", reason="no GPU", level="gpu"),
        "torch-2.9-import": _outcome("seed", "passed"),
        "newest-import": _outcome(
            "newest", "passed", shared_bytes=30_000_000_000, budget_bytes=60_000_000_000
        ),
        "gone-import": _outcome("gone", "passed"),
    }
    made = {
        f"reports/{name}/outcome.json": json.dumps(outcome, indent=2, sort_keys=True)
        for name, outcome in outcomes.items()
    }
    return {**made, "reports/torch-2.11-import/outcome.json": '{"schema": 1,'}


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files of a tree, without the indentation that they have in this file."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dedent(text).removeprefix("\n").encode())


def distribution(
    site: Path, name: str, version: str, files: Mapping[str, str], requires: tuple[str, ...] = ()
) -> None:
    """Write an installed distribution into a folder."""
    write(site, files)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    write(
        site,
        {
            f"{info}/METADATA": "\n".join(lines) + "\n",
            f"{info}/RECORD": "".join(f"{path},,\n" for path in files),
        },
    )


def environment(folder: Path, python: str) -> None:
    """Create a virtual environment with a small vllm and a small sglang that have faults."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    quantization = "vllm/model_executor/layers/quantization"
    packages = ("vllm", "vllm/model_executor", "vllm/model_executor/layers", quantization)
    files = {
        **{f"{package}/__init__.py": "" for package in packages},
        f"{quantization}/fp8.py": "class Fp8LinearMethod:\n    def apply(self, x): return x\n",
        f"{quantization}/gptq.py": "import kernels_of_old\n",
        f"{quantization}/awq.py": "from vllm.model_executor import nothing\n",
        f"{quantization}/aqlm.py": "raise SystemExit(3)\n",
        f"{quantization}/marlin.py": "import os\nos._exit(1)\n",
        f"{quantization}/gguf.py": "from typing import Any\nGGUFLinearMethod = Any\n",
    }
    requires = ("helper>=3", "absent>1", "never; python_version < '3'", "kernels-of-old")
    distribution(site, "vllm", "0.9.0.1", files, requires)
    distribution(site, "sglang", "0.4.7", {"sglang/__init__.py": ""})
    distribution(site, "helper", "2.1", {"helper.py": ""})
    distribution(site, "torch", "2.6.0", {"torch/__init__.py": "", "torch/version.py": "cuda = '12.4'\n"})


def installed(site: Path, *, nightly: bool) -> None:
    """Install a vllm into a folder for the import path: a release, or a version that is not indexed."""
    if nightly:
        files = {
            "vllm/__init__.py": "raise SystemExit('imported')\n",
            "vllm/new/__init__.py": "from .linear import Method\n",
            "vllm/new/linear.py": "import torch\nclass Method:\n    def apply(self, x): ...\n",
        }
        distribution(site, "vllm", "99.0.dev1+local", files)
        return
    quantization = "vllm/model_executor/layers/quantization"
    packages = ("vllm", "vllm/model_executor", "vllm/model_executor/layers", quantization)
    files = {
        **{f"{package}/__init__.py": "" for package in packages},
        f"{quantization}/auto_gptq.py": "class AutoGPTQLinearMethod:\n    def apply(self, x): return x\n",
    }
    distribution(site, "vllm", "0.23.0", files, ("transformers>=4.56",))
    distribution(site, "transformers", "4.0.0", {"transformers.py": ""})


@contextmanager
def wheels() -> Iterator[str]:
    """Yield the URL of a local package index with a few small wheels."""
    sys.path.append(str(ROOT / "tests" / "unit"))
    from wheelhouse import build_wheel, serving

    linear = b"class LinearMethod:\n    def apply(self, layer, x):\n        return layer.weight @ x\n"
    moved = linear.replace(b"LinearMethod", b"NewLinearMethod")
    needs = ("torch>=2.7", "numpy<3", "sgl-kernel==0.1.0")
    published: list[tuple[str, str, dict[str, bytes], tuple[str, ...]]] = [
        ("sglang", "0.4.6", {"sglang/__init__.py": b"from .a import *\n", "sglang/a.py": linear}, needs),
        ("sglang", "0.4.7", {"sglang/__init__.py": b"from .b import *\n", "sglang/b.py": moved}, needs),
        ("sglang", "99.0", {"sglang/__init__.py": b"", "sglang/c.py": moved}, ()),
        ("vllm", "0.9.0.1", {"vllm/__init__.py": b"def main(): ...\n"}, ("torch==2.7.1", "numpy<2")),
        ("sgl_kernel", "0.1.0", {"sgl_kernel/__init__.py": b"", "sgl_kernel/ops.abi3.so": b"elf"}, ()),
        ("sglang_kernel", "0.4.0", {"sgl_kernel/__init__.py": b""}, ()),
        ("torch", "2.7.1", {"torch/__init__.py": b""}, ()),
        ("torch", "2.8.0", {"torch/__init__.py": b""}, ()),
        ("numpy", "1.26.4", {"numpy/__init__.py": b""}, ()),
        ("numpy", "2.3.5", {"numpy/__init__.py": b""}, ()),
    ]
    with serving() as index:
        for name, version, files, requires in published:
            wheel = build_wheel(name, version, files, requires=requires)
            index.add(f"{name}-{version}-py3-none-any.whl", wheel)
        yield index.simple
