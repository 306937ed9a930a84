"""Clashes in explanations that uv has printed for real pairs."""

from packaging.utils import canonicalize_name

from compat.index.reader import Index
from compat.model.releases import SGLANG, VLLM
from compat.pairs.uv_clashes import clashes_in
from compat.partners.clashes import Clash
from compat.requirements.release_requirements import ReleaseRequirements, requirements_of
from compat.uv.messages import edges

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


def needs(package: str, version: str) -> ReleaseRequirements:
    index, name = Index(), canonicalize_name(package)
    return requirements_of(name, index.releases(name)[index.release_index(name, version, "")], "3.11")


def told(explanation: str, sglang: str, vllm: str) -> Clash:
    (clash,) = clashes_in(explanation, needs(SGLANG, sglang), needs(VLLM, vllm))
    return clash


def test_a_direct_clash() -> None:
    clash = told(DIRECT, "0.5.21", "0.31.0")
    assert (str(clash.package), clash.direct, sorted(clash.extras)) == ("humming-kernels", True, ["cu13"])
    assert [(ask.by, ask.side, str(ask.specifiers)) for ask in clash.sides] == [
        ("sglang 0.5.21", "sglang", "==0.1.12"),
        ("vllm 0.31.0", "vllm", "==0.1.16"),
    ]


def test_a_transitive_clash_names_the_side_it_comes_from() -> None:
    """Only sglang requires outlines, so the requirement of outlines is on sglang's side."""
    clash = told(TRANSITIVE, "0.5.17", "0.26.0")
    assert (clash.package, clash.direct) == ("outlines-core", False)
    assert [(ask.by, ask.side) for ask in clash.sides] == [
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
    assert [edge.wanted for edge in edges(text)] == ["x>=1", "x<2"]
    assert clashes_in(text, None, None) == ()


def test_versions_of_one_package_that_exclude_each_other_are_no_clash_but_a_choice() -> None:
    text = "Because a==1 depends on x<1 and a==2 depends on x>=1, we can conclude"
    assert len(list(edges(text))) == 2
    assert clashes_in(text, None, None) == ()


def test_extras_that_a_release_asks_for_count_where_the_explanation_has_none() -> None:
    """An override must repeat the extras of a requirement: sglang 0.5.21 requires `humming-kernels[cu13]`."""
    text = """Because vllm==0.31.0 depends on humming-kernels==0.1.16 and sglang==0.5.21 depends on
        humming-kernels==0.1.12, we can conclude that these are incompatible."""
    assert told(text, "0.5.21", "0.31.0").extras == {"cu13"}
