from pathlib import Path

import pytest

from compat.errors import DiskError
from compat.matrix.plan import (
    BYTECODE_BYTES,
    CROSS,
    Plan,
    check_room,
    duration,
    install_command,
    nothing_to_download,
    reason_of,
    size,
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


def test_an_installation_checks_hashes_and_names_no_index() -> None:
    command = install_command(Path("uv"), Path("env"), Path("locks/seed.txt"))
    assert {"--require-hashes", "--no-deps"} <= set(command)
    assert command[-2:] == ["--requirements", "locks/seed.txt"]
    assert not [word for word in command if "index" in word or "://" in word]


@pytest.mark.parametrize(
    ("code", "output", "answer"),
    [
        (0, "Resolved 6 packages in 2ms\nWould install 6 packages\n + a==1", True),
        (0, "Resolved 6 packages in 2ms\nWould download 1 package\nWould install 6 packages", False),
        (1, "error: network is off", False),
    ],
)
def test_uv_tells_whether_its_cache_holds_everything(code: int, output: str, *, answer: bool) -> None:
    assert nothing_to_download(code, output) is answer


FETCH = """Using Python 3.11
error: Failed to fetch: `https://user:pw@host/simple/torch/`
  Caused by: error sending request for url (https://host/torch/)
  Caused by: client error (Connect)
  Caused by: dns error
"""
DISK = """error: Failed to install: a.whl
  Caused by: No space left on device (os error 28)
"""
RESOLVE = f"""  {CROSS} No solution found when resolving dependencies:
  ╰─▶ Because there is no version of a==2
      and you require a==2
"""


BROKEN_LINE = """error: Failed to install: x
  cause: Failed to copy to `e`
  cause: failed to copy file from
         a to b: No space left on device
"""


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (FETCH, "uv: Failed to fetch: `torch`: dns error"),
        (DISK, "uv: Failed to install: a.whl: No space left on device (os error 28)"),
        (
            RESOLVE,
            "uv: No solution found when resolving dependencies: Because there is no version of a==2",
        ),
        (
            BROKEN_LINE,
            "uv: Failed to install: x: failed to copy file from a to b: No space left on device",
        ),
        ("\x1b[1merror\x1b[0m: one line\n", "uv: one line"),
        ("", "uv ended with 2: no output"),
        ("something\nelse\n", "uv ended with 2: else"),
    ],
)
def test_the_reason_is_the_complaint_and_the_root_cause_without_addresses(output: str, reason: str) -> None:
    assert reason_of(output, 2) == reason


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (9.1e9, "9.1 GB")])
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (95, "1 min 35 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
