"""uv's explanations, as uv really wrote them for real pairs."""

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from compat.index.reader import Index
from compat.model.releases import SGLANG, VLLM
from compat.pairs.clashes import Clash
from compat.pairs.uv_clashes import clashes_in, edges_of, reason_in
from compat.requirements.release_requirements import Needs, needs_of

DIRECT = """error: No solution found when resolving dependencies
  cause: Because vllm==0.31.0 depends on humming-kernels[cu13]==0.1.16 and sglang==0.5.21 depends on
         humming-kernels[cu13]==0.1.12, we can conclude that sglang==0.5.21 and vllm==0.31.0 are incompatible.
         And because you require sglang==0.5.21 and vllm==0.31.0, we can conclude that your requirements are
         unsatisfiable.
"""
TRANSITIVE = """error: No solution found when resolving dependencies
  cause: Because outlines==0.1.11 depends on outlines-core==0.1.26 and vllm==0.26.0 depends on
         outlines-core==0.2.14, we can conclude that outlines==0.1.11 and vllm==0.26.0 are incompatible.
         And because sglang==0.5.17 depends on outlines==0.1.11, we can conclude that sglang==0.5.17 and
         vllm==0.26.0 are incompatible.
"""
EXTRA = """  x No solution found when resolving dependencies:
  `-> Because only sglang[srt]==0.4.7 is available and sglang[srt] depend on torch==2.7.1, we can conclude
      that all versions of sglang[srt] depend on torch==2.7.1. And because vllm depend on torch==2.7.0, we can
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


def needs(package: str, version: str) -> Needs:
    index, name = Index(), canonicalize_name(package)
    return needs_of(name, index.releases(name)[index.release_index(name, version, "")], "3.11")


def told(explanation: str, sglang: str, vllm: str) -> Clash:
    (clash,) = clashes_in(explanation, needs(SGLANG, sglang), needs(VLLM, vllm))
    return clash


def test_a_direct_clash() -> None:
    clash = told(DIRECT, "0.5.21", "0.31.0")
    assert (str(clash.package), clash.direct, sorted(clash.extras)) == ("humming-kernels", True, ["cu13"])
    assert [(ask.by, ask.side, str(ask.specifiers)) for ask in clash.asks] == [
        ("sglang 0.5.21", "sglang", "==0.1.12"),
        ("vllm 0.31.0", "vllm", "==0.1.16"),
    ]


def test_a_transitive_clash_is_told_with_the_side_it_comes_from() -> None:
    """Of the two only sglang asks for outlines, so it is on sglang's behalf."""
    clash = told(TRANSITIVE, "0.5.17", "0.26.0")
    assert (clash.package, clash.direct) == ("outlines-core", False)
    assert [(ask.by, ask.side) for ask in clash.asks] == [
        ("outlines 0.1.11", "sglang"),
        ("vllm 0.26.0", "vllm"),
    ]


def test_a_requirement_of_an_extra() -> None:
    clash = told(EXTRA, "0.4.7", "0.9.0.1")
    assert (clash.package, clash.bound, clash.direct) == ("torch", True, True)


def test_a_requirement_with_a_marker() -> None:
    text = """cause: Because vllm==0.26.0 depends on torchcodec>=0.14 and sglang==0.5.17 depends on
        torchcodec{platform_machine != 'aarch64' or sys_platform != 'linux'}==0.11.1,
        we can conclude that sglang==0.5.17 and vllm==0.26.0 are incompatible."""
    clash = told(text, "0.5.17", "0.26.0")
    assert (str(clash.newer.specifiers), str(clash.older.specifiers)) == (">=0.14", "==0.11.1")


def test_what_allows_both_is_no_clash() -> None:
    text = "Because a==1 depends on x>=1 and b==1 depends on x<2, we can conclude"
    assert len(edges_of(text)) == 2
    assert edges_of(text)[1].specifiers == SpecifierSet("<2")
    assert clashes_in(text, None, None) == ()


def test_versions_of_one_package_that_exclude_each_other_are_no_clash_but_a_choice() -> None:
    text = "Because a==1 depends on x<1 and a==2 depends on x>=1, we can conclude"
    assert len(edges_of(text)) == 2
    assert clashes_in(text, None, None) == ()


def test_extras_that_a_release_asks_for_count_where_the_explanation_has_none() -> None:
    """An override without them would lose them: sglang 0.5.21 asks for `humming-kernels[cu13]`."""
    text = """Because vllm==0.31.0 depends on humming-kernels==0.1.16 and sglang==0.5.21 depends on
        humming-kernels==0.1.12, we can conclude that these are incompatible."""
    assert told(text, "0.5.21", "0.31.0").extras == {"cu13"}


def test_the_reason_is_the_version_that_does_not_exist() -> None:
    assert (
        reason_in(MISSING)
        == "only certifi<=2026.1.4 is available, and vllm==0.33.0 depends on certifi>=2026.2.0"
    )
    reason = "there is no version of sgl-kernel==9.9, and sglang==0.4.7 depends on sgl-kernel==9.9"
    assert reason_in(ABSENT) == reason


def test_else_it_is_the_first_step_and_never_an_address() -> None:
    assert reason_in(TRANSITIVE).startswith(
        "outlines==0.1.11 depends on outlines-core==0.1.26 and vllm==0.26.0"
    )
    assert reason_in("error: Request to https://example.com/x failed") == "Request to (address) failed"
    assert reason_in("") == "uv gave no reason"
