"""Guards: the scan reports only imports that are reachable in a release and fail there."""

from pathlib import Path

import pytest

from scan_guard_cases import BROKEN, GUARDED, RELEASES, UNGUARDED, broken


@pytest.mark.parametrize("name", GUARDED)
def test_what_a_guard_holds_back_is_no_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert broken(tmp_path, capsys, GUARDED[name]) == {}


@pytest.mark.parametrize("name", UNGUARDED)
def test_what_no_guard_holds_back_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (releases,) = broken(tmp_path, capsys, UNGUARDED[name]).values()
    assert releases == BROKEN


def test_a_missing_name_is_not_caught_as_a_missing_module(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = """
        try:
            from vllm import no_such_name
        except ModuleNotFoundError:
            pass
        """
    assert broken(tmp_path, capsys, source) == {3: list(RELEASES)}
