"""What uv and pip say when they refuse, as they really said it."""

import pytest

from compat.uv.messages import (
    absent,
    complaint,
    conflict_reason,
    edges,
    failure_reason,
    first_step,
    no_version,
    no_wheel,
    nothing_to_download,
    other_python,
    requested,
)

TRANSITIVE = """error: No solution found when resolving dependencies
  cause: Because outlines==0.1.11 depends on outlines-core==0.1.26 and vllm==0.26.0 depends on
         outlines-core==0.2.14, we can conclude that outlines==0.1.11 and vllm==0.26.0 are incompatible.
         And because sglang==0.5.17 depends on outlines==0.1.11, we can conclude that sglang==0.5.17 and
         vllm==0.26.0 are incompatible.
"""
MISSING = """  x No solution found when resolving dependencies:
  `-> Because only certifi<=2026.1.4 is available and vllm==0.33.0 depends on certifi>=2026.2.0, we can
      conclude that vllm==0.33.0 cannot be used. And because you require vllm==0.33.0, we can conclude that
      your requirements are unsatisfiable.
"""
ABSENT = """  x No solution found when resolving dependencies:
  `-> Because there is no version of sgl-kernel==9.9 and sglang==0.4.7 depends on sgl-kernel==9.9, we can
      conclude that sglang==0.4.7 cannot be used.
"""

WHEELS = """  x No solution found when resolving dependencies:
  `-> Because xformers==0.0.30 has no wheels with a matching Python ABI tag (e.g., `cp313`) and vllm==0.9.1
      depends on xformers==0.0.30, we can conclude that vllm==0.9.1 cannot be used.
"""
PYTHON = (
    "Because the requested Python version (>=3.13) does not satisfy Python>=3.9,<3.13 and vllm==0.9.1 "
    "depends on Python>=3.9,<3.13, we can conclude that vllm==0.9.1 cannot be used."
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vllm==0.9.1 depends on torch==2.7.0 and", ["vllm 0.9.1 requires torch==2.7.0"]),
        ("vllm 0.9.1 depends on torch==2.7.0; sglang[srt] 0.4.7 depends on torch==2.6.0",
         ["vllm 0.9.1 requires torch==2.7.0", "sglang 0.4.7 requires torch==2.6.0"]),
        ("vllm>=0.8 and <0.9 depends on torch>=2.6,<2.7.", ["vllm<0.9,>=0.8 requires torch<2.7,>=2.6"]),
        ("all versions of sglang[srt] depend on torch==2.7.1.", ["sglang requires torch==2.7.1"]),
        ("a==1 depends on b{sys_platform != 'linux'}==2", ["a 1 requires b==2"]),
        ("a==1 depends on B_c[x, y]>=2", ["a 1 requires b-c>=2"]),
        ("a==1 depends on b===x", ["a 1 requires b, any version"]),
        ("a==1 depends on python-dateutil>=2", ["a 1 requires python-dateutil>=2"]),
        ("a==1 depends on Python>=3.9", []),
        ("your project depends on torch==2.6", []),
    ],
)  # fmt: skip
def test_who_requires_what(text: str, expected: list[str]) -> None:
    assert [str(edge) for edge in edges(text)] == expected


def test_extras_belong_to_what_is_required() -> None:
    (edge,) = edges("a[z]==1 depends on b[x, y]>=2")
    assert (edge.by, sorted(edge.requirement.extras)) == ("a", ["x", "y"])


@pytest.mark.parametrize("name", ["a_", "tor\N{LATIN SMALL LETTER E WITH ACUTE}", "a-.-", "9"])
def test_a_name_that_is_none_ends_in_no_traceback(name: str) -> None:
    text = f"{name}==1 depends on {name}[{name}]>=1.0.{name} and there is no version of {name}==x"
    assert len(list(edges(text))) <= 1
    no_version(text)


def test_what_was_asked_for() -> None:
    told = "And because you require sglang==0.5.21 and vllm==0.31.0, we can; The user requested a>=1"
    assert [str(each) for each in requested(told)] == ["sglang==0.5.21", "vllm==0.31.0", "a>=1"]


