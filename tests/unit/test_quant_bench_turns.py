"""Test the order in which the GPU benchmark measures its candidates."""

import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from gpu import turns


@pytest.mark.parametrize("count", [2, 4, 6])
def test_each_comes_once_after_each_other(count: int) -> None:
    orders = turns(count)
    assert all(sorted(order) == list(range(count)) for order in orders)
    followed = Counter(pair for order in orders for pair in pairwise(order))
    assert set(followed.values()) == {1}
    assert len(followed) == count * (count - 1)
