from pathlib import Path

import pytest

from compat.errors import DiskError
from compat.matrix.model.plan import (
    BYTECODE_BYTES,
    Plan,
    check_room,
)


def plan(*, cached: bool, linked: bool, finished: str = "") -> Plan:
    return Plan(
        pair_id="seed",
        describe="sglang 0.4.7",
        modules=100,
        download_bytes=3_000_000_000,
        installed_bytes=9_000_000_000,
        cached=cached,
        linked=linked,
        finished=finished,
    )


@pytest.mark.parametrize(
    ("cached", "linked", "disk", "cache"),
    [
        (False, True, 9_000_000_000, 0),  # one disk: cache and environment share each file
        (True, True, 0, 0),
        (False, False, 9_000_000_000, 9_000_000_000),
        (True, False, 9_000_000_000, 0),
    ],
)
def test_a_file_counts_once_for_each_disk_it_is_written_to(
    *, cached: bool, linked: bool, disk: int, cache: int
) -> None:
    made = plan(cached=cached, linked=linked)
    assert (made.disk_bytes - BYTECODE_BYTES, made.cache_bytes) == (disk, cache)


def test_the_line_of_a_plan_states_download_disk_and_time() -> None:
    line = plan(cached=False, linked=True).line()
    assert "downloads up to 3.0 GB, needs up to 9.2 GB of disk space and about " in line
    assert "nothing to download" in plan(cached=True, linked=True).line()
    assert plan(cached=True, linked=True, finished="passed before").line() == "seed: passed before"


def test_the_error_of_a_disk_that_is_too_small_states_what_is_missing() -> None:
    check_room(10, 10, Path("envs"), "seed")
    with pytest.raises(
        DiskError, match=r"seed: needs 9\.2 GB of disk space, envs has 1\.2 GB free; free 8\.0 GB"
    ):
        check_room(9_200_000_000, 1_200_000_000, Path("envs"), "seed")
