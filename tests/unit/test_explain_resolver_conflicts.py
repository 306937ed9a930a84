"""Diagnoses of installations that pip and uv refused, from their recorded output."""

from pathlib import Path

import pytest

from compat.explain.engine import explain

CORPUS = Path(__file__).parents[1] / "corpus" / "solvers"
FOUND = {
    "uv-pair": ("requirement_violated", "compat pairs 0.4.7 0.9.1"),
    "pip-pair": ("requirement_violated", "compat pairs 0.5.14 0.22.0"),
    "range": ("requirement_violated", "compat pairs --for sglang==0.4.7"),
    "torch": ("requirement_violated", 'pip install "torch==2.7.0"'),
    "tf": ("requirement_violated", 'pip install "transformers==5.8.1"'),
    "xf": ("requirement_violated", 'pip install "xformers==0.0.30"'),
    "three": ("requirement_violated", 'pip install "openai==2.6.1"'),
    "none": ("unknown", "Request a release that exists: "),
    "py": ("requirement_violated", "Use Python <3.13,>=3.9."),
    "py38": ("requirement_violated", "Use Python <3.13,>=3.9."),
    "pip-py313": ("requirement_violated", "Use Python <3.13,>=3.9."),
    "uv-py313": ("requirement_violated", "If xformers==0.0.30 exists only as a source distribution"),
    "mac": ("requirement_violated", "Use a platform and a Python for which it has wheels"),
    "source": (
        "requirement_violated",
        "If flashinfer-python==0.2.6.post1 exists only as a source distribution",
    ),
}
"""The cause, and how the command of the fix begins, or its text where there is none."""
LOGS = sorted(CORPUS.glob("*.log"))


def expected(log: Path) -> tuple[str, str]:
    tool, _, case = log.stem.split("-")
    return FOUND.get(case) or FOUND[f"{tool}-{case}"]


def docker(text: str) -> str:
    """Return the output with the prefixes of `docker build`."""
    return "".join(f"#9 {12.5 + number:.3f} {line}\n" for number, line in enumerate(text.splitlines()))


def logged(text: str) -> str:
    """Return the output with the prefixes of a CI runner."""
    return "".join(
        f"2026-03-01T10:00:0{number % 10}.1234567Z {line}\n" for number, line in enumerate(text.splitlines())
    )


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
@pytest.mark.parametrize("collected", [str, docker, logged])
def test_conflicting_requirements_are_reported(log: Path, collected: object) -> None:
    text = log.read_text(encoding="utf-8")
    assert callable(collected)
    (only,) = explain(collected(text))
    cause, fix = expected(log)
    assert only.cause == cause
    assert (only.fix.command or only.fix.text).startswith(fix)
    assert only.evidence


def test_a_traceback_before_it_does_not_hide_it() -> None:
    """The failed import comes first, not the installation that someone then attempted."""
    first = explain(
        'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    import vllm\n'
        "ModuleNotFoundError: No module named 'vllm'\n" + (LOGS[-1].read_text(encoding="utf-8"))
    )[0]
    assert first.cause == "package_missing"


def test_what_is_not_indexed_and_asked_by_nobody_known_stays_unknown() -> None:
    (only,) = explain(
        "ERROR: Could not find a version that satisfies the requirement nosuch (from versions: none)\n"
    )
    assert (only.cause, only.fix.kind) == ("unknown", "none")


def test_a_conflict_of_other_packages_is_reported_without_a_command() -> None:
    text = (
        "  \xd7 No solution found when resolving dependencies:\n"
        "  ╰─▶ Because vllm==0.9.1 depends on xformers==0.0.30 and diffusers-ext==1.0 depends on\n"
        "      xformers==0.0.29, we can conclude that vllm==0.9.1 and diffusers-ext==1.0 are incompatible.\n"
    )
    (only,) = explain(text)
    assert (only.cause, only.package, only.fix.command) == ("requirement_violated", "xformers", None)
    assert only.evidence == (
        "vllm 0.9.1 requires xformers==0.0.30",
        "diffusers-ext 1.0 requires xformers==0.0.29",
    )


def test_a_range_without_a_wheel_is_reported_with_a_release_in_it() -> None:
    text = (
        "error: No solution found when resolving dependencies\n"
        "  cause: Because vllm>=0.20,<0.21 has no usable wheels and you require vllm>=0.20,<0.21, we can "
        "conclude that your requirements are unsatisfiable.\n"
    )
    (only,) = explain(text)
    assert (only.cause, only.package, only.version) == ("requirement_violated", "vllm", "0.20.0")


def test_what_is_only_concluded_was_not_asked_for() -> None:
    text = (
        "error: No solution found when resolving dependencies\n"
        "  cause: Because you require torch==2.6.0 and vllm==0.9.1 depends on torch==2.7.0, we can conclude "
        "that you require torch==2.7.0.\n"
    )
    (only,) = explain(text)
    assert (only.package, only.version) == ("torch", "2.6.0")


def test_the_next_paragraph_is_of_something_else() -> None:
    text = (
        "The conflict is caused by:\n"
        "    The user requested torch==2.6.0\n"
        "    diffusers-ext 1.0 depends on torch==2.7.0\n"
        "\nAn older run said: vllm 0.9.1 depends on torch==2.7.0\n"
    )
    (only,) = explain(text)
    assert only.evidence[0] == "diffusers-ext 1.0 requires torch==2.7.0"


def test_a_requirement_that_names_no_version_excludes_nothing() -> None:
    asked = "The conflict is caused by:\n    The user requested torch==2.6.0\n    vllm 0.9.1 depends on torch"
    assert explain(f"{asked}===foo\n")[0].cause == "unknown"
    assert explain(f"{asked}==2.7.0\n")[0].cause == "requirement_violated"


def test_what_is_no_version_ends_in_no_traceback() -> None:
    text = "The conflict is caused by:\n    vllm 0Python.22 depends on torch==2.7.0\n"
    assert explain(text)[0].cause == "unknown"
