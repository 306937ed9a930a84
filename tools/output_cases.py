"""The commands whose outputs are recorded, as typed after `python -m compat`.

Each line is one record. Steps separated by `&&` run one after another in the same folder, whatever their exit
codes are. `{logs}`, `{solvers}`, `{env}` and `{python}` stand for paths.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from output_inputs import ROOT

LOGS = ROOT / "tests" / "corpus" / "explain"
SOLVERS = ROOT / "tests" / "corpus" / "solvers"
SUFFIXES = {
    "github": "github", "html": "html", "import": "import", "json": "json", "junit": "xml",
    "markdown": "md", "sarif": "json", "text": "words", "toml": "toml",
}  # fmt: skip
"""The file suffix of each output format, which determines how files are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One or more commands that run in one folder, and the files that they need."""

    line: str
    """The line in the lists below."""
    label: str = ""
    """The name of the record, if it does not derive from the line."""
    tree: str = "empty"
    """The initial content of the folder."""
    served: bool = False
    """Whether a local package index is available; otherwise every connection is refused."""
    site: str = ""
    """The folder of additional distributions on the import path: `release`, `nightly` or none."""

    @property
    def name(self) -> str:
        """The name of the record: the line with characters that a file name may have."""
        where = "" if self.tree == "empty" else f" in {self.tree}"
        beside = f" with {self.site}" if self.site else ""
        return re.sub(r"[^\w.=<>+]+", "-", f"{self.label or self.line}{where}{beside}").strip("-")

    @property
    def measured(self) -> bool:
        """Whether the output contains durations and sizes that depend on the machine."""
        return self.served or "matrix run" in self.line or "pytest" in self.line

    @property
    def steps(self) -> list[list[str]]:
        """The arguments of each command."""
        return [shlex.split(step) for step in self.line.split(" && ")]


def suffix(arguments: list[str]) -> str:
    """Return the file suffix for the standard output of a command, by its `--format`."""
    if "--help" in arguments:
        return "words"
    if "--diff" in arguments:
        return "diff"
    if arguments[:2] == ["export", "ruff"]:
        return "rules"
    if arguments[:2] == ["matrix", "list"] and "github" in arguments:
        return "json"
    if arguments[:2] == ["pairs", "table"] and "json" not in arguments:
        return "md"
    asked = dict(pairwise(arguments)).get("--format", "text")
    return SUFFIXES.get(asked, "words")


HELP = """
--help
--version
resolve --help
explain --help
doctor --help
scan --help
export --help
mcp --help
lsp --help
index --help
index build --help
index update --help
index check --help
index info --help
index renames --help
matrix --help
matrix list --help
matrix plan --help
matrix run --help
matrix report --help
matrix gate --help
pairs --help
pairs lock --help
pairs table --help
bundle --help
"""

ANYWHERE = """
-c "pass"
nothing
resolv Fp8LinearMethod
--unknown
resolve
resolve Fp8LinearMethod --all
resolve Fp8LinearMethod --all --format json
resolve Fp8LinearMethod --all --format import
resolve Fp8LinearMethod --all --signature
resolve GPTQLinearMethod AWQLinearMethod --all
resolve QuantizationConfig --all --format json --signature
resolve LLM --all
resolve Worker --all --format json
resolve Scheduler --all --format import
resolve Fp8LinearMetod --all
resolve NoSuchNameAnywhere --all
resolve vllm --all
resolve sgl_kernel --all
resolve Fp8LinearMethod
resolve Fp8LinearMethod --sglang 0.4.7 --vllm 0.9.0.1
resolve Fp8LinearMethod --sglang 0.4.7 --vllm 0.9.0.1 --format json
resolve Fp8LinearMethod --sglang 0.4.7 --vllm 0.9.0.1 --format import
resolve Fp8LinearMethod --sglang 0.4.7 --vllm 0.9.0.1 --signature --format json
resolve GPTQLinearMethod --sglang 0.4.7
resolve GPTQLinearMethod --sglang 0.4.7 --without vllm --format json
resolve GPTQLinearMethod --sglang 0.4.7 --no-cuda --format json
resolve GPTQLinearMethod --sglang 0.4.7 --cuda
resolve GPTQLinearMethod --vllm ">=0.20,<0.24" --format json
resolve GPTQLinearMethod --vllm ">=0.20,<0.24"
resolve GPTQLinearMethod --vllm latest --format import
resolve GPTQLinearMethod --vllm all --format json
resolve LinearBase --vllm 0.11.0 --vllm 0.23.0 --sglang latest --format json
resolve vllm.model_executor.layers.quantization.gptq.GPTQLinearMethod --all
resolve vllm.model_executor.layers.quantization.gptq.GPTQLinearMethod --all --format json
resolve vllm.model_executor.layers.quantization.gptq.GPTQLinearMethod --vllm 0.23.0 --format import
resolve vllm.model_executor.layers.quantization.fp8 --all
resolve vllm.worker.worker --vllm 0.23.0 --format json
resolve vllm.worker.worker:Worker --vllm 0.10.2 --vllm 0.11.0
resolve sglang.srt.layers.quantization:Fp8LinearMethod --sglang 0.4.7 --format json
resolve vllm.nothing.at.all --vllm 0.23.0
resolve "from vllm.worker.worker import Worker, no_such_name" --vllm 0.23.0 --format json
resolve "from vllm.worker.worker import Worker" --all
resolve "import vllm.worker.worker" --vllm all --format json
resolve "from vllm import LLM, SamplingParams" --vllm latest --format import
resolve sgl_kernel.awq_dequantize --all --format json
resolve awq_marlin_repack --all
resolve --all --format json EPMoE global_server_args_dict get_tensor_model_parallel_group
resolve "from vllm import" --all
resolve "a b" --all
resolve torch.nn.Linear --all
resolve LLM --vllm 0.99
resolve LLM --vllm ">=99"
resolve LLM --vllm "~?"
resolve LLM --pair nothing
resolve LLM --format yaml
-m compat.resolve Fp8LinearMethod --all
-m compat.resolve AWQConfig --all
-m compat.resolve Fp8LinearMethod --vllm 0.9.0.1 --format json
explain
explain nowhere.log
explain {logs}/new-07-Attention.log --vllm 0.99
explain {logs}/new-07-Attention.log --format yaml
explain {logs}/new-07-Attention.log --sglang 0.5.23 --vllm 0.33.0
doctor
doctor --no-imports --format json
doctor --python nowhere
doctor --python {env} --timeout 0
doctor --python {env} --no-imports
doctor --python {env} --no-imports --format json
doctor --python {env} --timeout 60
doctor --python {env} --timeout 60 --format json
doctor --python {env} --no-imports --gpu --format json
scan
scan nowhere
export ruff
export ruff --vllm 0.23.0
export ruff --sglang 0.4.7 --vllm 0.9.0.1
export ruff --sglang 0.5.23
export ruff --vllm 0.99
export pylint --vllm 0.23.0
index
index info
index info --format json
index renames
index renames --format json --top 5
index renames --format markdown --top 5
index renames --sample 7 --top 3
index renames --sample 7 --top 3 --format json
index check --sample 0
index check --sample 2 --seed 1
pairs
pairs --for sglang==0.5.14
pairs --for sglang==0.5.14 --format json
pairs --for sglang==0.4.7 --all
pairs --for sglang==0.5.22 --python 3.10
pairs --for vllm==0.26.0
pairs --for vllm==0.26.0 --format json
pairs --for sglang==latest
pairs --for sgl_kernel==0.1.7
pairs --for sglang-kernel==0.4.5 --format json
pairs --for torch==2.11.0
pairs --for torch==1.0.0
pairs --for flashinfer-python==0.6.12 --format json
pairs --for sglang
pairs --for sglang==0.5.99
pairs --for sglang==0.5.14 --offline
pairs 0.5.17 0.26.0 --offline
pairs 0.5.17 0.26.0 --offline --format json
pairs sglang==0.5.17 vllm==0.26.0 --offline --python 3.12 --format json
pairs 0.3.0 0.5.4 --offline
pairs 0.5.14
pairs vllm==0.23.0 sglang==0.5.14
pairs 0.5.14 0.23.0 --python 4
pairs table --since 0.5.14
pairs table --since 0.5.14 --format json
pairs table --since 9
pairs 0.5.17 0.26.0
bundle
bundle seed --output out
"""

HOUSE = """
resolve Fp8LinearMethod
resolve GPTQLinearMethod --format json
resolve GPTQLinearMethod --pair seed --pair torch-2.11 --format json --signature
resolve AWQLinearMethod --pair seed-alone --cuda
resolve AWQLinearMethod --pair nothing
matrix
matrix list
matrix list --format json
matrix list --format github
matrix list --format github --level all --pairs "torch-*"
matrix list --pairs nothing
matrix list --matrix other.toml
matrix plan seed newest
matrix plan --format json
matrix plan --level all seed --format json
matrix run
matrix run nothing
matrix run seed --timeout 0
matrix run seed --max-disk much
matrix run seed --python {python}
matrix run seed --environment .
matrix run seed newest --environment {env}
matrix run seed --environment {env}
matrix run seed --environment {env} --format json
matrix report
matrix report --reports elsewhere
pairs lock --check "*"
pairs lock --check "torch-*" --format json
pairs lock --check nothing
pairs lock
pairs lock seed
bundle nothing --output out
bundle "torch-*" --output out
bundle seed --output out --python 2
bundle seed --output out --part-size tiny
bundle seed --output out --arch sm_1
bundle seed --output out --trim nothing
bundle seed --output out --provided nowhere.txt
bundle seed --output out --platform windows
bundle seed --output out --python 3.9
"""

REPORTS = """
matrix report
matrix report --format json
matrix gate --require import
matrix gate --require import --format json
matrix gate --require import --format junit
matrix gate --require import --format markdown
matrix gate --require gpu --pairs seed "torch-2.*" --format json
matrix gate --require import --pairs seed
matrix gate --require import --pairs nothing
matrix gate
matrix plan seed
"""

PASSES = """\
import json, pathlib
path = pathlib.Path("reports/seed-import/outcome.json")
outcome = json.loads(path.read_text())
path.write_text(json.dumps({**outcome, "state": "passed", "reason": "", "disagreements": []}))
"""
"""A gate opens only for an outcome of the current code."""

OTHER_TORCH = """\
import pathlib
path = pathlib.Path("matrix.toml")
path.write_text(path.read_text().replace("==2.7.1", "==2.7.0"))
"""

LOAD = """\
import sys, compat
try:
    compat.require("vllm>=0.20", "transformers")
    print(compat.load(sys.argv[1]))
    compat.require("vllm>=0.24", "transformers>4")
