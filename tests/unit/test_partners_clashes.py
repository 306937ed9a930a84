"""Clashes between the requirements of two releases, and the overrides for them."""

import subprocess
import sys
from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from compat.model.releases import SGLANG, VLLM, ReleaseMetadata
from compat.partners.clashes import Clash, ClashSide, direct_clashes
from compat.partners.indirect_clashes import predicted_clashes
from compat.partners.overrides import as_mapping, choose, dropped, flipped
from compat.requirements.release_requirements import requirements_of
from compat.requirements.specifiers import disjoint, pinned

TORCH = canonicalize_name("torch")
CORE = canonicalize_name("core")


def row(*requires: str, version: str = "1.0", python: str | None = None) -> ReleaseMetadata:
    return ReleaseMetadata(
        version=version,
        wheel="",
        sha256="",
        uploaded="2026-01-02T03:04:05+00:00",
        requires_python=python,
        requires_dist=requires,
    )


def test_the_runtime_extra_is_found_and_followed() -> None:
    """Up to 0.5.2, sglang requires torch only in `srt`, which requires another of its own extras."""
    needs = requirements_of(
        SGLANG,
        row(
            "requests",
            'sglang[runtime_common]; extra == "srt"',
            'torch==2.7.1; extra == "srt"',
            'xgrammar==0.1.19; extra == "runtime-common"',
            'torch==2.6.0; extra == "srt-hip"',
        ),
        "3.11",
    )
    assert needs.extras == ("srt",)
    assert set(needs.wants) == {"requests", "torch", "xgrammar"}
    assert needs.torch == Version("2.7.1")
    assert str(needs) == "sglang[srt] 1.0"


def test_no_extra_is_needed_when_torch_is_asked_for_plainly() -> None:
    needs = requirements_of(
        SGLANG, row("torch==2.8.0", 'torch==2.9.0; extra == "cu130"', "x; extra == 'srt'"), "3.11"
    )
    assert (needs.extras, needs.torch) == ((), Version("2.8.0"))


def test_markers_are_those_of_linux_and_the_python() -> None:
    lines = (
        'a; sys_platform == "linux"',
        'b; platform_machine == "aarch64"',
        'c; python_version < "3.12"',
        'd; platform_system == "Windows"',
        'e; python_full_version >= "3.12.0"',
    )
    assert set(requirements_of(VLLM, row(*lines), "3.11").wants) == {"a", "c"}
    assert set(requirements_of(VLLM, row(*lines), "3.12").wants) == {"a", "e"}


def test_what_is_asked_twice_must_hold_twice() -> None:
    needs = requirements_of(VLLM, row("x>=1", "X[gpu]<2"), "3.11")
    assert needs.wants[canonicalize_name("x")] == SpecifierSet(">=1,<2")
    assert needs.extras_of[canonicalize_name("x")] == {"gpu"}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("==2.7.1", "==2.7.0", True),
        ("==2.7.1", "==2.7.1", False),
        ("==2.6.1", ">=2.25.0", True),
        ("<0.8.0,>=0.7.11", "<1.8.0,>=1.7.0", True),
        ("<2.0.0,>=1.7.6", "<1.8.0,>=1.7.0", False),
        (">1.0", "<1.0.1", False),
        (">1.0,!=1.0.0.1", "<1.1", False),
        ("==6.30.*", ">=5,!=6.30.*", True),
        (">=6.30", "!=6.30.*,<6.31", True),
        (">=6.30", "!=6.30.*,<6.32", False),
        ("~=1.4.2", ">=1.5", True),
        ("<=0.1.11,>=0.0.44", "==0.1.11", False),
        ("", "==1.0", False),
        ("<1", "<2", False),
        (">=0.9.0rc1", "==0.9.0rc2", False),
    ],
)
def test_disjoint(one: str, other: str, *, expected: bool) -> None:
    assert disjoint(SpecifierSet(one), SpecifierSet(other)) is expected
    assert disjoint(SpecifierSet(other), SpecifierSet(one)) is expected


numbers = st.integers(min_value=0, max_value=3)
versions = st.builds(lambda *parts: ".".join(map(str, parts)), numbers, numbers, numbers)
specifiers = st.lists(
    st.builds("{}{}".format, st.sampled_from(["==", ">=", "<=", "<", ">", "!="]), versions),
    min_size=1,
    max_size=3,
).map(",".join)


@given(specifiers, specifiers, st.lists(versions, min_size=30, max_size=60))
def test_no_version_satisfies_what_is_disjoint(one: str, other: str, seen: list[str]) -> None:
    """The converse is tested by example: a common version proves that two sets are not disjoint."""
    if disjoint(SpecifierSet(one), SpecifierSet(other)):
        both = SpecifierSet(one) & SpecifierSet(other)
        assert not [version for version in seen if both.contains(version, prereleases=True)]


