"""What pip, poetry, pdm, conda and mamba refuse in words of their own."""

import pytest

from compat.explain.engine import explain
from compat.index.reader import Index

INDEX = Index()
UV = """  x No solution found when resolving dependencies:
  `-> Because {}, we can conclude that your project's requirements are unsatisfiable.
"""
REFUSALS = {
    "libmamba": """LibMambaUnsatisfiableError: Encountered problems while solving:
  - package vllm-0.6.1.post1-py310h6a4f4b8_0 requires pytorch ==2.4.0, but none of the providers can be
""",
    "mamba": """error    libmamba Could not solve for environment specs
    The following packages are incompatible
    ├─ pytorch 2.3**  is requested and can be installed;
    └─ vllm 0.6.1**  is not installable because it requires
       └─ pytorch 2.4.0**, which conflicts with any installable versions previously reported.
""",
    "conda": """PackagesNotFoundError: The following packages are not available from current channels:

  - vllm==0.9.0

Current channels:

  - conda-forge
""",
    "pdm": """pdm.exceptions.ResolutionImpossible: Unable to find a resolution for torch
because of the following conflicts:
  torch==2.3.0 (from vllm@0.4.3)
  torch>=2.5 (from project)
""",
    "poetry": """Because no versions of vllm match >0.9.0,<0.10.0 and vllm (0.9.0) depends on torch (2.7.0),
 vllm (>=0.9.0,<0.10.0) requires torch (2.7.0).
So, because demo depends on both vllm (^0.9.0) and torch (^1.13.0), version solving failed.
""",
    "poetry-python": """
  - vllm requires Python <3.13,>=3.9, so it will not be installable for Python >=3.13,<4.0

So, because demo depends on vllm (^0.8.5), version solving failed.
""",
    "pip-python": "ERROR: Package 'vllm' requires a different Python: 3.14.0 not in '<3.14,>=3.10'",
    "pip-wheel": "vllm-0.8.5-cp38-abi3-manylinux1_x86_64.whl is not a supported wheel on this platform.",
    "uv-lock": "error: Distribution `torch==2.7.0+cu128 @ registry+https://x.org/whl` can't be installed "
    "because it doesn't have a source distribution or wheel for the current platform",
    "uv-registry": UV.format(
        "flashinfer was not found in the package registry and sglang==0.4.2 depends on flashinfer==0.1.6"
    ),
    "uv-local": UV.format(
        "there is no version of torch{sys_platform == 'linux'}==2.6.0+cpu and your project depends on "
        "torch{sys_platform == 'linux'}==2.6.0+cpu"
    ),
}


@pytest.mark.parametrize(
    ("name", "package", "evidence"),
    [
        ("libmamba", "torch", "vllm 0.6.1.post1 requires torch==2.4.0"),
        ("mamba", "torch", "not available: pytorch 2.4.0"),
        ("conda", "vllm", "not available: vllm 0.9.0"),
        ("pdm", "torch", "project requires torch>=2.5"),
        ("poetry", "torch", "demo requires torch<2,>=1.13.0"),
        ("poetry-python", "python", "vllm requires python<3.13,>=3.9; the project also admits >=3.13,<4.0"),
        ("pip-python", "python", "vllm requires python<3.14,>=3.10; this is Python 3.14.0"),
        ("pip-wheel", "vllm", "the tags of the wheel are cp38, abi3 and manylinux1_x86_64"),
        ("uv-lock", "torch", "can't be installed"),
        ("uv-registry", "flashinfer", "the package index in use has no flashinfer"),
        ("uv-local", "torch", "the project requires torch==2.6.0+cpu"),
    ],
)
def test_a_refusal_is_read(name: str, package: str, evidence: str) -> None:
    found = explain(REFUSALS[name])[0]
    assert (found.cause, found.package) == ("requirement_violated", package)
    assert any(evidence in line for line in found.evidence), found.evidence


def test_the_metadata_of_a_release_decides_between_requested_versions() -> None:
    log = (
        "ERROR: Cannot install vllm==0.9.0 and torch==2.6.0 because these package versions have conflicting "
    )
    found = explain(f"{log}dependencies.\n")[0]
    release = next(each for each in INDEX.releases("vllm") if each.version == "0.9.0")
    pin = next(line for line in release.requires_dist if line.startswith("torch=="))
    assert found.fix.command == f'pip install "{pin}"'


def test_a_pre_release_is_offered_only_on_request() -> None:
    log = UV.format(
        "there is no version of flashinfer-python==0.2.9rc2 and sglang[srt]==0.4.9.post6 depends on "
        "flashinfer-python==0.2.9rc2"
    )
    assert "--prerelease=allow" in explain(log)[0].fix.text


def test_requirements_that_a_person_lists_are_compared() -> None:
    log = (
        "- vllm==0.11.0 depends on compressed-tensors==0.11.0\n"
        "- llmcompressor==0.8.0 depends on compressed-tensors==0.12.1\n"
    )
    found = explain(log)[0]
    assert (found.cause, found.package) == ("requirement_violated", "compressed-tensors")
    assert explain(log.replace("0.12.1", "0.11.0"))[0].cause == "unknown"


WINDOWS = """Collecting vllm
  Using cached vllm-0.7.2.tar.gz (5.4 MB)
  Installing build dependencies ... error
      Using cached cmake-3.31.4-py3-none-{}.whl.metadata (6.5 kB)
      ERROR: Could not find a version that satisfies the requirement torch==2.5.1 (from versions: 2.6.0)
"""


def test_a_build_on_windows_is_not_one_for_another_torch() -> None:
    (found,) = explain(WINDOWS.format("win_amd64"))
    assert (found.cause, found.package, found.version) == ("requirement_violated", "vllm", "0.7.2")
    assert "vllm-0.7.2-cp38-abi3-manylinux1_x86_64.whl" in found.evidence[-1]
    assert "WSL 2" in found.fix.text
    (elsewhere,) = explain(WINDOWS.format("manylinux_2_17_x86_64"))
    assert "Windows" not in elsewhere.fix.text
