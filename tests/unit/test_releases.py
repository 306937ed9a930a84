"""Releases and pairs: their order, their requirements for an installer, and their text for people."""

import dataclasses
import itertools

import pytest
from packaging.version import Version

from compat.errors import UsageError
from compat.model.releases import PACKAGES, SGLANG, VLLM, Pair, Release, newest, parse_version


def pair(sglang: str = "", vllm: str = "", *extras: str) -> Pair:
    return Pair(
        id="one",
        python="3.11",
        sglang=Version(sglang) if sglang else None,
        sglang_extras=extras,
        vllm=Version(vllm) if vllm else None,
    )


@pytest.mark.parametrize("text", ["0.4.7", "0.9.0.1", "0.5.5.post3", "0.5.10rc0"])
def test_a_version_is_read_as_written(text: str) -> None:
    assert str(parse_version(text, "--vllm")) == text


@pytest.mark.parametrize("text", ["", "newest", "0.4.x", ">=0.4"])
def test_an_invalid_version_is_reported_with_its_source(text: str) -> None:
    with pytest.raises(UsageError, match=rf"^pair\.seed\.vllm: {text!r} is not a version") as told:
        parse_version(text, "pair.seed.vllm")
    assert "\n" not in str(told.value)


def test_releases_are_ordered_by_version_not_by_text() -> None:
    history = ["0.4.9rc1", "0.4.9", "0.4.9.post1", "0.4.10", "0.5.0"]
    releases = [Release(package=SGLANG, version=Version(text)) for text in history]
    for shuffled in itertools.permutations(releases):
        assert sorted(shuffled) == releases
    assert len({*releases, Release(package=SGLANG, version=Version("0.4.9"))}) == len(releases)


def test_a_release_reads_as_package_and_version() -> None:
    assert str(Release(package=VLLM, version=Version("0.9.0.1"))) == "vllm 0.9.0.1"


@pytest.mark.parametrize(
    ("one", "described", "requirements"),
    [
        (
            pair("0.4.7", "0.9.0.1", "srt"),
            "sglang 0.4.7[srt] + vllm 0.9.0.1",
            ["sglang[srt]==0.4.7", "vllm==0.9.0.1"],
        ),
        (pair("0.4.7", "", "srt"), "sglang 0.4.7[srt]", ["sglang[srt]==0.4.7"]),
        (pair("", "0.10.0"), "vllm 0.10.0", ["vllm==0.10.0"]),
        (
            pair("0.5.14", "0.23.0", "a", "b"),
            "sglang 0.5.14[a,b] + vllm 0.23.0",
            ["sglang[a,b]==0.5.14", "vllm==0.23.0"],
        ),
    ],
    ids=["both", "sglang alone", "vllm alone", "two extras"],
)
def test_what_a_pair_is_made_of(one: Pair, described: str, requirements: list[str]) -> None:
    assert one.describe() == described
    assert [str(requirement) for requirement in one.requirements] == requirements
    assert [release.package for release in one.releases] == [
        requirement.name for requirement in one.requirements
    ]


def test_a_pair_cannot_be_changed() -> None:
    one = pair("0.4.7")
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.id = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        one.overrides["torch"] = "==2.7.1"  # type: ignore[index]


def test_package_names_are_canonical_and_distinct() -> None:
    assert len(set(PACKAGES)) == len(PACKAGES) == 4
    assert all(name == name.lower() and "_" not in name for name in PACKAGES)


@pytest.mark.parametrize(
    ("versions", "expected"),
    [(("0.9", "0.10", "0.11rc1"), "0.10"), (("0.1rc1", "0.1rc2"), "0.1rc2"), (("0.10", "0.9"), "0.10")],
)
def test_the_newest_is_a_final_release_if_there_is_one(versions: tuple[str, ...], expected: str) -> None:
    assert versions[newest(versions)] == expected