def test_direct_clashes_name_both_sides_and_keep_the_extras() -> None:
    sglang = requirements_of(SGLANG, row("torch==2.7.1", "humming[cu13]==0.1.12", "same==1"), "3.11")
    vllm = requirements_of(VLLM, row("torch==2.7.0", "humming==0.1.16", "same>=1"), "3.11")
    humming, torch = direct_clashes(sglang, vllm)
    assert str(torch) == "torch: sglang 1.0 requires ==2.7.1; vllm 1.0 requires ==2.7.0"
    assert (torch.bound, humming.bound) == (True, False)
    assert str(choose(humming)) == "humming[cu13]==0.1.16"
    assert str(choose(torch)) == "torch==2.7.1"
    assert "test them on a GPU" in choose(torch).reason


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("outlines==0.1", "core==2"), ["core: outlines 0.1 requires ==1; vllm 1.0 requires ==2"]),
        (("core==2",), ["core: outlines 0.1 requires ==1; vllm 1.0 requires ==2"]),
        (("core>=1",), []),
        (("other",), []),
        (
            ("outlines==0.2", "core==2"),
            ["outlines: sglang 1.0 requires ==0.1; vllm 1.0 requires ==0.2"],
        ),
    ],
)
def test_what_a_pin_requires_counts_unless_it_is_overridden(
    asked: tuple[str, ...], expected: list[str]
) -> None:
    def required(name: str, version: str, names: Collection[str]) -> dict[NormalizedName, SpecifierSet]:
        assert "core" not in names or (name, version) == ("outlines", "0.1")
        return {CORE: SpecifierSet("==1")} if CORE in names else {}

    sglang = requirements_of(SGLANG, row("outlines==0.1"), "3.11")
    vllm = requirements_of(VLLM, row(*asked), "3.11")
    found = predicted_clashes(sglang, vllm, required)
    assert list(map(str, found)) == expected
    assert [each.direct for each in found] == [each.package != CORE for each in found]
    backwards = predicted_clashes(
        requirements_of(SGLANG, row(*asked), "3.11"),
        requirements_of(VLLM, row("outlines==0.1"), "3.11"),
        required,
    )
    assert [each.package for each in backwards] == [each.package for each in found]


def clash(one: str, other: str, package: str = "openai") -> Clash:
    return Clash(
        package=canonicalize_name(package),
        sides=(
            ClashSide(by="sglang 1", side="sglang", specifiers=SpecifierSet(one)),
            ClashSide(by="vllm 1", side="vllm", specifiers=SpecifierSet(other)),
        ),
    )


def test_the_newer_side_is_taken_and_can_be_turned() -> None:
    override = choose(clash("==2.6.1", ">=2.25.0"))
    assert (str(override), override.side) == ("openai>=2.25.0", "vllm")
    assert override.reason == "the newer side: vllm 1 requires >=2.25.0, sglang 1 requires ==2.6.1"
    other = flipped(override, "it fails")
    assert other is not None
    assert (str(other), other.side) == ("openai==2.6.1", "sglang")
    assert other.reason == "it fails: sglang 1 requires ==2.6.1"


@pytest.mark.parametrize(
    ("specifiers", "reach"),
    [(">=1,>=2,<9", "2"), ("~=1.4,!=3", "1.4"), ("==1.2.*", "1.2"), ("<2,<=1", "1"), ("!=3", "0"), ("", "0")],
)
def test_a_requirement_lies_around_its_highest_lower_bound_else_its_lowest_upper_one(
    specifiers: str, reach: str
) -> None:
    assert ClashSide(by="x 1", side="vllm", specifiers=SpecifierSet(specifiers)).reference_version == Version(
        reach
    )


@pytest.mark.parametrize(("one", "other"), [("==1.0", ">1.0"), (">1.0", "==1.0")])
def test_of_sides_that_are_equally_new_the_one_that_allows_more_is_taken(one: str, other: str) -> None:
    assert str(choose(clash(one, other))) == "openai>1.0"


def test_torch_and_what_is_dropped_are_never_turned() -> None:
    assert flipped(choose(clash("==2.7.1", "==2.7.0", "torch")), "no") is None
    assert flipped(dropped(TORCH, "a stub"), "no") is None


def test_dropping_uses_a_marker_that_holds_nowhere() -> None:
    from packaging.requirements import Requirement

    ((name, text),) = as_mapping([dropped(canonicalize_name("cuda-tile"), "a stub")]).items()
    marker = Requirement(f"{name}{text}").marker
    assert marker is not None
    assert not marker.evaluate()


def test_only_an_exact_requirement_pins() -> None:
    assert pinned(SpecifierSet("==1.2")) == Version("1.2")
    assert pinned(SpecifierSet("==1.*")) is None
    assert pinned(SpecifierSet(">=1.2")) is None
    assert pinned(None) is None


def test_direct_clashes_need_no_extra() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('requests', 'rich', 'pypi_simple'))); "
        "from compat.pairs.cli import main; sys.exit(main(['0.5.23', '0.33.0', '--offline', *sys.argv[1:]]))"
    )
    for form in ("text", "json"):
        done = subprocess.run(
            [sys.executable, "-c", code, "--format", form], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1, done.stderr
        assert "torch" in done.stdout
