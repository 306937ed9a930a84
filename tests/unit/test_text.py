"""Formatting of sizes, durations, lists, counts and tables."""

import pytest

from compat._cli.text import aligned, counted, duration, listed, size


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (9.1e9, "9.1 GB")])
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (95, "1 min 35 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_lists_and_counts() -> None:
    assert listed(["a", "b", "a"]) == "a, b"
    assert listed(["a", "b", "a", "c", "d", "e"], 2) == "a, b and 3 more"
    assert [counted(count, "file") for count in (0, 1, 2)] == ["0 files", "1 file", "2 files"]


def test_columns_are_aligned() -> None:
    assert aligned([("a", "bb"), ("ccc", "d")]) == ["a    bb", "ccc  d"]
    assert aligned([("a", "bb"), ("ccc", "d")], words=1) == ["a    bb", "ccc   d"]
    assert aligned([("\x1b[1m", "x"), ("a", "y")]) == ["\\x1b[1m  x", "a        y"]