def test_what_is_not_there() -> None:
    assert str(no_version(ABSENT)) == "sgl-kernel==9.9"
    assert str(no_wheel(WHEELS)) == "xformers==0.0.30"
    assert no_version(WHEELS) is no_wheel(ABSENT) is None
    pip = "Could not find a version that satisfies the requirement xformers==0.0.30 (from vllm)"
    assert str(absent(pip)) == "vllm requires xformers==0.0.30"
    assert absent("Could not find it") is None


def test_another_python_is_wanted() -> None:
    edge, asked = other_python(PYTHON) or (None, None)
    assert (str(edge), asked) == ("vllm 0.9.1 requires python<3.13,>=3.9", ">=3.13")
    pip = (
        "Could not find a version that satisfies the requirement vllm==0.9.1; Ignored the following versions "
        "that require a different python version: 0.9.1 Requires-Python <3.13,>=3.9"
    )
    edge, asked = other_python(pip) or (None, None)
    assert (str(edge), asked) == ("vllm 0.9.1 requires python<3.13,>=3.9", None)
    assert other_python(MISSING) is None


def test_the_reason_is_the_version_that_does_not_exist() -> None:
    assert conflict_reason(WHEELS).startswith("xformers==0.0.30 has no wheels with a matching Python ABI tag")
    assert (
        conflict_reason(MISSING)
        == "only certifi<=2026.1.4 is available, and vllm==0.33.0 depends on certifi>=2026.2.0"
    )
    reason = "there is no version of sgl-kernel==9.9, and sglang==0.4.7 depends on sgl-kernel==9.9"
    assert conflict_reason(ABSENT) == reason


def test_else_it_is_the_first_step_and_never_an_address() -> None:
    assert conflict_reason(TRANSITIVE).startswith(
        "outlines==0.1.11 depends on outlines-core==0.1.26 and vllm==0.26.0"
    )
    assert conflict_reason("error: Request to https://example.com/x failed") == "Request to (address) failed"
    assert conflict_reason("") == "uv gave no reason"


def test_a_derivation_begins_with_the_requirements_that_clash() -> None:
    step = first_step(TRANSITIVE) or ""
    assert step.startswith("outlines==0.1.11 depends on outlines-core==0.1.26 and vllm==0.26.0 depends on")
    assert first_step("error: no such file") is None
    assert complaint("error: no such\n  file") == "no such file"


@pytest.mark.parametrize(
    ("code", "output", "answer"),
    [
        (0, "Resolved 6 packages in 2ms\nWould install 6 packages\n + a==1", True),
        (0, "Resolved 6 packages in 2ms\nWould download 1 package\nWould install 6 packages", False),
        (1, "error: network is off", False),
    ],
)
def test_uv_tells_whether_its_cache_holds_everything(code: int, output: str, *, answer: bool) -> None:
    assert nothing_to_download(code, output) is answer


FETCH = """Using Python 3.11
error: Failed to fetch: `https://user:pw@host/simple/torch/`
  Caused by: error sending request for url (https://host/torch/)
  Caused by: client error (Connect)
  Caused by: dns error
"""
DISK = """error: Failed to install: a.whl
  Caused by: No space left on device (os error 28)
"""
RESOLVE = """  \N{MULTIPLICATION SIGN} No solution found when resolving dependencies:
  ╰─▶ Because there is no version of a==2
      and you require a==2
"""


BROKEN_LINE = """error: Failed to install: x
  cause: Failed to copy to `e`
  cause: failed to copy file from
         a to b: No space left on device
"""


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (FETCH, "uv: Failed to fetch: `torch`: dns error"),
        (DISK, "uv: Failed to install: a.whl: No space left on device (os error 28)"),
        (
            RESOLVE,
            "uv: No solution found when resolving dependencies: Because there is no version of a==2",
        ),
        (
            BROKEN_LINE,
            "uv: Failed to install: x: failed to copy file from a to b: No space left on device",
        ),
        ("\x1b[1merror\x1b[0m: one line\n", "uv: one line"),
        ("", "uv exited with code 2: no output"),
        ("something\nelse\n", "uv exited with code 2: else"),
    ],
)
def test_the_reason_is_the_complaint_and_the_root_cause_without_addresses(output: str, reason: str) -> None:
    assert failure_reason(output, 2) == reason