except compat.SymbolUnavailable as error:
    print(error, error.diagnosis.as_document(), sep="\\n")
"""

BAD_MATRICES = """
matrix list --matrix key.toml
matrix list --matrix version.toml
matrix plan --matrix unknown.toml
matrix list --matrix twice.toml
matrix list --matrix torn.toml
"""

PROJECT = """
scan .
scan . --format json
scan . --format sarif
scan . --format github
scan . --format junit
scan . --format html
scan . --notes
scan . --vllm 0.23.0
scan . --vllm 0.23.0 --format json
scan . --vllm all --sglang all --format json
scan . --vllm latest --sglang 0.4.7 --format json
scan . --vllm ">=0.10,<0.12" --select CPT001 --format github
scan mine/plain.py mine/stubs.py --ignore CPT001 --format json
scan . --exclude mine --format json
scan . --format json --output out/findings.json
scan . --vllm 0.23.0 --format sarif --output findings.sarif.json
scan . --diff --vllm 0.23.0
scan . --diff
scan . --fix --vllm 0.23.0
scan . --fix && scan . --fix
scan . --write-baseline known.json && scan . --baseline known.json
scan . --write-baseline known.json && scan . --vllm 0.33.0 --baseline known.json --format json
scan . --baseline nowhere.json
scan . --baseline mine/plain.py
scan . --select CPT099
scan . --vllm 0.99
scan . --vllm ">=99"
scan . --format yaml
scan mine/untouched.py
scan mine/broken.py
scan bad.ipynb
scan notebook.ipynb --format json --vllm 0.23.0
-m compat.scan mine/stubs.py --format json
"""

STYLES = """
scan . --vllm ">=0.21.0,<0.24" --diff
scan . --vllm ">=0.21.0,<0.24" --fix
scan . --vllm ">=0.28.0" --fix
scan tries --vllm 0.33.0 --fix --format json
scan tries --vllm 0.23.0 --diff --format json
"""

CONFIGURED = """
scan .
scan . --format json
scan . --vllm 0.19.0
scan old
"""

INSTALLED = """
resolve GPTQLinearMethod --format json
resolve AutoGPTQLinearMethod
explain {logs}/new-07-Attention.log --format json
explain {logs}/report-pair-Fp8LinearMethod.log
doctor --no-imports
-m pytest -p no:cacheprovider -p no:xdist -q --no-header --tb=line --continue-on-collection-errors
-m pytest -p no:cacheprovider -p no:xdist -q --no-header --tb=line --no-compat
"""

NIGHTLY = """
resolve Method --signature --format json
resolve vllm.old.Method
resolve LLM
"""

SERVED = """
pairs lock both
pairs lock both --format json && pairs lock both --check
pairs 0.4.7 0.9.0.1
pairs 0.4.7 0.9.0.1 --format json
pairs 0.4.7 0.9.0.1 --format toml
pairs lock both && matrix plan both
pairs lock both && matrix run both --format json && matrix report
pairs lock both && bundle both --output out --level 0
pairs lock both && bundle both --output out --level 0 --provided has.txt --format json
index build --output made.sqlite
index update --output made.sqlite
index check --sample 1 --seed 1 --format json
"""


def cases() -> Iterator[Case]:
    """Yield every case to record."""
    for tree, text in {
        "empty": HELP + ANYWHERE.lstrip(),
        "house": HOUSE,
        "reports": REPORTS,
        "bad": BAD_MATRICES,
        "project": PROJECT,
        "styles": STYLES,
        "configured": CONFIGURED,
        "misconfigured": "scan .",
        "logs": "explain empty.log\nexplain other.log\nexplain coloured.log",
    }.items():
        yield from (Case(line=line, tree=tree) for line in text.strip().splitlines())
    yield from (Case(line=line, tree="tests", site="release") for line in INSTALLED.strip().splitlines())
    yield from (Case(line=line, site="nightly") for line in NIGHTLY.strip().splitlines())
    yield from (Case(line=line, tree="small", served=True) for line in SERVED.strip().splitlines())
    run = "matrix run seed --environment {env}"
    opens = f"{run} && -c {shlex.quote(PASSES)} && matrix gate --require import --pairs seed"
    yield Case(label="gate that opens", line=opens, tree="house")
    change = f"pairs lock --check seed && -c {shlex.quote(OTHER_TORCH)}"
    stale = f"{change} && pairs lock --check seed --format json && matrix plan seed"
    yield Case(label="lock that is stale", line=stale, tree="house")
    for name in ("AutoGPTQLinearMethod", "GPTQLinearMethod", "NoSuchName"):
        yield Case(label=f"load {name}", line=f"-c {shlex.quote(LOAD)} {name}", site="release")
    for log in sorted(LOGS.glob("*.log")):
        yield Case(line=f"explain {{logs}}/{log.name} --format json")
    for log in sorted([*SOLVERS.glob("*.log"), *LOGS.glob("h-*.log")]):
        where = "{solvers}" if log.parent == SOLVERS else "{logs}"
        yield Case(line=f"explain {where}/{log.name}")
