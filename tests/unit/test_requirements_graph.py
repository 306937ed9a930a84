"""The graph of requirements: extras, markers, circles, and broken metadata."""

from collections.abc import Iterator

import pytest

from compat.model.releases import marker_variables
from compat.requirements.graph import RequirementGraph, edges_to, required_name

LINUX = marker_variables("3.11", 0)


def graph(**distributions: str) -> RequirementGraph:
    """Return a graph of distributions, each written as a version and, after `|`, its requirements."""
    parts = {name.replace("_", "-"): text.split(" | ") for name, text in distributions.items()}
    versions = {name: version for name, (version, *_) in parts.items()}
    return RequirementGraph(versions, lambda name: parts[name][1:], LINUX)


def walked(found: RequirementGraph, *start: tuple[str, str], extras_only: bool = False) -> list[str]:
    return [f"{edge.by} {edge.extra}: {edge.wanted}" for edge in found.walk(start, extras_only=extras_only)]


def test_the_nearest_come_first_and_a_circle_ends() -> None:
    found = graph(a="1 | b>=1 | c", b="1 | d", c="1 | a", d="1")
    assert walked(found, ("a", "")) == ["a : b>=1", "a : c", "b : d", "c : a"]


def test_an_extra_has_what_it_adds_alone_and_asks_for_other_extras() -> None:
    found = graph(
        a="1 | plain | a[Other_One]; extra == 'all' | b; extra == 'other-one' | c; extra == 'never'",
        b="2 | deep",
    )
    assert walked(found, ("a", "all"), extras_only=True) == ["a all: a", "a other-one: b"]
    assert walked(found, ("a", "")) == ["a : plain"]
    assert walked(found, ("a", "all")) == ["a all: a", "a : plain", "a other-one: b", "b : deep"]


def test_markers_are_those_of_the_environment() -> None:
    found = graph(
        a="1 | b; python_version < '3.12' | c; sys_platform == 'win32' | d; python_version >= '3.12'"
    )
    assert walked(found, ("a", "")) == ["a : b"]


def test_the_closure_passes_over_markers_and_what_is_not_there() -> None:
    found = graph(a="1 | B.C; python_version < '3' | gone", b_c="1 | d; extra == 'x'", d="1 | a", e="1")
    assert found.closure(["a"]) == ("a", "b-c", "d")
    assert found.closure(["e", "d"]) == ("e", "d", "a", "b-c")


def test_what_is_not_met() -> None:
    found = graph(a="1 | b>=2 | c | d<3 | e", b="1.9", d="2.0a1", e="0")
    assert [(each.edge.wanted, each.installed) for each in found.unmet([("a", "")])] == [
        ("b>=2", "1.9"),
        ("c", None),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "not a requirement at all",
        "b>=",
        "b; python_version",
        "b; sys_platform ~= 'lin'",
        "b @",
        "b[",
        "b; " + "(" * 9999,
        "\ufffd",
    ],
)
def test_a_line_that_is_broken_counts_as_absent(line: str) -> None:
    found = graph(a=f"1 | {line} | c")
    assert walked(found, ("a", "")) == ["a : c"]
    assert list(edges_to("b", "a", "1", [line])) == []


@pytest.mark.parametrize("version", ["unknown", "1.x", "2004d-beta-two"])
def test_an_installed_version_that_is_none_meets_only_what_asks_for_none(version: str) -> None:
    found = graph(a="1 | b>=0 | b", b=version)
    assert [(each.edge.wanted, each.installed) for each in found.unmet([("a", "")])] == [("b>=0", version)]


def test_of_a_release_each_requirement_is_there_with_its_extra() -> None:
    lines = ["b>=1; extra == 'srt'", "B<3", "b-c", "b; python_version < '2' and extra == 'srt'"]
    assert [str(edge) for edge in edges_to("b", "a", "1.0", lines)] == [
        "a[srt] 1.0 requires b>=1",
        "a 1.0 requires B<3",
    ]
    assert [str(edge) for edge in edges_to("b-c", "a", "1.0", lines)] == ["a 1.0 requires b-c, any version"]


def test_the_name_that_a_line_begins_with() -> None:
    def names() -> Iterator[str]:
        for line in ("Foo_Bar>=1", "foo.bar [x]", "  late", ""):
            yield required_name(line)

    assert list(names()) == ["foo-bar", "foo-bar", "", ""]
