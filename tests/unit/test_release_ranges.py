"""Releases one after another as ranges."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from compat.model.release_ranges import ReleaseRange, ranges_of


def test_ranges_end_where_a_release_is_left_out() -> None:
    assert list(ranges_of([])) == []
    assert list(ranges_of([0, 1, 2, 4, 6, 7])) == [ReleaseRange(0, 2), ReleaseRange(4, 4), ReleaseRange(6, 7)]


@given(st.sets(st.integers(0, 40)))
def test_ranges_hold_just_these_releases(releases: set[int]) -> None:
    found = list(ranges_of(sorted(releases)))
    assert [at for first, last in found for at in range(first, last + 1)] == sorted(releases)
    assert all(one.last + 1 < other.first for one, other in pairwise(found))
